"""Does an ordering that a paper reports hold in runs of one's own? Pair by pair, with intervals."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from zeroi2v_bench.reports.comparison import is_chosen, matches
from zeroi2v_bench.reports.intervals import mean, t_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.reports.comparison import Cells
    from zeroi2v_bench.reports.measured import Group
    from zeroi2v_bench.reports.published import PublishedRow, TableSpec


def ordering_rows(
    spec: TableSpec, published: Sequence[PublishedRow], groups: Sequence[Group]
) -> list[Cells]:
    """Every pair of published rows that may be compared, the higher first, and what was measured.

    Rows are compared only if their cells named by ``spec.within`` are equal, and runs only if
    they are of one protocol, version and hash on one backbone: of several such sets the newest is
    shown, and nothing on random weights. Differences are taken seed by seed; an ordering holds,
    or is reversed, only if the 95 % t-interval of the difference leaves out zero.
    """
    measured = _newest_set(spec, published, groups)
    rows = []
    for first, second in combinations(published, 2):
        if not {first.id, second.id} <= set(measured) or not _comparable(spec, first, second):
            continue
        gap = (first.number("top1") or 0.0) - (second.number("top1") or 0.0)
        higher, lower = (first, second) if gap >= 0 else (second, first)
        if gap:
            about = {name: first.cells[name] for name in spec.within}
            pair = _measured(measured[higher.id], measured[lower.id])
            names = {"higher": _name(higher), "lower": _name(lower)}
            rows.append({**about, **names, "published.gap": abs(gap), **pair})
    return rows


def _newest_set(
    spec: TableSpec, published: Sequence[PublishedRow], groups: Sequence[Group]
) -> dict[str, Group]:
    """The newest group of each published row's id, all of the set with the newest run."""
    sets: dict[tuple[str, ...], dict[str, Group]] = {}
    for group in sorted(groups, key=lambda g: g.newest.created):
        facts = group.facts()
        if group.random_weights or not is_chosen(facts, spec.where):
            continue
        about = (group.behind()["protocol"], group.newest.protocol_hash, group.newest.backbone.spec)
        found = {line.id: group for line in published if matches(spec, line, facts)}
        if found:
            sets[about] = sets.pop(about, {}) | found  # the newest set comes last
    return list(sets.values())[-1] if sets else {}


def _comparable(spec: TableSpec, first: PublishedRow, second: PublishedRow) -> bool:
    return all(first.cells[name] == second.cells[name] for name in spec.within)


def _name(line: PublishedRow) -> str:
    return line.cells.get("setting") or line.cells.get("method") or line.id


def _measured(higher: Group, lower: Group) -> Cells:
    tops = [{run.seed: run.accuracy.top1 for run in group.runs} for group in (higher, lower)]
    gaps = [tops[0][seed] - tops[1][seed] for seed in sorted(set(tops[0]) & set(tops[1]))]
    interval = t_interval(gaps) if len(gaps) > 1 else None
    return {
        "measured.gap": mean(gaps) if gaps else None,
        "measured.gap_interval": interval and f"{interval[0]:+.1f} to {interval[1]:+.1f}",
        "measured.pairs": len(gaps),
        "measured.protocol": higher.behind()["protocol"],
        "measured.backbone": higher.newest.backbone.spec,
        "verdict": verdict(interval, len(gaps)),
        "run_ids": (*higher.run_ids, *lower.run_ids),
    }


def verdict(interval: tuple[float, float] | None, num_seeds: int) -> str:
    """What the interval of (higher - lower) over shared seeds says of the published ordering."""
    if interval is None:
        return "open: one seed" if num_seeds else "open: no seed in common"
    if interval[0] > 0:
        return "holds"
    return "reversed" if interval[1] < 0 else "open: interval holds 0"
