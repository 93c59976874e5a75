"""From a protocol and a seed to the very clips that are trained on and tested on.

Draws order the clips of a class by the SHA-256 of seed and clip id: the same on every platform
and with every version of every library, and independent of the order of the lists.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import DataError, ProtocolError
from zeroi2v_bench.types import Splits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from zeroi2v_bench.protocol import Protocol, SplitSpec
    from zeroi2v_bench.types import Clip


def load_splits(protocol: Protocol, data_root: Path | None, seed: int) -> Splits:
    """The clips of a protocol for one seed, checked for leaks.

    Args:
        protocol: Names the dataset, its split and the number of shots.
        data_root: The dataset's folder; None where it needs none.
        seed: Draws the K-shot training set and the held-out share; without effect on a full split.

    Raises:
        DataError: Missing files, a clip listed twice, or one on both sides.
        ProtocolError: A split that the dataset has not, or a class with fewer clips than shots.
    """
    dataset, spec = find_dataset(protocol.dataset), protocol.splits
    if spec.name not in dataset.SPLITS:
        legal = ", ".join(dataset.SPLITS)
        raise ProtocolError(
            f"{protocol.name}: splits.name={spec.name!r}, but {protocol.dataset} has {legal}"
        )
    try:
        splits = choose(dataset.load(data_root, spec), spec, seed)
    except ProtocolError as error:
        raise ProtocolError(f"{protocol.name}: {error}") from error
    check_leaks(splits)
    return splits


def choose(full: Splits, spec: SplitSpec, seed: int) -> Splits:
    """Draw the shots, then keep the held-out share of them out of the training set.

    Raises:
        ProtocolError: A class has too few clips.
    """
    chosen = full
    if spec.shots is not None:
        drawn = draw_shots(
            full.train,
            full.class_names,
            spec.shots,
            seed,
            nested=spec.nested,
            distinct_groups=spec.distinct_groups,
        )
        chosen = replace(chosen, train=drawn)
    if spec.holdout:
        train, held = hold_out(chosen.train, full.class_names, spec.holdout, seed)
        chosen = replace(chosen, train=train, holdout=held)
    return chosen


def draw_shots(
    clips: Sequence[Clip],
    class_names: Sequence[str],
    shots: int,
    seed: int,
    *,
    nested: bool = False,
    distinct_groups: bool = False,
) -> tuple[Clip, ...]:
    """Exactly ``shots`` clips of every class, by label and id; the same on every platform.

    Args:
        clips: The training set.
        class_names: K names in label order.
        shots: Clips per class.
        seed: One draw per seed.
        nested: The draw of a seed contains the smaller draws of that seed; otherwise draws of
            different numbers of shots are independent.
        distinct_groups: At most one clip of each group; clips without a group stand alone.

    Raises:
        ProtocolError: A class has fewer clips (or groups) than shots.
    """
    salt = f"{seed}" if nested else f"{seed}/{shots}"
    drawn: list[Clip] = []
    for label, pool in enumerate(_by_class(clips, class_names)):
        ordered = _shuffled(pool, salt)
        if distinct_groups:
            first_of_each = {_source(clip): clip for clip in reversed(ordered)}
            ordered = _shuffled(first_of_each.values(), salt)
        if len(ordered) < shots:
            what = "groups of training clips" if distinct_groups else "training clips"
            raise ProtocolError(
                f"shots={shots}, but class {class_names[label]!r} has only {len(ordered)} {what}; "
                f"use shots <= {len(ordered)}"
            )
        drawn += sorted(ordered[:shots], key=lambda clip: clip.id)
    return tuple(drawn)


def hold_out(
    clips: Sequence[Clip], class_names: Sequence[str], share: float, seed: int
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """(training clips, held-out clips): whole groups, about ``share`` of each class, at least one.

    Raises:
        ProtocolError: A class would have nothing left to train on.
    """
    train: list[Clip] = []
    held: list[Clip] = []
    for label, pool in enumerate(_by_class(clips, class_names)):
        size = Counter(_source(clip) for clip in pool)
        groups: set[str] = set()
        for clip in _shuffled(pool, f"{seed}/holdout"):
            if sum(size[group] for group in groups) >= max(1, round(share * len(pool))):
                break
            groups.add(_source(clip))
        out = [clip for clip in pool if _source(clip) in groups]
        if len(out) == len(pool):
            raise ProtocolError(
                f"holdout={share}, but it takes all {len(pool)} training clips of class "
                f"{class_names[label]!r}; use more shots or holdout=0"
            )
        held += out
        train += [clip for clip in pool if _source(clip) not in groups]
    return tuple(train), tuple(held)


def _source(clip: Clip) -> str:
    return clip.group or clip.id


def _by_class(clips: Iterable[Clip], class_names: Sequence[str]) -> list[list[Clip]]:
    of_class: dict[int, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.id):
        of_class[clip.label].append(clip)
    return [of_class[label] for label in range(len(class_names))]


def _shuffled(clips: Iterable[Clip], salt: str) -> list[Clip]:
    def key(clip: Clip) -> bytes:
        return hashlib.sha256(f"{salt}/{clip.id}".encode()).digest()

    return sorted(clips, key=key)


def check_leaks(splits: Splits) -> None:
    """Refuse a clip listed twice, and a clip or a group of one source on two sides.

    Raises:
        DataError: Names the first one and says how many there are.
    """
    sides = {"training": splits.train, "held-out": splits.holdout, "test": splits.test}
    for side, clips in sides.items():
        doubled = [clip_id for clip_id, n in Counter(c.id for c in clips).items() if n > 1]
        if doubled:
            raise DataError(
                f"{len(doubled)} clips are twice in the {side} set, first {min(doubled)!r}"
            )
    for (one, first), (other, second) in combinations(sides.items(), 2):
        for what in ("id", "group"):
            left, right = ({getattr(clip, what) for clip in side} for side in (first, second))
            if both := left & right - {""}:
                raise DataError(
                    f"{len(both)} clip {what}s are in {one} and {other} set, first {min(both)!r}"
                )
