"""UCF101: 101 classes, 13,320 clips cut from 25 groups of source videos, three splits by group.

Soomro et al., UCF101: a dataset of 101 human actions classes from videos in the wild, 2012.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zeroi2v_bench.datasets import _lists
from zeroi2v_bench.datasets._media import Entry, Lists, find_lists
from zeroi2v_bench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zeroi2v_bench.protocol import SplitSpec
    from zeroi2v_bench.types import Splits

SPLITS = ("1", "2", "3")
NUM_CLASSES = 101
COUNTS = {"1": (9537, 3783), "2": (9586, 3734), "3": (9624, 3696)}
FLIP_PAIRS: Mapping[int, int] = {}
TREE = """\
  DIR/ucfTrainTestlist/{classInd,trainlist01,testlist01,...}.txt
  DIR/UCF-101/CLASS/v_CLASS_gGG_cCC.avi   (or flat, or extracted frames NAME/img_00001.jpg)
Data: https://www.crcv.ucf.edu/data/UCF101.php
  (UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip)"""

PLACES = (
    "ucfTrainTestlist",
    "UCF101TrainTestSplits-RecognitionTask/ucfTrainTestlist",
    "annotations",
)
_LINE = re.compile(r"([^/]+)/(\S[^/]*?)(?: (\d+))?$")
_GROUPED = re.compile(r"v_(.+_g\d+)_c\d+$")


def load(root: Path | None, spec: SplitSpec) -> Splits:
    """The clips of a split, from the official lists; classes in the order of ``classInd.txt``.

    That order is not the one of ``sorted``: it has Hammering before HammerThrow and JumpingJack
    before JumpRope.

    Raises:
        DataError: Missing or malformed files.
    """
    base, folder = find_lists(root, "ucf101", TREE, PLACES)
    names = _lists.check_classes(
        read_classes(folder / "classInd.txt"), NUM_CLASSES, folder / "classInd.txt"
    )
    labels = {name: label for label, name in enumerate(names)}
    number = int(spec.name)
    lists = Lists(
        dataset="ucf101",
        root=base,
        class_names=names,
        train=read_side(folder / f"trainlist{number:02d}.txt", labels),
        test=read_side(folder / f"testlist{number:02d}.txt", labels),
        group=group_of,
    )
    return _lists.apply_lists(lists, spec)


def read_classes(path: Path) -> list[str]:
    """Class names in label order, from lines ``1 ApplyEyeMakeup`` that count from 1.

    Raises:
        DataError: Numbers that do not count 1, 2, 3 and so on.
    """
    names = []
    for number, line in enumerate(_lists.read_lines(path), 1):
        index, _, name = line.partition(" ")
        if index != str(number) or not name:
            raise DataError(f"{path}: expected '{number} NAME', got {line!r}")
        names.append(name.strip())
    return names


def read_side(path: Path, labels: Mapping[str, int]) -> list[Entry]:
    """The clips of ``CLASS/NAME.avi [NUMBER]`` lines; the number, from 1, must be the class's.

    Raises:
        DataError: A malformed line, or a number or class that ``classInd.txt`` contradicts.
    """
    entries = []
    for line in _lists.read_lines(path):
        match = _LINE.match(_lists.check_local(line, path))
        label = labels.get(match[1]) if match else None
        if match is None or label is None or match[3] not in {None, str(label + 1)}:
            raise DataError(f"{path}: {line!r} is not 'CLASS/NAME.avi NUMBER' as in classInd.txt")
        expected = f"UCF-101/{match[1]}/{match[2]}"
        entries.append(Entry(_lists.stem_of(match[2]), label, expected))
    return entries


def group_of(clip_id: str) -> str:
    """Class and group, such as ``Archery_g05``; clips of a group show one scene."""
    match = _GROUPED.match(clip_id)
    return match[1] if match else ""
