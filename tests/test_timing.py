"""Turns are fair, medians have honest intervals, and memory is what is alive."""

from math import comb
from statistics import median

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zeroi2v_bench.costs import timing
from zeroi2v_bench.costs.timing import (
    LiveMemory,
    largest_batch,
    median_interval,
    peak_memory_mb,
    quartiles,
)


@given(st.lists(st.floats(0.1, 100), min_size=6, max_size=40))
def test_the_interval_of_a_median_is_the_narrowest_that_holds_95_per_cent(values):
    found, ordered, n = median_interval(values), sorted(values), len(values)

    def coverage(k):
        """Chance that the median lies between the k-th smallest and the k-th largest value."""
        return 1 - 2 * sum(comb(n, i) for i in range(k)) / 2**n

    legal = [k for k in range(1, n // 2 + 1) if coverage(k) >= 0.95]
    assert (found.low, found.high) == (ordered[legal[-1] - 1], ordered[n - legal[-1]])
    assert found.median == pytest.approx(median(values))


def test_five_rounds_have_no_such_interval():
    with pytest.raises(ValueError, match="6 do"):
        median_interval([1.0] * 5)


def test_quartiles_of_a_known_list():
    spread = quartiles([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (spread.low, spread.median, spread.high) == (2.0, 3.0, 4.0)


def test_every_call_has_its_turn_in_every_round_and_neighbours_change(monkeypatch):
    clock, turns = [0.0], []
    monkeypatch.setattr(timing, "load_clock", lambda: lambda: clock[0])

    def call(name, seconds):
        clock[0] += seconds
        turns.append(name)

    calls = [lambda: call("a", 1.0), lambda: call("b", 2.0), lambda: call("c", 0.05)]
    seconds = timing.take_turns(calls, rounds=3)
    assert [len(s) for s in seconds] == [3, 3, 3]
    assert [s[0] for s in seconds] == pytest.approx([1.0, 2.0, 0.05])
    timed = "".join(turns)[-18:]  # a turn of c repeats its call until it lasts 0.2 s
    assert timed == "abcccc" + "ccccba" + "abcccc"


def test_peak_memory_is_weights_input_and_the_activations_alive():
    model = nn.Sequential(nn.Linear(1000, 1000, bias=False), nn.ReLU(), nn.Linear(1000, 10))
    video = torch.zeros(500, 1000)
    weights, held, result = 1000 * 1000 + 1000 * 10 + 10, 500 * 1000, 500 * 10
    # At the ReLU its input and its output are alive; the result comes after its input is gone.
    expected = weights + held + 2 * held
    assert result < held
    assert peak_memory_mb(model, video) == pytest.approx(4 * expected / 1e6)


def test_live_memory_counts_a_weight_once_though_training_keeps_a_view_of_it():
    layer = nn.Linear(100, 100, bias=False).requires_grad_(False)
    tokens = torch.zeros(3, 100, requires_grad=True)
    live = LiveMemory([layer.weight, tokens])
    with live:
        result = layer(layer(tokens))
        assert result.grad_fn is not None
    assert live.peak == 4 * (100 * 100 + 3 * 100 * 3)


def test_the_largest_batch_doubles_from_the_fixed_one_up_to_what_fits_or_the_cap():
    assert largest_batch(lambda b: b <= 50, start=3, cap=1000) == 48
    assert largest_batch(lambda b: True, start=4, cap=31) == 16
    assert largest_batch(lambda b: False, start=4, cap=64) == 4
