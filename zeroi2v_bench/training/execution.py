"""How a run is carried out: devices, processes, checkpoints; not meant to move a number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.data.frame_cache import CacheKind
    from zeroi2v_bench.types import Clip

SMALL_FILE_BYTES = 64 * 1024
PROBED_FILES = 16
MOST_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a run is carried out.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        workers: Processes that read clips, per device; None lets `default_workers` choose.
        micro_batch: Most clips per device at once in training; gradients add up to the protocol's
            batch. None takes a device's whole share of the batch.
        compiled: Train through ``torch.compile``.
        channels_last: Lay out the patch embedding for channels-last convolution (CUDA).
        save_minutes: Minutes between two checkpoints of a training.
        save_steps: Also save after so many steps.
        decoder: "pyav", or one that seeks: "decord" or "torchcodec".
        cache: Where decoded frames are kept: "ram", "disk" or "off".
        cache_gb: Largest size of that; see `frame_cache.open_cache`.
        tensorboard: Log to TensorBoard beside the record.
    """

    device: str = "cpu"
    workers: int | None = None
    micro_batch: int | None = None
    compiled: bool = False
    channels_last: bool = False
    save_minutes: float = 5.0
    save_steps: int | None = None
    decoder: str = "pyav"
    cache: CacheKind = "ram"
    cache_gb: float | None = None
    tensorboard: bool = False

    @property
    def on_cuda(self) -> bool:
        """Whether the device is an NVIDIA (or ROCm) one."""
        return self.device.startswith("cuda")


IN_THIS_PROCESS = Execution()
"""On the CPU, with everything left to its default."""


def default_workers(clips: Sequence[Clip]) -> int:
    """Processes to read these clips with, per device.

    Small files (the embedded digits) are decoded faster than they are handed over: none. Else one
    for each core of this device's share but one, eight at most.
    """
    some = [Path(clip.path) for clip in clips[:: max(1, len(clips) // PROBED_FILES)]]
    files = [path for path in some if path.is_file()]
    folders = any(path.is_dir() for path in some)
    if not folders and sum(f.stat().st_size for f in files) <= SMALL_FILE_BYTES * len(files):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = (cores or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_WORKERS, share - 1))
