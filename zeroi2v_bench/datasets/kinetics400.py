"""Kinetics-400: 400 classes, about 240,000 training and 19,900 validation clips of ten seconds.

Kay et al., The Kinetics human action video dataset, 2017. Clips vanish from their source, so
every copy differs: how many of the listed clips were evaluated stands in every record.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from zeroi2v_bench.datasets import _lists
from zeroi2v_bench.datasets._media import Entry, Lists, find_lists
from zeroi2v_bench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zeroi2v_bench.protocol import SplitSpec
    from zeroi2v_bench.types import Splits

SPLITS = ("default",)
NUM_CLASSES = 400
COUNTS: Mapping[str, tuple[int, int]] = {}
FLIP_PAIRS: Mapping[int, int] = {}
TREE = """\
  DIR/annotations/{train,val}.csv           (or validate.csv, kinetics_{train,val}.csv)
  DIR/{train,val}/ID_SSSSSS_EEEEEE.mp4      (flat, or in CLASS folders; also replacement/)
or, as mmaction2 arranges it,
  DIR/kinetics400_{train,val}_list_videos.txt with lines 'CLASS/NAME.mp4 LABEL'
  DIR/videos_{train,val}/CLASS/NAME.mp4
Data: https://github.com/cvdfoundation/kinetics-dataset"""

FOLDERS = ("annotations/", "", "kinetics400/", "k400/annotations/")
TRAIN_NAMES = (
    "train.csv",
    "kinetics_train.csv",
    "kinetics-400_train.csv",
    "kinetics400_train_list_videos.txt",
)
VAL_NAMES = {
    "train.csv": ("val.csv", "validate.csv"),
    "kinetics_train.csv": ("kinetics_val.csv",),
    "kinetics-400_train.csv": ("kinetics-400_val.csv",),
    "kinetics400_train_list_videos.txt": ("kinetics400_val_list_videos.txt",),
}


def load(root: Path | None, spec: SplitSpec) -> Splits:
    """The clips of the training and the validation set; classes in the order of their names.

    Raises:
        DataError: Missing or malformed files.
    """
    places = [folder + name for folder in FOLDERS for name in TRAIN_NAMES]
    base, train = find_lists(root, "kinetics400", TREE, places)
    _, val = find_lists(train.parent, "kinetics400", TREE, VAL_NAMES[train.name])
    read = read_csv_pair if train.suffix == ".csv" else read_list_pair
    names, train_entries, val_entries = read(train, val)
    lists = Lists(
        dataset="kinetics400",
        root=base,
        class_names=_lists.check_classes(names, NUM_CLASSES, train),
        train=train_entries,
        test=val_entries,
        key=youtube_id,
    )
    return _lists.apply_lists(lists, spec)


def youtube_id(stem: str) -> str:
    """The first 11 characters; copies differ in how they write the times behind it."""
    return stem[:11]


def read_csv_pair(train: Path, val: Path) -> tuple[list[str], list[Entry], list[Entry]]:
    """Sorted class names, training and validation clips, from the two CSV files."""
    rows = read_csv(train), read_csv(val)
    names = sorted({label for label, _ in rows[0]})
    labels = {name: label for label, name in enumerate(names)}
    return (names, to_entries(rows[0], labels, "train"), to_entries(rows[1], labels, "val"))


def read_csv(path: Path) -> list[tuple[str, str]]:
    """(label, clip id) of each row, by the names in the header: it has had five and six columns.

    Raises:
        DataError: A column is missing, or a time is no number.
    """
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                start, end = (int(float(row[f"time_{at}"])) for at in ("start", "end"))
                clip_id = _lists.check_local(f"{row['youtube_id']}_{start:06d}_{end:06d}", path)
                rows.append((row["label"].strip().strip("\"'"), clip_id))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: row {len(rows) + 1} lacks label, youtube_id, time_start or time_end: {error}"
        ) from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return rows


def to_entries(
    rows: Sequence[tuple[str, str]], labels: Mapping[str, int], side: str
) -> list[Entry]:
    """Entries of (label, clip id) rows.

    Raises:
        DataError: A class that the training list has not.
    """
    try:
        return [Entry(clip_id, labels[name], f"{side}/{clip_id}.mp4") for name, clip_id in rows]
    except KeyError as error:
        raise DataError(f"{side} list: class {error} is not in the training list") from error


def read_list_pair(train: Path, val: Path) -> tuple[list[str], list[Entry], list[Entry]]:
    """Class names from the folders in the training list, and the entries of both lists.

    Raises:
        DataError: A label with two class folders, or paths without one.
    """
    train_entries, val_entries = _lists.read_list(train), _lists.read_list(val)
    folders: dict[int, str] = {}
    for entry in train_entries:
        folder = entry.expected.rpartition("/")[0].rpartition("/")[2]
        if not folder or folders.setdefault(entry.label, folder) != folder:
            raise DataError(
                f"{train}: {entry.expected!r} has label {entry.label}, whose class folder is "
                f"{folders.get(entry.label, 'not in the path')!r}; expected CLASS/NAME.mp4"
            )
    names = [folders.get(label, "").replace("_", " ") for label in range(max(folders) + 1)]
    return names, _under("videos_train", train_entries), _under("videos_val", val_entries)


def _under(folder: str, entries: Sequence[Entry]) -> list[Entry]:
    return [entry._replace(expected=f"{folder}/{entry.expected}") for entry in entries]
