"""A cost record as a Markdown table with the conditions it was measured under. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroi2v_bench.reports.tables import markdown

if TYPE_CHECKING:
    from zeroi2v_bench.costs.cost_records import Conditions, CostRecord, CostRow, Spread

COUNTED = (
    "backbone",
    "method",
    "model",
    "params (M)",
    "tunable (M)",
    "new (M)",
    "GMACs per view",
    "GFLOPs (paper)",
)
TIMED = (
    "latency ms (quartiles)",
    "ratio to plain (95 %)",
    "videos/s",
    "videos/s, best batch",
    "peak MB",
)


def show_costs(record: CostRecord) -> str:
    """Table, units and conditions, ready to be printed."""
    timed = record.conditions is not None
    titles = [*COUNTED, *(TIMED if timed else ())]
    cells = [[*_counts(row), *_times(row)] for row in record.rows]
    right = [index >= 3 for index in range(len(titles))]
    return f"{markdown(titles, cells, right)}\n{_conditions(record)}\n"


def _counts(row: CostRow) -> list[str]:
    costs, random = row.costs, " (random weights)" if row.backbone.random_weights else ""
    gmacs = (costs.gmacs_per_view, costs.gmacs_per_video)
    counts = (costs.params, costs.tunable_params, costs.new_params)
    return [
        f"{row.backbone.spec}{random}",
        row.label,
        row.state,
        *(f"{count / 1e6:.3f}" for count in counts),
        *(f"{g:,.1f}" if g >= 100 else f"{g:.3g}" for g in gmacs),
    ]


def _times(row: CostRow) -> list[str]:
    if (times := row.timing) is None:
        return []
    return [
        _spread(times.latency_ms, 1),
        "1" if row.state == "plain" else _spread(times.latency_ratio, 3),
        f"{times.videos_per_s.median:.3g} (batch {times.batch})",
        f"{times.best_videos_per_s.median:.3g} (batch {times.best_batch})",
        f"{times.peak_memory_mb:,.0f}",
    ]


def _spread(spread: Spread, digits: int) -> str:
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f}-{spread.high:.{digits}f})"


def _what_is_timed(how: Conditions) -> str:
    if how.with_decode:
        return f"{how.video} decoded and cropped anew for every video, then the network"
    return "network only (no decoding)"


def _conditions(record: CostRecord) -> str:
    views = record.crops * record.clips
    lines = [
        f"Views {record.views} (frames x crops x clips); {record.num_classes} classes. GMACs are "
        f"multiply-adds in 1e9; GFLOPs (paper) are multiply-adds summed over the {views} views of "
        "a video, as the literature prints them. New parameters are those at inference beyond the "
        "plain image model and its classifier."
    ]
    if (how := record.conditions) is not None:
        lines.append(
            f"Measured on {how.device}; {how.precision} (float32 products: {how.float32_matmul}), "
            f"{how.threads} threads, torch {record.environment.libraries.get('torch')}, "
            f"{'compiled' if how.compiled else 'not compiled'}, {_what_is_timed(how)}. "
            f"Latency: one video, all views in one batch, {how.rounds} interleaved rounds; the "
            "ratio is to the plain model in the same round, and that of 'plain again' is the "
            f"noise. Throughput: {how.throughput_rounds} interleaved rounds."
        )
    return "\n\n".join(lines)
