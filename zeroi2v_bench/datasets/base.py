"""What a dataset module is.

A dataset is a module ``zeroi2v_bench/datasets/<name>.py`` with

* ``SPLITS``: the legal split names, the default first;
* ``NUM_CLASSES``;
* ``COUNTS``: split name to the official numbers of training and test clips; empty where every
  copy has its own;
* ``FLIP_PAIRS``: label to label for classes that a horizontal flip turns into each other;
* ``TREE``: the expected files and where to get them, shown when something is missing;
* ``load(root, spec) -> Splits``: all clips of the split, with paths. ``root`` is None where the
  user named no folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from zeroi2v_bench.registry import lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zeroi2v_bench.protocol import SplitSpec
    from zeroi2v_bench.types import Splits


class Dataset(Protocol):
    """The contract of a dataset module."""

    SPLITS: tuple[str, ...]
    NUM_CLASSES: int
    COUNTS: Mapping[str, tuple[int, int]]
    FLIP_PAIRS: Mapping[int, int]
    TREE: str

    def load(self, root: Path | None, spec: SplitSpec) -> Splits:
        """All clips of a split, before any few-shot draw.

        Raises:
            DataError: Files are missing or contradict each other; names every place looked at.
        """
        ...


def find_dataset(name: str) -> Dataset:
    """The dataset module of that name.

    Raises:
        UnknownNameError: No such dataset.
    """
    return lookup("datasets", name)
