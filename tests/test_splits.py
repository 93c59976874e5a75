"""Draws are exact, repeatable and free of leaks."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroi2v_bench.data.splits import check_leaks, choose, draw_shots, hold_out
from zeroi2v_bench.errors import DataError, ProtocolError
from zeroi2v_bench.protocol import SplitSpec
from zeroi2v_bench.types import Clip, Splits

NAMES = ("a", "b", "c")


def pool(per_class=20, groups=5):
    return tuple(
        Clip(id=f"{n}{i:03d}", path="", label=k, group=f"{n}_g{i % groups}" if groups else "")
        for k, n in enumerate(NAMES)
        for i in range(per_class)
    )


@given(st.integers(1, 20), st.integers(0, 2**32), st.booleans(), st.randoms())
def test_a_draw_has_exactly_k_of_every_class_in_any_order_of_the_list(shots, seed, nested, random):
    clips = list(pool())
    drawn = draw_shots(clips, NAMES, shots, seed, nested=nested)
    assert [sum(c.label == k for c in drawn) for k in range(3)] == [shots] * 3
    assert set(drawn) <= set(clips)
    assert len(set(drawn)) == len(drawn)
    random.shuffle(clips)
    assert draw_shots(clips, NAMES, shots, seed, nested=nested) == drawn


@given(st.integers(0, 1000), st.booleans())
def test_nested_draws_contain_each_other(seed, distinct):
    draws = [
        set(draw_shots(pool(40, 20), NAMES, k, seed, nested=True, distinct_groups=distinct))
        for k in (2, 4, 8, 16)
    ]
    assert all(small < large for small, large in pairwise(draws))


def test_draws_of_other_seeds_and_other_shots_are_others():
    draws = {draw_shots(pool(), NAMES, k, seed) for k in (2, 3) for seed in range(20)}
    assert len(draws) > 35
    nested = [
        set(draw_shots(pool(), NAMES, 2, s)) <= set(draw_shots(pool(), NAMES, 4, s))
        for s in range(20)
    ]
    assert not all(nested)


def test_a_draw_is_the_same_for_ever():
    def hashed(clip):
        return hashlib.sha256(f"7/2/{clip.id}".encode()).hexdigest()

    drawn = draw_shots(pool(), NAMES, 2, 7)
    expected = [sorted(pool()[20 * k : 20 * k + 20], key=hashed)[:2] for k in range(3)]
    assert set(drawn) == {clip for clips in expected for clip in clips}
    assert [clip.id for clip in drawn] == ["a011", "a016", "b007", "b009", "c007", "c012"]


def test_every_clip_is_drawn_about_equally_often():
    counts = dict.fromkeys(pool(), 0)
    for seed in range(600):
        for clip in draw_shots(pool(), NAMES, 5, seed):
            counts[clip] += 1
    assert 100 < min(counts.values()) <= max(counts.values()) < 200  # 150 +- 5 standard deviations


@given(st.integers(1, 5), st.integers(0, 1000))
def test_distinct_groups_are_distinct(shots, seed):
    drawn = draw_shots(pool(), NAMES, shots, seed, distinct_groups=True)
    assert len({clip.group for clip in drawn}) == len(drawn) == 3 * shots


@pytest.mark.parametrize(("shots", "distinct", "most"), [(21, False, 20), (6, True, 5)])
def test_more_shots_than_there_are_is_an_error_that_says_how_many(shots, distinct, most):
    with pytest.raises(ProtocolError, match=rf"'a' has only {most} .*use shots <= {most}"):
        draw_shots(pool(), NAMES, shots, 0, distinct_groups=distinct)


@settings(max_examples=50)
@given(st.floats(0.01, 0.6), st.integers(0, 1000), st.sampled_from([0, 5, 10]))
def test_a_holdout_parts_the_training_set_by_whole_groups(share, seed, groups):
    clips = pool(20, groups)
    train, held = hold_out(clips, NAMES, share, seed)
    assert sorted((*train, *held), key=lambda c: c.id) == list(clips)
    assert {c.label for c in held} == {c.label for c in train} == {0, 1, 2}
    assert not {c.group for c in train} & {c.group for c in held} - {""}
    if not groups:
        assert len(held) == 3 * max(1, round(20 * share))


def test_a_holdout_that_leaves_nothing_is_refused():
    with pytest.raises(ProtocolError, match="takes all 2 training clips of class 'a'"):
        hold_out(pool(2, 1), NAMES, 0.5, 0)


def test_shots_are_drawn_before_the_holdout_is_taken_out():
    full = Splits(train=pool(), test=(), class_names=NAMES)
    spec = SplitSpec(shots=8, holdout=0.25)
    chosen = choose(full, spec, 3)
    drawn = draw_shots(pool(), NAMES, 8, 3)
    assert set(chosen.train) | set(chosen.holdout) == set(drawn)
    assert chosen.fingerprint != Splits(train=drawn, test=(), class_names=NAMES).fingerprint


def test_the_options_of_a_protocol_reach_the_draw():
    full = Splits(train=pool(40, 20), test=(), class_names=NAMES)
    spec = SplitSpec(shots=4, nested=True, distinct_groups=True)
    chosen = choose(full, spec, 5).train
    fewer = choose(full, spec.model_copy(update={"shots": 2}), 5).train
    assert set(fewer) < set(chosen)
    assert len({clip.group for clip in chosen}) == 12
    assert chosen == draw_shots(full.train, NAMES, 4, 5, nested=True, distinct_groups=True)


def splits_of(train, test, holdout=()):
    return Splits(train=train, test=test, class_names=NAMES, holdout=holdout)


def test_leaks_of_clips_and_of_groups_are_refused():
    a, b, c = (Clip(id=i, path="", label=0, group=g) for i, g in ("ax", "by", "cx"))
    check_leaks(splits_of((a,), (b,)))
    for sides in (((a, b), (b,)), ((a,), (b, c)), ((a,), (b,), (c,)), ((b,), (a,), (c,))):
        with pytest.raises(DataError, match="set, first"):
            check_leaks(splits_of(*sides))


def test_a_clip_listed_twice_is_refused():
    a = Clip(id="a", path="", label=0)
    with pytest.raises(DataError, match="1 clips are twice in the test set, first 'a'"):
        check_leaks(splits_of((), (a, a)))
