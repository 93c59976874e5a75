"""HMDB51: 51 classes, 6,766 clips, three splits of 70 training and 30 test clips per class.

Kuehne et al., HMDB: a large video database for human motion recognition, ICCV 2011.
"""

from __future__ import annotations

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
NUM_CLASSES = 51
COUNTS = {split: (3570, 1530) for split in SPLITS}
FLIP_PAIRS: Mapping[int, int] = {}
TREE = """\
  DIR/testTrainMulti_7030_splits/CLASS_test_split{1,2,3}.txt
  DIR/[videos/]CLASS/NAME.avi        or extracted frames CLASS/NAME/img_00001.jpg
Data: https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database
  (hmdb51_org.rar holds one .rar per class; test_train_splits.rar holds the lists)"""

PLACES = ("testTrainMulti_7030_splits", "test_train_splits/testTrainMulti_7030_splits", "splits")
TRAIN, TEST = "1", "2"


def load(root: Path | None, spec: SplitSpec) -> Splits:
    """The clips of a split, from the official list of each class.

    Classes are in the order of their names. (The order of the list files' names is another one:
    ``climb_stairs_test`` comes before ``climb_test``.)

    Raises:
        DataError: Missing or malformed files.
    """
    base, folder = find_lists(root, "hmdb51", TREE, PLACES)
    ending = f"_test_split{spec.name}.txt"
    files = {path.name.removesuffix(ending): path for path in folder.glob(f"*{ending}")}
    names = _lists.check_classes(sorted(files), NUM_CLASSES, folder / f"*{ending}")
    sides: dict[str, list[Entry]] = {TRAIN: [], TEST: [], "0": []}
    for label, name in enumerate(names):
        for side, entry in read_class(files[name], name, label):
            sides[side].append(entry)
    lists = Lists(
        dataset="hmdb51", root=base, class_names=names, train=sides[TRAIN], test=sides[TEST]
    )
    return _lists.apply_lists(lists, spec)


def read_class(path: Path, name: str, label: int) -> list[tuple[str, Entry]]:
    """(side, entry) of each line ``NAME.avi SIDE``; side 0 is used in neither set.

    Raises:
        DataError: A malformed line.
    """
    found = []
    for line in _lists.read_lines(path):
        file, _, side = line.rpartition(" ")
        file = file.strip()
        if side not in {TRAIN, TEST, "0"} or not file or "/" in _lists.check_local(file, path):
            raise DataError(f"{path}: expected 'NAME.avi 0|1|2', got {line!r}")
        found.append((side, Entry(_lists.stem_of(file), label, f"{name}/{file}")))
    return found
