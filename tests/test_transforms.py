"""Laws of the transforms: one draw per clip, exact where nothing changes, drawn from rng alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroi2v_bench.errors import ProtocolError
from zeroi2v_bench.protocol import Augment, ErasingSpec, RandAugmentSpec, Views
from zeroi2v_bench.video.rand_augment import OPERATIONS, rand_augment
from zeroi2v_bench.video.transforms import (
    normalise,
    random_area,
    random_erasing,
    resize_short_side,
    train_view,
)
from zeroi2v_bench.video.transforms import test_views as views_for_test

PAIRS = {86: 87, 87: 86}
STRONG = Augment(
    short_side=48,
    crop="random_resized",
    flip=0.5,
    rand_augment=RandAugmentSpec(layers=4, magnitude=7, when="before_crop"),
    erasing=ErasingSpec(probability=0.5, fill="const"),
)


def noise(num_frames=3, height=40, width=56, seed=0):
    shape = (num_frames, 3, height, width)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def still(num_frames=4, height=40, width=56):
    return noise(1, height, width).expand(num_frames, -1, -1, -1).contiguous()


def view(frames, augment, seed=0, label=0, size=32):
    return train_view(frames, augment, size, np.random.default_rng(seed), PAIRS, label)


@pytest.mark.parametrize("when", ["before_crop", "after_crop"])
def test_all_frames_of_a_clip_are_treated_alike(when):
    spec = RandAugmentSpec(layers=4, magnitude=7, when=when)
    augment = STRONG.model_copy(update={"rand_augment": spec})
    for seed in range(20):
        frames, _ = view(still(), augment, seed)
        assert (frames == frames[:1]).all(), seed


def test_views_depend_on_the_generator_and_on_nothing_else():
    first, _ = view(noise(), STRONG, seed=5)
    torch.manual_seed(1)
    np.random.seed(1)
    state = torch.random.get_rng_state()
    again, _ = view(noise(), STRONG, seed=5)
    assert torch.equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert len({view(noise(), STRONG, seed)[0].numpy().tobytes() for seed in range(8)}) == 8


def test_a_view_is_new_and_the_clip_stays_as_it_is():
    frames = noise()
    before = frames.clone()
    for seed in range(10):
        view(frames, STRONG, seed)
    assert torch.equal(frames, before)


def test_frames_of_the_wanted_size_pass_unchanged():
    frames = noise(height=32, width=32)
    out, label = view(frames, Augment(short_side=32, crop="resize"), label=4)
    assert torch.equal(out, frames)
    assert label == 4
    assert torch.equal(views_for_test(frames, 32, Views())[0], frames)


def test_flipping_twice_gives_the_clip_back():
    always = Augment(flip=1.0)
    frames = noise(height=32, width=32)
    once, label = view(frames, always, label=86)
    twice, back = view(once, always, label=label)
    assert torch.equal(once, frames.flip(-1))
    assert torch.equal(twice, frames)
    assert (label, back) == (87, 86)


def test_labels_swap_exactly_when_the_clip_is_flipped():
    frames, outcomes = noise(height=32, width=32), Counter()
    for seed in range(200):
        out, label = view(frames, Augment(flip=0.5), seed, label=86)
        flipped = torch.equal(out, frames.flip(-1))
        assert flipped or torch.equal(out, frames)
        assert label == (87 if flipped else 86)
        outcomes[flipped] += 1
    assert 60 < outcomes[True] < 140
    assert view(frames, Augment(flip=1.0), label=3)[1] == 3


@given(height=st.integers(30, 45), width=st.integers(30, 45), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_areas_lie_within_the_limits(height, width, seed):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = torch.stack([rows, columns, rows]).to(torch.uint8)[None]
    cut = random_area(frames, (0.2, 0.9), np.random.default_rng(seed))
    h, w = cut.shape[-2:]
    top, left = int(cut[0, 0, 0, 0]), int(cut[0, 1, 0, 0])
    assert torch.equal(cut, frames[..., top : top + h, left : left + w])
    slack = (h + w + 1) / (height * width)  # sides are rounded to whole pixels
    assert 0.2 - slack < h * w / (height * width) < 0.9 + slack
    assert (w - 0.5) / (h + 0.5) <= 4 / 3
    assert (w + 0.5) / (h - 0.5) >= 3 / 4


def test_a_frame_no_area_fits_into_gives_its_centred_square():
    frames = noise(1, height=8, width=200)
    cut = random_area(frames, (1.0, 1.0), np.random.default_rng(0))
    assert torch.equal(cut, frames[..., 96:104])


@pytest.mark.parametrize(("height", "width", "expected"), [(60, 80, (30, 40)), (91, 45, (61, 30))])
def test_the_short_side_is_scaled_and_the_aspect_kept(height, width, expected):
    assert tuple(resize_short_side(noise(1, height, width), 30).shape[-2:]) == expected


def test_resizing_a_flat_frame_keeps_its_colour():
    flat = torch.full((2, 3, 50, 70), 93, dtype=torch.uint8)
    assert (resize_short_side(flat, 17) == 93).all()
    assert (view(flat, Augment(crop="random_resized"))[0] == 93).all()


@given(height=st.integers(16, 90), width=st.integers(16, 90), extra=st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_three_crops_cover_the_longer_side_in_the_released_order(height, width, extra):
    size, short_side = 16, 16 + extra
    frames = resize_short_side(noise(1, height, width), short_side)
    crops = views_for_test(frames, size, Views(crops=3, short_side=short_side))
    assert crops.shape == (3, 1, 3, size, size)
    axis = -1 if frames.shape[-1] >= frames.shape[-2] else -2
    slack = frames.shape[axis] - size
    band = frames.narrow(-3 - axis, (frames.shape[-3 - axis] - size) // 2, size)
    starts = [0, slack // 2 * 2, slack // 2]
    for crop, start in zip(crops, starts, strict=True):
        assert torch.equal(crop, band.narrow(axis, start, size))
    assert starts[1] + size >= frames.shape[axis] - 1
    one = views_for_test(frames, size, Views(crops=1, short_side=short_side))
    assert torch.equal(one[0], crops[2])


def test_crops_larger_than_the_scaled_frame_are_refused():
    with pytest.raises(ProtocolError, match=r"short_side=20 is smaller than the image size 32"):
        views_for_test(noise(), 32, Views(short_side=20))


@pytest.mark.parametrize("fill", ["const", "random"])
def test_one_rectangle_is_erased_in_all_frames(fill):
    spec = ErasingSpec(probability=1.0, fill=fill)
    frames = torch.zeros(3, 3, 60, 60, dtype=torch.uint8)
    for seed in range(20):
        changed = random_erasing(frames, spec, np.random.default_rng(seed)).amax(1) > 0
        rows, columns = changed.any(0).any(1), changed.any(0).any(0)
        h, w = int(rows.sum()), int(columns.sum())
        assert changed.all(0).sum() >= 0.98 * h * w
        assert 0.01 < h * w / 3600 < 0.35
        assert (rows[:-1] != rows[1:]).sum() <= 2


def test_grey_erasing_is_grey_and_happens_as_often_as_asked():
    spec = ErasingSpec(probability=0.25, fill="const")
    frames, rng, erased = torch.zeros(1, 3, 40, 40, dtype=torch.uint8), np.random.default_rng(0), 0
    for _ in range(400):
        out = random_erasing(frames, spec, rng)
        assert set(out.unique().tolist()) <= {0, 128}
        erased += bool(out.any())
    assert 70 < erased < 130


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_shape_and_type_and_treats_frames_alike(name):
    frames = still(3)
    for sign in (-1.0, 1.0):
        out = OPERATIONS[name](frames, 0.7, sign)
        assert (out.shape, out.dtype) == (frames.shape, torch.uint8)
        assert (out == out[:1]).all()
        assert not torch.equal(out, frames) or name in {"autocontrast", "equalize"}


GRADUAL = ["brightness", "contrast", "saturation", "sharpness", "rotate"]
GRADUAL += ["shear_x", "shear_y", "translate_x", "translate_y"]


@pytest.mark.parametrize("name", GRADUAL)
def test_operations_at_level_zero_change_nothing(name):
    frames = noise()
    assert (OPERATIONS[name](frames, 0.0, 1.0).int() - frames.int()).abs().max() <= 1


def test_no_layers_change_nothing_and_layers_are_each_applied_half_of_the_time():
    frames, rng = noise(1, 8, 8), np.random.default_rng(0)
    assert torch.equal(rand_augment(frames, 0, 7, rng), frames)
    untouched = sum(torch.equal(rand_augment(frames, 4, 7, rng), frames) for _ in range(400))
    assert 10 < untouched < 60  # (1/2)^4 of 400 is 25; equalising noise may change nothing


def test_normalised_pixels_follow_the_formula():
    video = noise().transpose(0, 1)[None]  # (1, C, T, H, W)
    mean, std = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
    shift, scale = (np.array(values).reshape(3, 1, 1, 1) for values in (mean, std))
    expected = (video.numpy() / 255.0 - shift) / scale
    got = normalise(video, mean, std)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)
