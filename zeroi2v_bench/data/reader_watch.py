"""Processes that read clips: which clip each is at, and what to say when one hangs or dies."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.utils.data import get_worker_info

from zeroi2v_bench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch.utils.data import DataLoader

    from zeroi2v_bench.data.loader import Batch, Sample
    from zeroi2v_bench.types import Clip

CLIP_LIMIT_S = 60.0
"""A clip that takes its reader longer is given up, and the run with it."""
PROBED_FILES = 50


class ReadingBoard:
    """Which clip each worker reads, and since when; it outlives the workers.

    Args:
        workers: Number of processes that will read.
    """

    def __init__(self, workers: int) -> None:
        self.rows = torch.full((workers,), -1, dtype=torch.int64).share_memory_()
        self.since_s = torch.zeros(workers, dtype=torch.float64).share_memory_()

    @contextmanager
    def reading(self, row: int) -> Iterator[None]:
        """Note the clip for as long as this worker reads it; nothing outside of workers."""
        worker = get_worker_info()
        if worker is None:
            yield
            return
        self.since_s[worker.id] = time.monotonic()
        self.rows[worker.id] = row
        try:
            yield
        finally:
            self.rows[worker.id] = -1

    def being_read(self, longer_than_s: float = 0.0) -> list[int]:
        """Rows of the clips that are being read, or were when their reader died."""
        now = time.monotonic()
        noted = zip(self.rows.tolist(), self.since_s.tolist(), strict=True)
        return [row for row, since_s in noted if row >= 0 and now - since_s >= longer_than_s]


def start_worker(number: int) -> None:
    """Leave Ctrl-C to the main process, and die of SIGTERM whatever that does with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def clear_reader_faults(loader: DataLoader[Sample]) -> Iterator[None]:
    """Turn the death of a worker, which torch may report anywhere, into one clear line.

    Raises:
        DataError: A reader died; names the clips that were being read.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(f"a process that reads clips died{_culprits(loader)}") from error


def batches_of(loader: DataLoader[Sample]) -> Iterator[Batch]:
    """The loader's batches; a reader that hangs or dies and data that vanished are errors.

    Raises:
        DataError: A clip took longer than the limit (its reader is killed), a reader died, or no
            file is there any more.
    """
    with clear_reader_faults(loader):
        source = iter(loader)
        while True:
            try:
                batch: Batch = next(source)
            except StopIteration:
                return
            except RuntimeError as error:
                if "timed out" not in str(error):
                    raise
                _require_progress(loader)
                continue
            if any(status.startswith("unreadable") for status in batch.status.values()):
                require_files(loader.dataset.clips)  # type: ignore[attr-defined]
            yield batch


def _require_progress(loader: DataLoader[Sample]) -> None:
    board: ReadingBoard = loader.dataset.board  # type: ignore[attr-defined]
    if board.being_read(CLIP_LIMIT_S):
        raise DataError(
            f"a process that reads clips hangs{_culprits(loader, CLIP_LIMIT_S)}, for more than "
            f"{CLIP_LIMIT_S:g} s"
        )


def _culprits(loader: DataLoader[Sample], longer_than_s: float = 0.0) -> str:
    board: ReadingBoard = loader.dataset.board  # type: ignore[attr-defined]
    clips: Sequence[Clip] = loader.dataset.clips  # type: ignore[attr-defined]
    paths = [clips[row].path for row in board.being_read(longer_than_s)]
    if not paths:
        return ""
    return f" at {' or '.join(paths)} (`zeroi2v-bench data index` finds and marks such clips)"


def require_files(clips: Sequence[Clip]) -> None:
    """Tell data that vanished from single clips that cannot be read.

    Raises:
        DataError: Of many files, spread over the list, none is there.
    """
    some = clips[:: max(1, len(clips) // PROBED_FILES)]
    # os.path.exists is False, where Path.exists may raise, for a file behind a mount that broke.
    if some and not any(os.path.exists(clip.path) for clip in some):  # noqa: PTH110
        raise DataError(
            f"the data is gone: none of {len(some)} files exists, e.g. {some[0].path}; "
            "is the folder still mounted?"
        )
