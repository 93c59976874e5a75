"""Scan a dataset once: decoded frame counts, sizes, verdicts and hashes, kept beside the results.

The index is a cache. An entry is valid as long as the file has the size and time of change that
it was scanned with; lines that cannot be read are scanned again. A folder of frames has those of
the folder itself: images added or removed are noticed, images overwritten in place are not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from zeroi2v_bench.data.killable import map_killable
from zeroi2v_bench.datasets._media import DATA_ROOT_VARIABLE, iter_media
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import DataError, DecodeError
from zeroi2v_bench.protocol import SplitSpec
from zeroi2v_bench.records import write_atomically
from zeroi2v_bench.video.decode import probe_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LIMIT_S = 60.0
"""A clip that takes longer is given up."""


class ClipInfo(NamedTuple):
    """What a scan found in one file or folder of frames.

    Attributes:
        path: As in ``Clip.path``, absolute.
        size, mtime_ns: Of the file when it was scanned.
        verdict: "ok", "damaged", "unreadable", or "failed": the reader hung or died.
        reason: Why it is not ok.
        num_frames, width, height, codec: Decoded, not read from a header; 0 where unreadable.
        sha256: Of the content (of names and sizes, for a folder).
    """

    path: str
    size: int
    mtime_ns: int
    verdict: str
    reason: str = ""
    num_frames: int = 0
    width: int = 0
    height: int = 0
    codec: str = ""
    sha256: str = ""

    @property
    def valid(self) -> bool:
        """Whether the file is still the one that was scanned."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - called for every clip of a run
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)


class ClipIndex(Mapping[str, ClipInfo]):
    """Path to what the scan found; a file that has changed since counts as not scanned.

    Images that were overwritten in place do not change their folder, see the module's docstring.
    """

    def __init__(self, infos: Iterable[ClipInfo] = ()) -> None:
        self._infos = {info.path: info for info in infos}

    def __getitem__(self, path: str) -> ClipInfo:
        """The entry of a file.

        Raises:
            KeyError: Not scanned, or changed since.
        """
        info = self._infos[path]
        if not info.valid:
            raise KeyError(path)
        return info

    def __iter__(self) -> Iterator[str]:
        """All scanned paths."""
        return iter(self._infos)

    def __len__(self) -> int:
        """Number of scanned paths."""
        return len(self._infos)


def index_path(results: Path, dataset: str, root: Path | None) -> Path:
    """Where the index of a dataset folder lies."""
    named = root or os.environ.get(DATA_ROOT_VARIABLE)
    folder = str(Path(named).absolute()) if named else "embedded"
    digest = hashlib.sha256(folder.encode()).hexdigest()[:12]
    return results / "index" / f"{dataset}-{digest}.jsonl"


def load_index(results: Path, dataset: str, root: Path | None) -> ClipIndex:
    """The index of a dataset folder; empty where none has been made.

    Args:
        results: The results folder.
        dataset: Name of the dataset.
        root: The data root, as given to the run.
    """
    return ClipIndex(_read(index_path(results, dataset, root)))


def _read(path: Path) -> Iterator[ClipInfo]:
    for source in (path, _partial(path)):
        if source.is_file():
            for line in source.read_text(encoding="utf-8").splitlines():
                try:
                    yield ClipInfo(**json.loads(line))
                except (ValueError, TypeError):  # the line that a killed scan was writing
                    continue


def _partial(path: Path) -> Path:
    return path.with_suffix(".part")


def media_of(dataset: str, root: Path | None) -> tuple[set[str], set[str]]:
    """Paths of the clips of all splits that are there, and of other media beside them.

    Raises:
        DataError: The dataset is not there.
    """
    module = find_dataset(dataset)
    loaded = [module.load(root, SplitSpec(name=split)) for split in module.SPLITS]
    listed = {clip.path for splits in loaded for clip in (*splits.train, *splits.test)}
    present = {path for path in listed if os.path.exists(path)}  # noqa: PTH110 - never raises
    folders = {Path(path).name for path in present if Path(path).is_dir()}
    common = Path(os.path.commonpath([Path(path).parent for path in present]))
    found = {path for _, path in iter_media(common, folders.__contains__)}
    return present, found - listed


def scan_clip(path: str) -> ClipInfo:
    """Decode one clip to its end, and hash it."""
    found = Path(path).stat()
    sha256 = _hash(Path(path))
    info = ClipInfo(path, found.st_size, found.st_mtime_ns, "ok", sha256=sha256)
    try:
        video = probe_video(path)
    except DecodeError as error:
        return info._replace(verdict="unreadable", reason=str(error))
    return info._replace(
        verdict="damaged" if video.damaged else "ok",
        reason=video.damage,
        num_frames=video.num_frames,
        width=video.width,
        height=video.height,
        codec=video.codec,
    )


def _hash(path: Path) -> str:
    if path.is_dir():
        lines = sorted(f"{file.name} {file.stat().st_size}" for file in path.iterdir())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build_index(
    dataset: str,
    root: Path | None,
    results: Path,
    *,
    workers: int = 1,
    limit_s: float = LIMIT_S,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> ClipIndex:
    """Scan what has not been scanned yet; a scan that was stopped goes on where it was.

    Args:
        dataset: Name of the dataset.
        root: Its folder; nothing is written there.
        results: The index is written to its subfolder ``index``.
        workers: Processes that read.
        limit_s: A clip that takes longer is given up, and tried again by the next scan.
        advance: Called with the numbers of clips done and to do.

    Raises:
        DataError: The dataset is not there, another scan is at work, or the partial index cannot
            be written.
        RecordError: The index cannot be written.
    """
    paths = sorted(set[str]().union(*media_of(dataset, root)))
    path = index_path(results, dataset, root)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"), timeout=0).acquire()
    with lock:
        known = ClipIndex(_read(path))
        done = [info for p in paths if (info := known.get(p)) and info.verdict != "failed"]
        missing = sorted(set(paths) - {info.path for info in done})
        advance(len(done), len(paths))
        for info in _scan(missing, _partial(path), workers, limit_s):
            done.append(info)
            advance(len(done), len(paths))
        _write(done, path)
    return ClipIndex(done)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Around nothing but what locks and writes: reading clips has errors of its own."""
    try:
        yield
    except Timeout as error:
        raise DataError(f"{path}: another scan is writing it; wait for that") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _write(infos: Iterable[ClipInfo], path: Path) -> None:
    lines = sorted(json.dumps(info._asdict()) + "\n" for info in infos)
    write_atomically(path, "".join(lines).encode())
    with _writing(path):
        _partial(path).unlink(missing_ok=True)


def _scan(paths: list[str], partial: Path, workers: int, limit_s: float) -> Iterator[ClipInfo]:
    """Scan clips, and append each to the partial file as soon as it is known."""
    _append("\n", partial)  # ends a line that a killed scan left unfinished
    for answer in map_killable(scan_clip, paths, workers=workers, limit_s=limit_s):
        info = answer.value or _failed(answer.task, answer.failure)
        _append(json.dumps(info._asdict()) + "\n", partial)
        yield info


def _append(text: str, path: Path) -> None:
    with _writing(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def _failed(path: str, reason: str) -> ClipInfo:
    try:
        found = Path(path).stat()
    except OSError:
        return ClipInfo(path, 0, 0, "failed", reason)
    return ClipInfo(path, found.st_size, found.st_mtime_ns, "failed", reason)
