"""Records of what models cost: counts, and times taken side by side in one process. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.records import (
    COSTS,
    BackboneInfo,
    Efficiency,
    Environment,
    read_as,
    write_once,
)
from zeroi2v_bench.strict import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

State = Literal["plain", "plain again", "unmerged", "merged", "as trained"]
"""Which model a row is. "plain again" is the plain model once more: its ratio is the noise.
"as trained" is a model that has nothing to merge, or cannot be merged."""


class Spread(Frozen):
    """A median over rounds, between its quartiles or the ends of its 95 % interval."""

    median: float
    low: float
    high: float


class Timing(Frozen):
    """Times of one model, from rounds in which every model had its turn.

    Attributes:
        latency_ms: One video (all its views) at batch 1; with quartiles.
        latency_ratio: Latency over that of the plain backbone in the same round; with the 95 %
            interval of the median.
        batch: Videos in the fixed batch.
        videos_per_s: Throughput at the fixed batch; with quartiles.
        best_batch: The largest power of two times the fixed batch that fits, up to the cap.
        best_videos_per_s: Throughput at that batch; with quartiles.
        peak_memory_mb: Weights, input and live activations of one video at batch 1, at their
            highest; without kernels' scratch space on a CPU.
    """

    latency_ms: Spread
    latency_ratio: Spread
    batch: int
    videos_per_s: Spread
    best_batch: int
    best_videos_per_s: Spread
    peak_memory_mb: float


class CostRow(Frozen):
    """One model.

    Attributes:
        method: Its module; "plain" is the image model with a classifier on the mean frame.
        label: The method, with the parameters that were given for it.
        params: All parameters, defaults included.
        costs: ``latency_ms`` and so on repeat the medians of ``timing``.
    """

    method: str
    label: str
    params: dict[str, Any]
    state: State
    backbone: BackboneInfo
    image_size: int
    costs: Efficiency
    timing: Timing | None = None


class Conditions(Frozen):
    """How times were taken.

    Attributes:
        precision: Of weights and activations.
        float32_matmul: Torch's setting for products in float32 ("highest" is exact).
        compiled: Through ``torch.compile``.
        rounds: Rounds of latency; in each, every model had its turn.
        throughput_rounds: The same for throughput.
        with_decode: Whether reading the video is part of the time.
        video: What was read then.
    """

    device: str
    precision: Literal["fp32", "bf16", "fp16"]
    float32_matmul: str
    threads: int
    compiled: bool
    rounds: int
    throughput_rounds: int
    with_decode: bool = False
    video: str = ""


class CostRecord(Frozen):
    """One call of ``measure``: models side by side."""

    kind: Literal["cost"] = "cost"
    schema_version: Literal[1] = 1
    run_id: str
    created: str
    num_frames: int
    crops: int
    clips: int
    num_classes: int
    conditions: Conditions | None
    rows: tuple[CostRow, ...]
    environment: Environment

    @property
    def views(self) -> str:
        """Frames x crops x clips, as the papers print it."""
        return f"{self.num_frames}x{self.crops}x{self.clips}"


def append_costs(record: CostRecord, root: Path) -> Path:
    """Write a new record under ``root/costs/``; an existing file is never replaced.

    Raises:
        RecordError: A record of that id exists, or the folder cannot be written.
    """
    return write_once(record, root / COSTS / f"{record.run_id}.json")


def load_costs(roots: Iterable[Path]) -> tuple[list[CostRecord], list[str]]:
    """Read every cost record under the folders, oldest first.

    Returns:
        The records, and one line for each file that could not be read.
    """
    records: list[CostRecord] = []
    problems: list[str] = []
    seen: dict[str, Path] = {}
    for path in sorted(path for root in roots for path in (root / COSTS).glob("*.json")):
        try:
            record = read_as(CostRecord, path)
        except RecordError as error:
            problems.append(str(error))
            continue
        if (first := seen.setdefault(record.run_id, path)) is path:
            records.append(record)
        else:
            problems.append(f"{path}: same run id as {first}; the first is used")
    return sorted(records, key=lambda r: (r.created, r.run_id)), problems
