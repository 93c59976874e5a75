"""List files: one ``path label`` per line, as the published few-shot lists are."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from zeroi2v_bench.datasets._media import VIDEO_SUFFIXES, Entry, Lists, locate
from zeroi2v_bench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zeroi2v_bench.protocol import SplitSpec
    from zeroi2v_bench.types import Splits

_NETWORK = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:|^//|\\")
_FRAME_COUNT = re.compile(r" \d+$")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without surrounding blanks; empty ones are left out.

    Raises:
        DataError: The file cannot be read as UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return [line for raw in text.split("\n") if (line := raw.strip())]


def stem_of(path: str) -> str:
    """The file's name without its folder and without a video suffix; other dots stay."""
    name = path.rstrip("/").rpartition("/")[2]
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in VIDEO_SUFFIXES else name


def check_local(path: str, source: Path) -> str:
    """The path, if it stays below the data root.

    Raises:
        DataError: It is absolute, has ``..`` in it, or is a network location.
    """
    if _NETWORK.search(path):
        raise DataError(f"{source}: {path!r} is not a file below the data root; URLs are refused")
    if path.startswith("/") or ".." in path.split("/"):
        raise DataError(
            f"{source}: {path!r} leaves the data root; write it relative to that, without '..'"
        )
    return path


def read_list(path: Path) -> list[Entry]:
    """The entries of a list file, split on the last space; labels count from 0.

    A count of frames between path and label, as lists of extracted frames have it, is dropped.

    Raises:
        DataError: A malformed line, or a path that leaves the data root.
    """
    entries = []
    for number, line in enumerate(read_lines(path), 1):
        name, _, label = line.rpartition(" ")
        if not name or not label.isdecimal():
            raise DataError(f"{path}:{number}: expected 'path label', got {line!r}")
        if not name.lower().endswith(VIDEO_SUFFIXES):
            name = _FRAME_COUNT.sub("", name)
        name = check_local(name.strip(), path)
        entries.append(Entry(stem_of(name), int(label), name))
    if not entries:
        raise DataError(f"{path}: no lines in it")
    return entries


def find_list(name: str, root: Path) -> Path:
    """The list file of that name: from the working folder, else from the data root.

    Raises:
        DataError: It is in neither.
    """
    places = [Path(name), root / name]
    for path in places:
        if path.is_file():
            return path
    raise DataError(f"list file {name!r} is at none of {', '.join(map(str, places))}")


def official_ids(entries: Sequence[Entry], lists: Lists) -> list[Entry]:
    """The entries under the ids that the official lists give their clips."""
    known = {lists.key(entry.id): entry.id for entry in (*lists.train, *lists.test)}
    return [entry._replace(id=known.get(lists.key(entry.id), entry.id)) for entry in entries]


def check_labels(entries: Sequence[Entry], labels: Mapping[str, int], names: Sequence[str]) -> None:
    """Refuse labels out of range, and labels that the official lists contradict.

    Raises:
        DataError: Names the first one.
    """
    for entry in entries:
        if entry.label >= len(names):
            raise DataError(
                f"{entry.expected}: label {entry.label}, but labels are 0 to {len(names) - 1}"
            )
        if (official := labels.get(entry.id, entry.label)) != entry.label:
            raise DataError(
                f"{entry.expected}: label {entry.label} ({names[entry.label]!r}), but officially "
                f"{official} ({names[official]!r}); labels count from 0, in the official order"
            )


def apply_lists(lists: Lists, spec: SplitSpec) -> Splits:
    """The clips of the official lists, or of the list files that replace a side of them.

    Raises:
        DataError: A list file that is missing, malformed or contradicts the official labels, or
            no media at all.
    """
    return locate(
        dataclasses.replace(
            lists,
            train=_replaced(lists, lists.train, spec.train_list),
            test=_replaced(lists, lists.test, spec.test_list),
        )
    )


def _replaced(lists: Lists, official: Sequence[Entry], name: str | None) -> Sequence[Entry]:
    if name is None:
        return official
    entries = official_ids(read_list(find_list(name, lists.root)), lists)
    labels = {entry.id: entry.label for entry in (*lists.train, *lists.test)}
    check_labels(entries, labels, lists.class_names)
    return entries


def check_classes(found: Sequence[str], expected: int, source: Path) -> tuple[str, ...]:
    """The class names, if there are as many as the dataset has.

    Raises:
        DataError: Another number, which would change the classifier unseen.
    """
    if len(found) != expected:
        raise DataError(f"{source}: {len(found)} classes, but the dataset has {expected}")
    return tuple(found)
