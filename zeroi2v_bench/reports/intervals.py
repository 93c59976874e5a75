"""Intervals and paired tests. scipy is imported only where one is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n - 1); None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Student's interval of the mean, as over seeds; needs two values at least."""
    spread = standard_deviation(values)
    if spread is None:
        raise ValueError(f"an interval over seeds needs two at least, not {len(values)}")
    half = _t_quantile(len(values) - 1, 0.5 + confidence / 2) * spread / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


@cache
def _t_quantile(degrees: int, share: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def wilson_interval(
    successes: int, trials: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Wilson's interval of a share, in per cent: one run's accuracy over its clips."""
    from scipy.stats import binomtest

    bounds = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return 100 * float(bounds.low), 100 * float(bounds.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Two classifiers on the same clips.

    Attributes:
        num_clips: Clips that both were asked for.
        both: Clips that both have right.
        only_a: Clips that A alone has right.
        only_b: Clips that B alone has right.
        points: Accuracy of A minus that of B, in percentage points.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p_value: Of the exact two-sided McNemar test.
    """

    num_clips: int
    both: int
    only_a: int
    only_b: int
    points: float
    low: float
    high: float
    p_value: float


def paired_difference(a: Sequence[bool], b: Sequence[bool]) -> PairedDifference:
    """Compare two lists of right/wrong on the same clips, in the same order.

    The test is McNemar's exact one: the permutation test that swaps A and B clip by clip, worked
    out instead of sampled. The interval is Bonett and Price's adjusted Wald interval for paired
    proportions (2012), which holds its level also with few disagreements.
    """
    from scipy.special import ndtri
    from scipy.stats import binomtest

    if len(a) != len(b) or not len(a):
        raise ValueError(f"pairs needed, got {len(a)} and {len(b)} clips")
    pairs = list(zip(a, b, strict=True))
    only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
    num = len(pairs)
    share_a, share_b = (only_a + 1) / (num + 2), (only_b + 1) / (num + 2)
    centre = share_a - share_b
    spread = math.sqrt((share_a + share_b - centre**2) / (num + 2))
    half = float(ndtri(0.5 + CONFIDENCE / 2)) * spread
    differing = only_a + only_b
    return PairedDifference(
        num_clips=num,
        both=pairs.count((True, True)),
        only_a=only_a,
        only_b=only_b,
        points=100 * (only_a - only_b) / num,
        low=100 * max(-1.0, centre - half),
        high=100 * min(1.0, centre + half),
        p_value=float(binomtest(only_a, differing).pvalue) if differing else 1.0,
    )
