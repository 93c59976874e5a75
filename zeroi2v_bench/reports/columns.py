"""The columns a table may have: how each is read from a record, named and printed.

Names are for machines (CSV headers, table files); titles carry the unit and are for readers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.reports.measured import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.reports.cost_cases import Measurement


def _nothing(_: Any) -> None:
    """The value of a column that is worked out elsewhere."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: For readers, with the unit.
        show: A value as a text.
        read: The value out of a run's record, or out of a `Measurement` for `MEASURED`.
        usual: Tells the values that need not be shown; None where only variation tells something.
    """

    title: str
    show: Callable[[Any], str] = str
    read: Callable[[Any], Any] = _nothing
    usual: Callable[[Any], bool] | None = None


def _decimals(count: int) -> Callable[[Any], str]:
    return lambda value: f"{value:.{count}f}"


def signed(value: float) -> str:
    """One decimal, with the sign."""
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
    return f"{record.accuracy.num_clips}/{record.num_test}"


def weights_word(record: RunRecord) -> str:
    """Says plainly where the frozen weights are no pretrained ones."""
    return "random" if record.backbone.random_weights else "pretrained"


def _is_complete(coverage: str) -> bool:
    evaluated, _, expected = coverage.partition("/")
    return evaluated == expected


def _wilson(record: RunRecord) -> str:
    from zeroi2v_bench.reports.intervals import wilson_interval

    accuracy = record.accuracy
    if not accuracy.num_expected:
        return ""
    correct = round(accuracy.top1 * accuracy.num_expected / 100)
    return show_interval(wilson_interval(correct, accuracy.num_expected))


def show_interval(interval: tuple[float, float] | None) -> str:
    """Two ends with one decimal, or nothing."""
    return f"{interval[0]:.1f} to {interval[1]:.1f}" if interval else ""


COLUMNS: dict[str, Column] = {
    "protocol": Column("protocol", read=lambda r: r.protocol),
    "method": Column("method", read=lambda r: r.method),
    "backbone": Column("backbone", read=lambda r: r.backbone.spec),
    "weights": Column("weights", read=weights_word, usual="pretrained".__eq__),
    "shots": Column("shots", str, lambda r: r.shots),
    "seed": Column("seed", str, lambda r: r.seed),
    "top1": Column("top-1 (%)", _decimals(1), lambda r: r.accuracy.top1),
    "top5": Column("top-5 (%)", _decimals(1), lambda r: r.accuracy.top5),
    "wilson": Column("top-1, 95 % Wilson interval", read=_wilson),
    "coverage": Column("clips evaluated / expected", read=_coverage, usual=_is_complete),
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


def _millions(name: str) -> Callable[[Measurement], float]:
    return lambda m: float(getattr(m.efficiency, name) / 1e6)


def _timing(name: str) -> Callable[[Measurement], float | None]:
    return lambda m: getattr(m.timing, name).median if m.timing else None


def _spread(name: str, digits: int) -> Callable[[Measurement], str | None]:
    def read(measurement: Measurement) -> str | None:
        if measurement.timing is None:
            return None
        spread = getattr(measurement.timing, name)
        return f"{spread.low:.{digits}f} to {spread.high:.{digits}f}"

    return read


def _behind(name: str) -> Callable[[Measurement], Any]:
    return lambda m: m.behind().get(name)


def _backbone_spec(measurement: Measurement) -> str:
    """The spec in full: what a paper calls ViT-B/16 may have come from several places."""
    of = measurement.newest if isinstance(measurement, Group) else measurement.row
    return of.backbone.spec


MEASURED: dict[str, Column] = {
    "backbone": Column("backbone", read=_backbone_spec),
    "gflops": Column("GFLOPs (paper)", significant, lambda m: m.efficiency.gmacs_per_video),
    "extra_gflops": Column("extra GFLOPs (paper)", significant),
    "params_m": Column("parameters (M)", _decimals(2), _millions("params")),
    "new_params_m": Column("new parameters (M)", _decimals(2), _millions("new_params")),
    "tunable_params_m": Column("tunable parameters (M)", _decimals(2), _millions("tunable_params")),
    "latency_ms": Column("latency (ms)", _decimals(2), _timing("latency_ms")),
    "latency_quartiles": Column("latency quartiles (ms)", read=_spread("latency_ms", 2)),
    "latency_ratio": Column("latency / plain", _decimals(3), _timing("latency_ratio")),
    "latency_ratio_interval": Column("its 95 % interval", read=_spread("latency_ratio", 3)),
    "throughput_vps": Column("videos/s, best batch", significant, _timing("best_videos_per_s")),
    "peak_memory_mb": Column("peak memory (MB)", _thousands, lambda m: m.efficiency.peak_memory_mb),
    "top1": Column("top-1 (%)", _decimals(1), lambda m: m.average("top1")),
    "top5": Column("top-5 (%)", _decimals(1), lambda m: m.average("top5")),
    "sd": Column("standard deviation", _decimals(1), lambda m: m.spread()),
    "interval": Column("95 % t-interval", read=lambda m: show_interval(m.interval())),
    "seeds": Column("seeds", str, _behind("seeds")),
    "coverage": Column("clips evaluated / expected", read=_behind("coverage")),
    "selection": Column("selection", read=_behind("selection")),
    "protocol": Column("protocol", read=_behind("protocol")),
    "recipe": Column("recipe", read=_behind("recipe")),
    "weights": Column("weights", read=_behind("weights")),
    "decoder": Column("decoder", read=_behind("decoder")),
    "device": Column("device", read=_behind("device")),
    "precision": Column("precision", read=_behind("precision")),
}
"""What a table may show of a measurement, by name; the figures carry published names."""

GAPS: dict[str, Column] = {
    "gap": Column("gap (points)", signed),
    "gap_interval": Column("gap, 95 % t-interval"),
    "pairs": Column("seeds"),
}
"""Columns of the table of orderings."""

RELATIVE = {"gflops", "params_m", "new_params_m", "tunable_params_m", "latency_ms"}
"""Figures whose difference is in per cent of the published one, not in the figure's unit."""

BEHIND = {
    "seeds",
    "pairs",
    "coverage",
    "selection",
    "protocol",
    "recipe",
    "weights",
    "decoder",
    "device",
}
"""What is no figure of its own but tells what is behind the figures."""
