"""Find the files of a dataset on disk, and turn what its lists say into clips with paths."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zeroi2v_bench.errors import DataError
from zeroi2v_bench.types import Clip, Splits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

DATA_ROOT_VARIABLE = "ZEROI2V_BENCH_DATA_ROOT"
"""Environment variable that names the data root where no ``--data-root`` is given."""
VIDEO_SUFFIXES = (".avi", ".webm", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")
"""What counts as a video; of two files of one name the earlier suffix here is taken."""
DEPTH = 4
"""Folders below the data root that are searched for media."""
WEIGHTS = (
    "Weights: open_clip and timm fetch theirs on first use, or take a file "
    "(--backbone openclip:ViT-B-16-quickgelu/FILE); released ZeroI2V checkpoints: "
    "https://github.com/MCG-NJU/ZeroI2V. "
    "Without any data or weights, `zeroi2v-bench run` uses its embedded digits."
)
_FRAME = re.compile(r"\d\.(jpe?g|png)$", re.IGNORECASE)


class Entry(NamedTuple):
    """One line of a list: a clip, its label, and where its file is expected below the root."""

    id: str
    label: int
    expected: str


@dataclass(frozen=True, kw_only=True)
class Lists:
    """What a dataset's own files say, before media are looked for.

    Attributes:
        dataset: Name of the dataset's module.
        root: The folder that the lists were found in.
        class_names: K names in label order.
        train, test: The clips of both sides; a clip's id is its file's name without suffix.
        key: The part of a file's stem that tells which clip it is; copies differ in the rest.
        group: Name of the source video of a clip, from its id.
    """

    dataset: str
    root: Path
    class_names: tuple[str, ...]
    train: Sequence[Entry]
    test: Sequence[Entry]
    key: Callable[[str], str] = str
    group: Callable[[str], str] = lambda clip_id: ""


def roots_of(root: Path | None, dataset: str, tree: str) -> tuple[Path, ...]:
    """The folders a dataset may lie in: the data root, or the one of its name in there.

    Raises:
        DataError: No folder was named, or it is not there; shows the expected tree.
    """
    named = root or os.environ.get(DATA_ROOT_VARIABLE)
    if not named:
        raise DataError(
            f"{dataset} needs its files: give --data-root DIR or set {DATA_ROOT_VARIABLE}\n"
            f"{tree}\n{WEIGHTS}"
        )
    folder = Path(named).absolute()
    if not folder.is_dir():
        raise DataError(f"data root {folder} is not a folder; expected for {dataset}:\n{tree}")
    return (folder, folder / dataset)


def find_lists(
    root: Path | None, dataset: str, tree: str, places: Sequence[str]
) -> tuple[Path, Path]:
    """The folder a dataset lies in, and the first of the places below it that exists.

    Raises:
        DataError: None does; names every place looked at.
    """
    looked = [(base, base / place) for base in roots_of(root, dataset, tree) for place in places]
    for base, path in looked:
        if path.exists():
            return base, path
    places_looked = ", ".join(str(path) for _, path in looked)
    raise DataError(f"{dataset}: its lists are at none of {places_looked}; expected:\n{tree}")


def iter_media(folder: Path, is_clip: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """(stem, path) of every video file and every folder of extracted frames below a folder.

    Args:
        folder: Searched `DEPTH` levels deep, in the order of names; hidden names are skipped.
        is_clip: Whether a folder of that name holds the frames of a clip; it is not entered.
    """
    yield from _iter_media(os.fspath(folder), is_clip, DEPTH)


def _iter_media(
    folder: str, is_clip: Callable[[str], bool], depth: int
) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error
    if depth < DEPTH and any(_FRAME.search(entry.name) for entry in entries):
        yield os.path.basename(folder), folder  # noqa: PTH119 - 200,000 Path objects are slow
        return
    for entry in entries:
        stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122
        if entry.name.startswith("."):
            continue
        if suffix.lower() in VIDEO_SUFFIXES:
            yield stem, entry.path
        elif entry.is_dir():
            if is_clip(entry.name):
                yield entry.name, entry.path
            elif depth:
                yield from _iter_media(entry.path, is_clip, depth - 1)


def _rank(path: str) -> tuple[bool, int]:
    """Smaller is better: CVDF's replacements of corrupted files, then the suffix's place."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    order = VIDEO_SUFFIXES.index(suffix) if suffix in VIDEO_SUFFIXES else len(VIDEO_SUFFIXES)
    return "replacement_for_corrupted" not in path, order


def find_media(lists: Lists, entries: Iterable[Entry]) -> dict[str, str]:
    """Clip id to path, for the clips that are on disk.

    Raises:
        DataError: Not one of them is there.
    """
    wanted = {entry.id for entry in entries}
    keys = {lists.key(clip_id): clip_id for clip_id in wanted}
    found: dict[str, str] = {}
    searched = others = 0
    for stem, path in iter_media(lists.root, lambda name: lists.key(name) in keys):
        searched += 1
        clip_id = stem if stem in wanted else keys.get(lists.key(stem))
        if clip_id is None:
            others += 1
        elif clip_id not in found or _rank(path) < _rank(found[clip_id]):
            found[clip_id] = path
    if not found:
        raise DataError(
            f"{lists.dataset}: none of its {len(wanted)} clips is below {lists.root} "
            f"({searched} media files there). Looked for NAME{{{','.join(VIDEO_SUFFIXES)}}} and "
            f"folders of frames NAME/ in {lists.root} and {DEPTH} levels of folders below it, "
            f"for example {next(iter(entries)).expected}"
        )
    return found


def locate(lists: Lists) -> Splits:
    """The clips with their paths, sorted by label and id.

    A clip whose file is missing keeps its place; its path is where its neighbours lie.

    Raises:
        DataError: Not one file is there. A clip listed twice is left to `splits.check_leaks`.
    """
    entries = [*lists.train, *lists.test]
    media = find_media(lists, entries)
    folders = {
        os.path.dirname(entry.expected): os.path.dirname(media[entry.id])  # noqa: PTH120
        for entry in entries
        if entry.id in media
    }

    def expected(entry: Entry) -> str:
        folder, name = os.path.split(entry.expected)
        return os.path.join(folders.get(folder, lists.root / folder), name)  # noqa: PTH118

    def clips(side: Sequence[Entry]) -> tuple[Clip, ...]:
        return tuple(
            Clip(
                id=entry.id,
                path=media.get(entry.id) or expected(entry),
                label=entry.label,
                group=lists.group(entry.id),
            )
            for entry in sorted(side, key=lambda entry: (entry.label, entry.id))
        )

    return Splits(train=clips(lists.train), test=clips(lists.test), class_names=lists.class_names)
