"""What the report's charts show: published and measured figures, picked but never mixed."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart with its caption."""

    caption: str
    picture: Markup


def trade_offs(runs: Sequence[RunRecord], costs: Sequence[CostRecord]) -> list[Figure]:
    """Top-1 against extra GFLOPs, one panel per dataset: the paper's Figure 1."""
    groups = [g for g in group_runs(runs)[0] if g.facts()["setting"] == "full"]
    plain = plain_gmacs([*cost_cases(costs, timed=False), *groups])
    figures = []
    for dataset in dict.fromkeys([*TRADE_OFFS, *(g.newest.dataset for g in groups)]):
        own = [g for g in groups if g.newest.dataset == dataset]
        table = TRADE_OFFS.get(dataset)
        points = _published_points(load_table(table)[1]) if table else []
        points += [p for group in own if (p := _measured_point(group, plain)) is not None]
        if not points:
            continue
        caption = f"{DATASETS.get(dataset, dataset)}: accuracy against extra cost"
        palette = colours(point.method for point in points)
        figures.append(Figure(caption=caption, picture=bubbles(points, palette, caption)))
    return figures


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
    size = group.efficiency.new_params / 1e6
    detail = (
        f"{facts['method']} {facts['backbone']} {facts['views']}: {y:.1f} %, {x:.3g} extra GFLOPs, "
        f"{size:.2g} M new parameters (measured, {len(group.runs)} seeds)"
    )
    label = _label(facts["method"], facts["backbone"])
    return Point(
        x=x, y=y, size=size, method=facts["method"], label=label, detail=detail, measured=True
    )


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
        figures.append(_bar_figure(caption, [_measured_bar(case) for case in cases]))
    return figures


def _published_bars(rows: Iterable[PublishedRow]) -> Iterable[Bar]:
    """One bar for each model; the table prints a model once per dataset."""
    seen = set()
    for row in rows:
        value = row.number("throughput_vps")
        label = f"{row.cells['method']} {row.views.partition(' ')[0]}"
        if value is not None and label not in seen:
            seen.add(label)
            yield Bar(label=label, value=value, measured=False)


def _measured_bar(case: CostCase) -> Bar:
    state = f" {case.row.state}" if case.row.state in {"merged", "unmerged"} else ""
    speed = case.timing.best_videos_per_s.median if case.timing else 0.0
    return Bar(label=f"{case.row.label}{state}", value=speed, measured=True)


def _bar_figure(caption: str, items: list[Bar]) -> Figure:
    palette = colours(bar.label for bar in items)
    return Figure(caption=caption, picture=bars(items, palette, caption))


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
        palette = colours(curve.method for curve in items)
        figures.append(Figure(caption=caption, picture=curves(items, palette, caption)))
    return figures


def _published_curves(rows: Iterable[PublishedRow]) -> list[Curve]:
    found: dict[str, list[tuple[int, float, float | None, float | None]]] = {}
    for row in rows:
        shots, top1 = row.number("shots"), row.number("top1")
        if shots is not None and top1 is not None:
            name = row.cells["method"]
            found.setdefault(name, []).append((int(shots), top1, None, None))
    return [
        Curve(method=name, measured=False, points=tuple(sorted(points)))
        for name, points in found.items()
    ]


def _measured_curves(groups: Iterable[Group]) -> list[Curve]:
    """One curve for each method on each backbone and kind of views; the newest of each K."""
    found: dict[tuple[str, ...], dict[int, tuple[int, float, float | None, float | None]]] = {}
    for group in groups:
        facts, top1 = group.facts(), group.average("top1")
        if top1 is not None:
            low, high = group.interval() or (None, None)
            shots = int(facts["shots"])
            key = (facts["method"], facts["backbone"], facts["views"])
            found.setdefault(key, {})[shots] = (shots, top1, low, high)
    return [
        Curve(method=key[0], measured=True, points=tuple(points[k] for k in sorted(points)))
        for key, points in found.items()
    ]
