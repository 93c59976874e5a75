"""Decoded frames kept as files that are mapped into memory, in RAM or on disk.

All processes of a run share them, and so do later runs on the same clips. A file is complete or
not there; its name covers what the frames depend on, so that a file that changes is read anew. Of
images that are overwritten in place in their folder nothing is noticed.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from zeroi2v_bench.datasets.moving_digits import cache_folder
from zeroi2v_bench.distributed import gather
from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.records import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

CacheKind = Literal["ram", "disk", "off"]
DEFAULT_GB: dict[CacheKind, float] = {"ram": 2.0, "disk": 50.0, "off": 0.0}
SCANNED_SHARE = 0.01
"""A process looks at the whole folder again after it has added this share of the limit."""
RAM_FOLDER = "zeroi2v_bench-frames-"


class FrameCache:
    """Frames by key, in one folder of bounded size.

    Where there is no room, what no run has used since `begin_run` goes first; what this run uses
    stays, so that an epoch that does not fit keeps its hits. Of several processes each may exceed
    the limit by a hundredth.

    Args:
        folder: Where the files lie.
        limit_bytes: Largest size of all of them.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._used = 0
        self._unscanned = limit_bytes
        self._unused: list[tuple[str, int]] = []
        self.full = False
        self.begin_run()

    def begin_run(self) -> None:
        """Let frames that are not used from now on make room for others."""
        self._began = time.time()
        self._unscanned = self.limit_bytes
        self.full = False

    def get(self, key: str) -> tuple[np.ndarray, bool] | None:
        """The frames, mapped and not writable, and whether they are damaged; None if not kept."""
        for path in (self._path(key, False), self._path(key, True)):
            try:
                if path.stat().st_mtime < self._began:
                    os.utime(path)
                return np.load(path, mmap_mode="r"), path.suffixes[0] == ".damaged"
            except (OSError, ValueError):
                continue
        return None

    def put(self, key: str, frames: np.ndarray, damaged: bool) -> None:
        """Keep the frames if there is room for them."""
        if not self._make_room(frames.nbytes):
            self.full = True
            return
        buffer = io.BytesIO()
        np.save(buffer, frames)
        try:
            write_atomically(self._path(key, damaged), buffer.getvalue())
        except RecordError:  # the file system is smaller than the limit: read on without it
            self.full = True
        self._used += frames.nbytes
        self._unscanned += frames.nbytes

    def _path(self, key: str, damaged: bool) -> Path:
        return self.folder / f"{key}{'.damaged' if damaged else ''}.npy"

    def _make_room(self, num_bytes: int) -> bool:
        if self._unscanned >= SCANNED_SHARE * self.limit_bytes:
            self._scan()
        while self._used + num_bytes > self.limit_bytes and self._unused:
            path, size = self._unused.pop()
            self._used -= size
            Path(path).unlink(missing_ok=True)
        return self._used + num_bytes <= self.limit_bytes

    def _scan(self) -> None:
        """Count what all processes have written, and find what could go."""
        files = list(self._files())
        self._used = sum(file.stat().st_size for file in files)
        files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
        unused = (file for file in files if file.stat().st_mtime < self._began)
        self._unused = [(file.path, file.stat().st_size) for file in unused]
        self._unscanned = 0

    def _files(self) -> Iterator[os.DirEntry[str]]:
        if self.folder.is_dir():
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    try:
                        entry.stat()  # kept in the entry: another process may delete the file
                    except OSError:
                        continue
                    yield entry


def frames_key(path: str, *parts: object) -> str:
    """Name of a clip's frames: of the file as it is now, and whatever else they depend on.

    Raises:
        OSError: There is no such file.
    """
    found = Path(path).stat()
    place = (str(Path(path).absolute()), found.st_size, found.st_mtime_ns, *parts)
    return hashlib.sha256(repr(place).encode()).hexdigest()[:32]


def open_cache(kind: CacheKind, gigabytes: float | None = None) -> FrameCache | None:
    """A cache of that kind; None for "off".

    Args:
        kind: "ram" lives as long as this process, and that of the group's first process on this
            machine is used by all of them; "disk" stays in the cache folder.
        gigabytes: Largest size; None is 2 in RAM and 50 on disk. RAM takes half of what is free
            at most.
    """
    if kind == "off":
        return None
    limit = int(1e9 * (DEFAULT_GB[kind] if gigabytes is None else gigabytes))
    if kind == "disk":
        return FrameCache(cache_folder() / "frames", limit)
    own, machine = _ram_folder(), platform.node()
    folder = next(found for name, found in gather((machine, own)) if name == machine)
    cache = FrameCache(folder, min(limit, shutil.disk_usage(folder).free // 2))
    weakref.finalize(cache, _remove, own, os.getpid())
    return cache


def _ram_folder() -> Path:
    """A folder of this process in shared memory; those that killed processes left are removed."""
    shared = Path("/dev/shm")  # on Linux; elsewhere the temporary folder has to do
    parent = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    for old in parent.glob(f"{RAM_FOLDER}*"):
        if not _is_running(int(old.name.removeprefix(RAM_FOLDER).partition("-")[0])):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{RAM_FOLDER}{os.getpid()}-", dir=parent))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked worker
        shutil.rmtree(folder, ignore_errors=True)
