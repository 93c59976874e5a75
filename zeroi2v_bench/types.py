"""The values that flow between the steps. Nothing here imports torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np


def fingerprint(lines: Iterable[str]) -> str:
    """SHA-256 of the lines joined by newlines, as 64 hex digits."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One video of a split.

    Attributes:
        id: The name that the dataset's own lists give it; unique within a dataset.
        path: The file, or the folder of extracted frames.
        label: Class index, 0-based, in the order of ``Splits.class_names``.
        group: Clips of one group come from the same source video ("" where unknown).
    """

    id: str
    path: str
    label: int
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The clips to train on and to test on, in a fixed order.

    ``holdout`` was kept out of the training set to choose by; empty unless the protocol says so.
    """

    train: tuple[Clip, ...]
    test: tuple[Clip, ...]
    class_names: tuple[str, ...]
    holdout: tuple[Clip, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal clips and labels, wherever the files lie."""
        sides = (("train", self.train), ("test", self.test), ("holdout", self.holdout))
        return fingerprint(f"{side}\t{c.id}\t{c.label}" for side, clips in sides for c in clips)

    @cached_property
    def class_names_hash(self) -> str:
        """Ties a classifier's outputs to the order of the class names."""
        return fingerprint(self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a method adapts a backbone to.

    Attributes:
        num_frames: Frames per view, T.
        class_names: The K class names, in label order.
    """

    num_frames: int
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """One row per expected test clip, in the split's order.

    Attributes:
        clip_ids: M clip ids.
        labels: (M,) int64, the true classes.
        scores: (M, K) float32, softmax averaged over views; NaN rows for clips without a score.
        status: M strings: "ok", or why there is no score ("unreadable", "damaged").
    """

    clip_ids: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    status: tuple[str, ...]
