"""What the report's charts show: published and measured figures, picked but never mixed."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zeroi2v_bench.reports.charts import Bar, Curve, Point, bars, bubbles, colours, curves
from zeroi2v_bench.reports.cost_cases import CostCase, cost_cases, plain_gmacs
from zeroi2v_bench.reports.measured import Group, group_runs
from zeroi2v_bench.reports.published import load_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zeroi2v_bench.costs.cost_records import CostRecord
    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.reports.markup import Markup
    from zeroi2v_bench.reports.published import PublishedRow

DATASETS = {
    "kinetics400": "Kinetics-400",
    "ssv2": "Something-Something v2",
    "hmdb51": "HMDB51",
    "ucf101": "UCF101",
    "moving_digits": "moving digits (embedded benchmark)",
}
TRADE_OFFS = {"kinetics400": "table3_k400", "ssv2": "table4_ssv2"}
VARIANTS = (
    "Variants of a method, as those of the ablation, are left out here; the tables have them."
)
_K = re.compile(r"_?[0-9]+shot")
"""What the protocols of one curve differ in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart with its caption, and what must be known of it beside."""

    caption: str
    picture: Markup
    note: str = ""


def trade_offs(runs: Sequence[RunRecord], costs: Sequence[CostRecord]) -> list[Figure]:
    """Top-1 against extra GFLOPs, one panel per dataset: the paper's Figure 1."""
    groups = [g for g in group_runs(runs)[0] if g.facts()["setting"] == "full"]
    plain = plain_gmacs([*cost_cases(costs, timed=False), *groups])
    figures = []
    for dataset in dict.fromkeys([*TRADE_OFFS, *(g.newest.dataset for g in groups)]):
        own = [g for g in groups if g.newest.dataset == dataset]
        table = TRADE_OFFS.get(dataset)
        points = _published_points(load_table(table)[1]) if table else []
        shown = without_variants(own)
        found = [(g.facts()["method"], _measured_point(g, plain)) for g in shown]
        points += [p for _, p in found if p is not None]
        if not points:
            continue
        caption = f"{DATASETS.get(dataset, dataset)}: accuracy against extra cost"
        picture = bubbles(_told_apart(points), colours(point.method for point in points), caption)
        note = VARIANTS if len(shown) < len(own) else ""
        note += _not_drawn(name for name, p in found if p is None)
        figures.append(Figure(caption=caption, picture=picture, note=note.strip()))
    return figures


def _not_drawn(names: Iterable[str]) -> str:
    """A line about measurements that have no place in a chart."""
    distinct = ", ".join(dict.fromkeys(names))
    return f" Not drawn, for want of a usable figure on record: {distinct}." if distinct else ""


def without_variants(groups: Sequence[Group]) -> list[Group]:
    """Without the variants of a method that is there itself, as an ablation has them."""
    named = {group.facts()["method"] for group in groups}
    return [
        g for g in groups if g.facts()["method"] == g.newest.module or g.newest.module not in named
    ]


def _told_apart(points: Sequence[Point]) -> list[Point]:
    """Points of one name get their number of frames as well."""
    names = Counter((point.label, point.measured) for point in points)
    return [
        replace(p, label=f"{p.label} {p.frames}f")
        if names[p.label, p.measured] > 1 and p.frames
        else p
        for p in points
    ]


def _published_points(rows: Iterable[PublishedRow]) -> list[Point]:
    points = []
    for row in rows:
        x, y = row.number("extra_gflops"), row.number("top1")
        if x is None or y is None:
            continue
        size = row.number("new_params_m") or 0.0
        words = f"{row.cells['method']} {row.cells['backbone']} {row.views}"
        detail = f"{words}: {y} %, {x:g} extra GFLOPs, {size:g} M new parameters (published)"
        method = row.cells["method"].partition(" (")[0]
        points.append(
            Point(
                x=x,
                y=y,
                size=size,
                method=method,
                label=_label(method, row.cells["backbone"]),
                frames=row.cells["frames"],
                detail=detail,
                measured=False,
            )
        )
    return points


def _measured_point(group: Group, plain: dict[tuple[str, str], float]) -> Point | None:
    facts, y = group.facts(), group.average("top1")
    base = plain.get((facts["backbone"], facts["views"]))
    if y is None or base is None:
        return None
    x = group.efficiency.gmacs_per_video - base
    if not math.isfinite(x):
        return None
    size = group.efficiency.new_params / 1e6
    detail = (
        f"{facts['method']} {facts['backbone']} {facts['views']}: {y:.1f} %, {x:.3g} extra GFLOPs, "
        f"{size:.2g} M new parameters (measured, {len(group.runs)} seeds)"
    )
    name = _label(facts["method"], facts["backbone"])
    label = f"{name} {changes_of(group.newest.protocol)}".rstrip()
    return Point(
        x=x,
        y=y,
        size=size,
        method=facts["method"],
        label=label,
        frames=facts["num_frames"],
        detail=detail,
        measured=True,
    )


