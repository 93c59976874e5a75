"""Sampling equals a slow transcription of the released rules on every length up to 400."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import Sampling
from zeroi2v_bench.video.sampling import test_indices as indices_for_test
from zeroi2v_bench.video.sampling import train_indices

LENGTHS = range(1, 401)
RELEASED = [(8, 16), (32, 4), (16, 8), (32, 2), (8, 1), (1, 1), (5, 3)]


def dense(num_frames, stride):
    return Sampling(kind="dense", num_frames=num_frames, stride=stride)


def uniform(num_frames):
    return Sampling(kind="uniform", num_frames=num_frames)


def slow_dense_test(length, num_frames, stride, clips):
    last_start = max(length - ((num_frames - 1) * stride + 1), 0)
    rows = []
    for k in range(clips):
        if num_frames == 1:
            start = k * (length / clips) + (length / clips) / 2.0
        elif clips == 1:
            start = last_start // 2
        else:
            start = float(np.round(k * (last_start / float(clips - 1))))
        rows.append([int((start + i * stride) % length) for i in range(num_frames)])
    return rows


def slow_uniform_test(length, num_frames, clips):
    segment = float(length - 1) / num_frames
    rows = []
    for k in range(clips):
        inner = int(segment / (clips + 1) * (k + 1))
        rows.append([int(np.round(segment * i)) + inner for i in range(num_frames)])
    return rows


def slow_dense_train_set(length, num_frames, stride):
    """Every view that the released training rule can draw."""
    starts = range(max(length - num_frames * stride + 1, 1))
    return {tuple((s + i * stride) % length for i in range(num_frames)) for s in starts}


@pytest.mark.parametrize(("num_frames", "stride"), RELEASED)
@pytest.mark.parametrize("clips", [1, 2, 3, 4, 7, 10])
def test_dense_test_views_equal_the_released_rule(num_frames, stride, clips):
    for length in LENGTHS:
        got = indices_for_test(length, dense(num_frames, stride), clips)
        assert got.tolist() == slow_dense_test(length, num_frames, stride, clips), length


@pytest.mark.parametrize("num_frames", [1, 3, 8, 16, 32])
@pytest.mark.parametrize("clips", [1, 2, 3, 4])
def test_uniform_test_views_equal_the_released_rule(num_frames, clips):
    for length in LENGTHS:
        got = indices_for_test(length, uniform(num_frames), clips)
        assert got.tolist() == slow_uniform_test(length, num_frames, clips), length


@pytest.mark.parametrize(("num_frames", "stride"), RELEASED)
def test_dense_training_draws_only_views_the_released_rule_draws(num_frames, stride):
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        legal = slow_dense_train_set(length, num_frames, stride)
        assert tuple(train_indices(length, dense(num_frames, stride), rng)) in legal, length


def test_dense_training_reaches_every_start_and_no_other():
    rng = np.random.default_rng(0)
    drawn = {tuple(train_indices(12, dense(4, 2), rng)) for _ in range(300)}
    assert drawn == slow_dense_train_set(12, 4, 2)
    assert {view[0] for view in drawn} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("num_frames", [1, 3, 8, 16, 32])
def test_uniform_training_stays_within_each_released_segment(num_frames):
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        segment = float(length - 1) / num_frames
        for i, frame in enumerate(train_indices(length, uniform(num_frames), rng)):
            assert int(np.round(segment * i)) <= frame <= int(np.round(segment * (i + 1))), length


def test_uniform_training_reaches_both_ends_of_every_segment():
    rng = np.random.default_rng(0)
    views = np.stack([train_indices(13, uniform(4), rng) for _ in range(500)])
    assert [sorted(set(column)) for column in views.T.tolist()] == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [6, 7, 8, 9],
        [9, 10, 11, 12],
    ]


@given(
    length=st.integers(1, 5000),
    num_frames=st.integers(1, 64),
    stride=st.integers(1, 32),
    clips=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_index_is_a_frame_of_the_clip(length, num_frames, stride, clips, seed):
    for sampling in (dense(num_frames, stride), uniform(num_frames)):
        views = indices_for_test(length, sampling, clips)
        drawn = train_indices(length, sampling, np.random.default_rng(seed))
        assert (views.shape, drawn.shape) == ((clips, num_frames), (num_frames,))
        for array in (views, drawn):
            assert array.dtype == np.int64
            assert array.min() >= 0
            assert array.max() < length


@pytest.mark.parametrize("sampling", [dense(8, 4), uniform(8)])
def test_training_views_depend_on_the_generator_alone(sampling):
    first = [train_indices(200, sampling, np.random.default_rng(3)) for _ in range(2)]
    np.random.seed(0)
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[0], train_indices(200, sampling, np.random.default_rng(3)))
    rng = np.random.default_rng(3)
    drawn = {tuple(train_indices(200, sampling, rng)) for _ in range(20)}
    assert len(drawn) > 10


@pytest.mark.parametrize("sampling", [dense(8, 4), uniform(8)])
def test_a_clip_without_frames_is_refused(sampling):
    with pytest.raises(DataError, match="0 frames"):
        indices_for_test(0, sampling, 1)
    with pytest.raises(DataError, match="0 frames"):
        train_indices(0, sampling, np.random.default_rng(0))


def test_zero_temporal_views_are_refused():
    with pytest.raises(DataError, match="at least 1"):
        indices_for_test(10, uniform(8), 0)
