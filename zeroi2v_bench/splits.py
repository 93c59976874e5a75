"""From a protocol and a seed to the very clips that are trained on and tested on."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import DataError, ProtocolError
from zeroi2v_bench.types import Splits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.types import Clip


def load_splits(protocol: Protocol, data_root: Path | None, seed: int) -> Splits:
    """The clips of a protocol for one seed, checked for leaks.

    Args:
        protocol: Names the dataset, its split and the number of shots.
        data_root: The dataset's folder; None where it needs none.
        seed: Draws the K-shot training set; without effect on a full split.

    Raises:
        DataError: Missing files, or a clip on both sides.
        ProtocolError: A split that the dataset has not, or a class with fewer clips than shots.
    """
    dataset, spec = find_dataset(protocol.dataset), protocol.splits
    if spec.name not in dataset.SPLITS:
        legal = ", ".join(dataset.SPLITS)
        raise ProtocolError(
            f"{protocol.name}: splits.name={spec.name!r}, but {protocol.dataset} has {legal}"
        )
    full = dataset.load(data_root, spec)
    train = full.train
    if spec.shots is not None:
        train = draw_shots(train, full.class_names, spec.shots, seed)
    splits = Splits(train=train, test=full.test, class_names=full.class_names)
    check_leaks(splits)
    return splits


def draw_shots(
    clips: Sequence[Clip], class_names: Sequence[str], shots: int, seed: int
) -> tuple[Clip, ...]:
    """Exactly ``shots`` clips of every class, in class order; the same on every platform.

    Raises:
        ProtocolError: A class has fewer clips than shots.
    """
    of_class: dict[int, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.id):
        of_class[clip.label].append(clip)
    drawn: list[Clip] = []
    for label, name in enumerate(class_names):
        pool = of_class[label]
        if len(pool) < shots:
            raise ProtocolError(
                f"shots={shots}, but class {name!r} has only {len(pool)} training clips; "
                f"use shots <= {len(pool)}"
            )
        order = np.random.default_rng([seed, shots, label]).permutation(len(pool))
        drawn += [pool[i] for i in sorted(order[:shots])]
    return tuple(drawn)


def check_leaks(splits: Splits) -> None:
    """Refuse a clip, or a group of clips of one source, on both sides.

    Raises:
        DataError: Names the first one that leaks and says how many there are.
    """
    for what in ("id", "group"):
        train, test = ({getattr(c, what) for c in side} for side in (splits.train, splits.test))
        if both := train & test - {""}:
            raise DataError(
                f"{len(both)} clip {what}s are in training and test set, first {min(both)!r}"
            )