def changes_of(protocol: str) -> str:
    """What a run changed of its protocol.

    >>> changes_of("full_digits+optim.epochs=3"), changes_of("full_digits")
    ('+optim.epochs=3', '')
    """
    return "".join(protocol.partition("+")[1:])


def _label(method: str, backbone: str) -> str:
    """The method, and which ViT, as in "AIM L/14"."""
    return f"{method} {backbone[4:]}" if backbone.startswith("ViT-") else method


def throughputs(costs: Sequence[CostRecord]) -> list[Figure]:
    """Videos per second: the paper's, then one panel for each device and set of models."""
    items = list(_published_bars(load_table("table5_latency")[1]))
    figures = [_bar_figure("Throughput, published (one V100-32G, AMP, best batch)", items)]
    panels: dict[tuple[str, str, str], list[CostCase]] = {}
    for case in cost_cases(costs, timed=True):
        if case.timing is not None and (how := case.record.conditions) is not None:
            backbone = case.facts()["backbone"]
            device = f"{case.behind()['device']}, {how.precision}"
            panels.setdefault((backbone, case.record.views, device), []).append(case)
    for (backbone, views, device), cases in panels.items():
        caption = f"Throughput, measured: {backbone}, {views}, {device}, best batch"
        items = [_measured_bar(case) for case in cases]
        if any(_is_speed(bar.value) for bar in items):
            figures.append(_bar_figure(caption, items))
    return figures


def _is_speed(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _published_bars(rows: Iterable[PublishedRow]) -> Iterable[Bar]:
    """One bar for each model; the table prints a model once per dataset."""
    seen = set()
    for row in rows:
        value = row.number("throughput_vps")
        label = f"{row.cells['method']} {row.views.partition(' ')[0]}"
        if value is not None and label not in seen:
            seen.add(label)
            yield Bar(method=row.cells["method"], label=label, value=value, measured=False)


def _measured_bar(case: CostCase) -> Bar:
    state = f" {case.row.state}" if case.row.state in {"merged", "unmerged"} else ""
    speed = case.timing.best_videos_per_s.median if case.timing else 0.0
    return Bar(method=case.row.method, label=f"{case.row.label}{state}", value=speed, measured=True)


def _bar_figure(caption: str, items: list[Bar]) -> Figure:
    drawn = [bar for bar in items if _is_speed(bar.value)]
    picture = bars(drawn, colours(bar.method for bar in drawn), caption)
    note = _not_drawn(bar.label for bar in items if not _is_speed(bar.value))
    return Figure(caption=caption, picture=picture, note=note.strip())


def few_shot_curves(runs: Sequence[RunRecord]) -> list[Figure]:
    """Top-1 over K, one panel per dataset."""
    groups = [g for g in group_runs(runs)[0] if g.newest.shots]
    rows = load_table("fewshot")[1]
    names = dict.fromkeys(
        [*(r.cells["dataset"] for r in rows), *(g.newest.dataset for g in groups)]
    )
    figures = []
    for dataset in names:
        items = _published_curves(r for r in rows if r.cells["dataset"] == dataset)
        items += _measured_curves(g for g in groups if g.newest.dataset == dataset)
        if not items:
            continue
        caption = f"{DATASETS.get(dataset, dataset)}: few-shot accuracy"
        palette = colours(curve.label for curve in items)
        figures.append(Figure(caption=caption, picture=curves(items, palette, caption)))
    return figures


def _published_curves(rows: Iterable[PublishedRow]) -> list[Curve]:
    found: dict[str, list[tuple[int, float, float | None, float | None]]] = {}
    for row in rows:
        shots, top1 = row.number("shots"), row.number("top1")
        if shots and top1 is not None:
            name = row.cells["method"]
            found.setdefault(name, []).append((int(shots), top1, None, None))
    return [
        Curve(label=name, measured=False, points=tuple(sorted(points)))
        for name, points in found.items()
    ]


def _measured_curves(groups: Iterable[Group]) -> list[Curve]:
    """One curve for each method on each backbone, kind of views and change of the protocol."""
    found: dict[tuple[str, ...], dict[int, tuple[int, float, float | None, float | None]]] = {}
    for group in groups:
        facts, top1 = group.facts(), group.average("top1")
        if top1 is not None:
            low, high = group.interval() or (None, None)
            shots = int(facts["shots"])
            family = _K.sub("", facts["protocol"].partition("+")[0])
            key = (
                facts["method"],
                facts["backbone"],
                facts["views"],
                family,
                changes_of(facts["protocol"]),
            )
            found.setdefault(key, {})[shots] = (shots, top1, low, high)
    told = [True, *(len(set(values)) > 1 for values in list(zip(*found, strict=True))[1:])]
    return [
        Curve(
            label=" ".join(p for p, is_told in zip(key, told, strict=True) if p and is_told),
            measured=True,
            points=tuple(points[k] for k in sorted(points)),
        )
        for key, points in found.items()
    ]
