"""A step is the protocol's batch, however it is dealt and cut."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zeroi2v_bench.data import loader
from zeroi2v_bench.data.loader import EvalBatches, TrainBatches

SIZES = st.integers(1, 40)


def of_rank(rank, size, make):
    """What a sampler gives on one of several processes."""
    with (
        patch.object(loader, "rank", lambda: rank),
        patch.object(loader, "group_size", lambda: size),
    ):
        batches = make()
        return batches, list(batches)


@given(
    clips=SIZES,
    batch=SIZES,
    micro=st.none() | SIZES,
    size=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_processes_and_micro_batches_share_out_every_global_batch_exactly(
    clips, batch, micro, size, seed
):
    shares = [
        of_rank(rank, size, lambda: TrainBatches(clips, batch, seed, micro)) for rank in range(size)
    ]
    expected = np.random.default_rng([seed, 0]).permutation(clips)
    positions = [0] * size
    for step in range(-(-clips // batch)):
        dealt = []
        for rank, (batches, lists) in enumerate(shares):
            with patch.object(loader, "group_size", lambda: size):
                number = batches.num_micro(step)
            own = lists[positions[rank] : positions[rank] + number]
            assert micro is None or all(len(one) <= micro for one in own)
            positions[rank] += number
            dealt += [row for one in own for _, row in one]
        assert sorted(dealt) == sorted(expected[step * batch : (step + 1) * batch])
    assert len(set(positions)) == 1
    assert all(
        position == len(lists) for position, (_, lists) in zip(positions, shares, strict=True)
    )


@given(clips=SIZES, batch=SIZES, size=st.integers(1, 4))
def test_test_clips_are_dealt_in_whole_batches_once_each(clips, batch, size):
    def make():
        return EvalBatches(clips, batch, divided=True)

    alone = of_rank(0, 1, make)[1]
    dealt = [one for rank in range(size) for one in of_rank(rank, size, make)[1]]
    assert sorted(dealt) == sorted(alone)
    assert [row for one in alone for _, row in one] == list(range(clips))


def test_a_sampler_goes_on_from_the_step_it_is_set_to():
    whole, rest = TrainBatches(10, 3, seed=5), TrainBatches(10, 3, seed=5)
    whole.start(2, 0)
    rest.start(2, 2)
    assert list(rest) == list(whole)[2:]


def test_every_epoch_has_an_order_of_its_own():
    batches = TrainBatches(100, 100, seed=0)
    first = list(batches)
    batches.start(1, 0)
    assert [row for _, row in first[0]] != [row for _, row in next(iter(batches))]
