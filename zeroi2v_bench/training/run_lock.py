"""One process at a time works on a run; different runs share a results folder freely."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from zeroi2v_bench.distributed import gather, is_first
from zeroi2v_bench.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 10.0
"""Readers of a run that was killed hold its lock until they notice, some seconds later."""


@contextmanager
def sole_run(path: Path) -> Iterator[None]:
    """Hold the lock of a run, and clear away what a killed attempt was writing.

    Args:
        path: Of the record to be.

    Raises:
        RecordError: Another process is at this very run, or the folder cannot be written.
    """
    lock = FileLock(path.with_name(f".{path.stem}.lock"))
    if problem := gather(_acquire(lock, path) if is_first() else "")[0]:
        raise RecordError(problem)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, path: Path) -> str:
    """Take the lock; the reason if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=PATIENCE_S)
        for stale in path.parent.glob(f".{path.stem}.*"):
            if stale.name != f".{path.stem}.lock":
                stale.unlink()
    except Timeout:
        return f"another process is at this very run ({path.name}); wait until it is recorded"
    except OSError as error:
        return f"cannot write in {path.parent}: {error.strerror or error}"
    return ""
