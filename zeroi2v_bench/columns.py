"""The columns a table may have: how each is read from a record, named and printed.

Names are for machines (CSV headers, table files); titles carry the unit and are for readers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from zeroi2v_bench.records import RunRecord


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, how a value is printed, and how it is read from a run's record."""

    title: str
    show: Callable[[Any], str] = str
    read: Callable[[RunRecord], Any] | None = None


def _decimals(count: int) -> Callable[[Any], str]:
    return lambda value: f"{value:.{count}f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}"


def _thousands(value: float) -> str:
    return f"{round(value):,}"


def significant(value: float, digits: int = 4) -> str:
    """The number to at least that many significant digits, never in exponent form."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(places, 0)}f}"


def _scientific(value: float) -> str:
    return f"{value:.1e}"


def total_seconds(record: RunRecord) -> float:
    """Wall time of the whole run."""
    return record.seconds.get("total", sum(record.seconds.values()))


def _gmacs_before(record: RunRecord) -> float:
    return (record.efficiency_unmerged or record.efficiency).gmacs_per_video


def _coverage(record: RunRecord) -> str:
    return f"{record.accuracy.num_clips}/{record.accuracy.num_expected}"


def weights_word(record: RunRecord) -> str:
    """Says plainly where the frozen weights are no pretrained ones."""
    return "random" if record.backbone.random_weights else "pretrained"


COLUMNS: dict[str, Column] = {
    "protocol": Column("protocol", read=lambda r: r.protocol),
    "method": Column("method", read=lambda r: r.method),
    "backbone": Column("backbone", read=lambda r: r.backbone.spec),
    "weights": Column("weights", read=weights_word),
    "shots": Column("shots", str, lambda r: r.shots),
    "seed": Column("seed", str, lambda r: r.seed),
    "top1": Column("top-1 (%)", _decimals(1), lambda r: r.accuracy.top1),
    "top5": Column("top-5 (%)", _decimals(1), lambda r: r.accuracy.top5),
    "coverage": Column("clips evaluated/expected", read=_coverage),
    "tunable_params": Column(
        "tunable parameters", _thousands, lambda r: r.efficiency.tunable_params
    ),
    "new_params": Column(
        "parameters added at inference", _thousands, lambda r: r.efficiency.new_params
    ),
    "gmacs_before": Column("GMACs before merging", significant, _gmacs_before),
    "gmacs_after": Column(
        "GMACs after merging", significant, lambda r: r.efficiency.gmacs_per_video
    ),
    "merge_error": Column(
        "merge error (fp32)", _scientific, lambda r: r.merge.max_abs_float32 if r.merge else None
    ),
    "seconds": Column("time (s)", _decimals(1), total_seconds),
    "views": Column("views", read=lambda r: r.views),
    "split": Column("split", read=lambda r: r.split),
    "num_train": Column("training clips", _thousands, lambda r: r.num_train),
    "params": Column("parameters", _thousands, lambda r: r.efficiency.params),
    "latency_ms": Column("latency (ms)", _decimals(2), lambda r: r.efficiency.latency_ms),
    "clips_per_s": Column("videos/s", significant, lambda r: r.efficiency.clips_per_s),
    "recipe": Column("recipe", read=lambda r: r.recipe),
    "protocol_version": Column("protocol version", str, lambda r: r.protocol_version),
    "protocol_hash": Column("protocol hash", read=lambda r: r.protocol_hash[:12]),
    "splits_fingerprint": Column("splits", read=lambda r: r.splits_fingerprint[:12]),
    "decoder": Column("decoder", read=lambda r: r.decoder),
    "device": Column("device", read=lambda r: r.environment.device),
    "created": Column("recorded", read=lambda r: r.created),
    "run_id": Column("run", read=lambda r: r.run_id),
}
"""Every measured column by name, in the order of the full table."""
