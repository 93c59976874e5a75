"""Pairs of runs on the same clips, and what they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.reports.intervals import PairedDifference, paired_difference, t_interval
from zeroi2v_bench.reports.predictions import predictions_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zeroi2v_bench.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs on the same training and test clips, and their difference clip by clip."""

    a: RunRecord
    b: RunRecord
    difference: PairedDifference


def pair_up(
    a_runs: Sequence[RunRecord], b_runs: Sequence[RunRecord]
) -> list[tuple[RunRecord, RunRecord]]:
    """Runs of the same protocol, seed and backbone; two single runs are a pair as they are.

    Raises:
        RecordError: No run of A has a partner in B, or one has several.
    """
    if len(a_runs) == len(b_runs) == 1:
        return [(a_runs[0], b_runs[0])]
    pairs = []
    for a in a_runs:
        partners = [b for b in b_runs if _setting(b) == _setting(a)]
        if len(partners) > 1:
            raise RecordError(
                f"{a.run_id}: {len(partners)} runs of {partners[0].method} have its protocol, seed "
                f"and backbone; name one of {_ids(partners)}"
            )
        pairs += [(a, b) for b in partners]
    if not pairs:
        raise RecordError(
            f"no pair of equal protocol, seed and backbone among {_ids(a_runs)} and {_ids(b_runs)}"
        )
    return pairs


def _setting(run: RunRecord) -> tuple[Any, ...]:
    return (*_protocol_and_backbone(run), run.seed)


def _protocol_and_backbone(run: RunRecord) -> tuple[Any, ...]:
    return run.protocol, run.protocol_version, run.protocol_hash, run.backbone.spec


def _ids(runs: Sequence[RunRecord]) -> str:
    return ", ".join(run.run_id for run in runs)


def compare_pair(a: RunRecord, b: RunRecord, roots: Sequence[Path]) -> Pair:
    """The paired difference of two runs.

    Raises:
        RecordError: Their clips, labels or class names differ, or predictions are missing.
    """
    if a.splits_fingerprint != b.splits_fingerprint:
        raise RecordError(
            f"{a.run_id} and {b.run_id} are not on the same clips (split fingerprints "
            f"{a.splits_fingerprint[:12]} and {b.splits_fingerprint[:12]}); compare runs of one "
            "protocol and seed on the same data"
        )
    if a.class_names_hash != b.class_names_hash:
        raise RecordError(f"{a.run_id} and {b.run_id} have different class names or orders")
    first, second = (predictions_of(run, roots) for run in (a, b))
    if [r.clip_id for r in first] != [r.clip_id for r in second]:
        raise RecordError(f"the predictions of {a.run_id} and {b.run_id} are of different clips")
    difference = paired_difference([r.correct for r in first], [r.correct for r in second])
    return Pair(a=a, b=b, difference=difference)


def by_setting(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs that differ in nothing but the seed together, by seed: only they may be averaged."""
    alike: dict[tuple[Any, ...], list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.a.seed, pair.b.seed)):
        about = tuple((*_protocol_and_backbone(run), run.method) for run in (pair.a, pair.b))
        alike.setdefault(about, []).append(pair)
    return list(alike.values())


def over_seeds(pairs: Sequence[Pair]) -> tuple[float, float] | None:
    """95 % t-interval of the mean difference over seeds, in points; None for a single pair."""
    points = [pair.difference.points for pair in pairs]
    return t_interval(points) if len(points) > 1 else None
