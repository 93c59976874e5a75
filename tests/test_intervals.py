import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroi2v_bench.reports.intervals import (
    mean,
    paired_difference,
    standard_deviation,
    t_interval,
    wilson_interval,
)


def permutation_p_value(a, b):
    """All ways to swap A and B clip by clip, counted one by one."""
    differences = [int(x) - int(y) for x, y in zip(a, b, strict=True)]
    observed = abs(sum(differences))
    signs = list(itertools.product([1, -1], repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(sign, differences, strict=True))) for sign in signs]
    return sum(total >= observed for total in sums) / len(signs)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=10))
def test_mcnemar_is_the_exhaustive_permutation_test(pairs):
    a, b = zip(*pairs, strict=True)
    assert paired_difference(a, b).p_value == pytest.approx(permutation_p_value(a, b))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_swapping_the_two_runs_mirrors_the_difference(pairs):
    a, b = zip(*pairs, strict=True)
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.points == -back.points == pytest.approx(100 * (mean(a) - mean(b)))
    assert there.low == pytest.approx(-back.high)
    assert there.low <= there.points <= there.high


def test_paired_interval_covers_the_true_difference_at_its_level():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        hard, extra = rng.random(200) < 0.6, rng.random(200) < 0.25
        found = paired_difference((hard | extra).tolist(), hard.tolist())
        covered += found.low <= 100 * 0.4 * 0.25 <= found.high
    assert covered / 400 > 0.92


def test_t_interval_over_three_seeds_uses_the_tabulated_quantile():
    low, high = t_interval([86.0, 88.0, 90.0])
    half = 4.302653 * 2.0 / math.sqrt(3)  # t(0.975, 2 degrees of freedom), as printed in tables
    assert (low, high) == pytest.approx((88 - half, 88 + half))


def test_one_seed_has_no_spread_and_no_interval():
    assert standard_deviation([50.0]) is None
    with pytest.raises(ValueError, match="needs two"):
        t_interval([50.0])


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (50, 100), (1530, 1530)])
def test_wilson_bounds_solve_their_defining_equation(successes, trials):
    share, z = successes / trials, 1.959963984540054
    for bound in (p / 100 for p in wilson_interval(successes, trials)):
        assert abs(share - bound) == pytest.approx(
            z * math.sqrt(bound * (1 - bound) / trials), abs=1e-9
        )
