"""One run by class: accuracy with intervals, and what is taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroi2v_bench.reports.columns import show_interval
from zeroi2v_bench.reports.intervals import wilson_interval
from zeroi2v_bench.reports.predictions import most_confused, per_class
from zeroi2v_bench.reports.tables import markdown, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.reports.predictions import ClassResult, ClipResult


def class_report(record: RunRecord, results: Sequence[ClipResult]) -> str:
    """Markdown: every class, then the most confused pairs."""
    names = [plain(name) for name in record.class_names]
    rows = [_class_row(found, names) for found in per_class(results, len(names)) if found.num_clips]
    titles = ["class", "clips", "right", "accuracy (%)", "95 % Wilson interval", "taken for"]
    pairs = [[names[a], names[b], str(n)] for a, b, n in most_confused(results)]
    missing = sum(not result.top for result in results)
    parts = [
        f"## {plain(record.method)}, {record.protocol}, seed {record.seed}, by class",
        markdown(titles, rows, [False, True, True, True, True, False]),
        "### Most confused",
        markdown(["true class", "taken for", "clips"], pairs, [False, False, True])
        if pairs
        else "Nothing.\n",
    ]
    if missing:
        parts.append(f"{missing} clips have no prediction and count as wrong.\n")
    return "\n".join(parts)


def _class_row(found: ClassResult, names: Sequence[str]) -> list[str]:
    interval = wilson_interval(found.num_correct, found.num_clips)
    taken = ", ".join(f"{names[k]} {n}" for k, n in found.taken_for[:3])
    share = f"{100 * found.num_correct / found.num_clips:.1f}"
    return [
        names[found.label],
        str(found.num_clips),
        str(found.num_correct),
        share,
        show_interval(interval),
        taken,
    ]
