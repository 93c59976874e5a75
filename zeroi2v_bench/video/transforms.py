"""From decoded frames to the views of a model: pure functions on uint8 (T, C, H, W).

Every draw holds for all frames of a clip, and every draw comes from the generator given. A frame
that has the size wanted already is not resampled. The rules are those of the released pipelines
(MCG-NJU/ZeroI2V, ``mmaction/datasets/transforms/processing.py``), but for shrinking, which is
antialiased here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from zeroi2v_bench.errors import ProtocolError
from zeroi2v_bench.video.rand_augment import rand_augment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from zeroi2v_bench.protocol import Augment, ErasingSpec, Views

CROP_ASPECTS = (3 / 4, 4 / 3)
CROP_ATTEMPTS = 10
ERASED_AREAS = (0.02, 1 / 3)
ERASED_ASPECTS = (3 / 10, 10 / 3)
ERASED_GREY = 128


def train_view(
    frames: Tensor,
    augment: Augment,
    image_size: int,
    rng: np.random.Generator,
    flip_pairs: Mapping[int, int],
    label: int,
) -> tuple[Tensor, int]:
    """One augmented view of a clip.

    Args:
        frames: (T, C, H, W) uint8.
        augment: What to do, in the order resize, crop, flip, erase; RandAugment before or after
            crop and flip.
        image_size: S, the side of the view in pixels.
        rng: The only source of randomness.
        flip_pairs: The label that a mirrored clip has, for classes that tell left from right.
        label: The clip's class.

    Returns:
        (T, C, S, S) uint8 and the label of the view.
    """
    if augment.short_side is not None:
        frames = resize_short_side(frames, augment.short_side)
    spec = augment.rand_augment
    if spec is not None and spec.when == "before_crop":
        frames = rand_augment(frames, spec.layers, spec.magnitude, rng)
    if augment.crop == "random_resized":
        frames = random_area(frames, augment.area, rng)
    frames = _resize(frames, image_size, image_size)
    if rng.random() < augment.flip:
        frames, label = functional.horizontal_flip(frames), flip_pairs.get(label, label)
    if spec is not None and spec.when == "after_crop":
        frames = rand_augment(frames, spec.layers, spec.magnitude, rng)
    if augment.erasing is not None:
        frames = random_erasing(frames, augment.erasing, rng)
    return frames, label


def test_views(frames: Tensor, image_size: int, views: Views) -> Tensor:
    """The spatial views of a clip: its centre, or three squares along the longer side.

    Args:
        frames: (T, C, H, W) uint8.
        image_size: S, the side of a view in pixels.
        views: How many crops, and the short side to scale to first (S unless it is given).

    Returns:
        (crops, T, C, S, S) uint8; three crops come as left, right, middle (or top, bottom,
        middle), as released.

    Raises:
        ProtocolError: The frames are scaled to less than a crop.
    """
    short_side = views.short_side or image_size
    if short_side < image_size:
        raise ProtocolError(
            f"views.short_side={short_side} is smaller than the image size {image_size}; "
            "a crop does not fit"
        )
    frames = resize_short_side(frames, short_side)
    height, width = frames.shape[-2:]
    top, left = (height - image_size) // 2, (width - image_size) // 2
    corners = [(top, left)]
    if views.crops == 3 and width >= height:
        corners = [(top, 0), (top, 2 * left), (top, left)]
    elif views.crops == 3:
        corners = [(0, left), (2 * top, left), (top, left)]
    crops = [frames[..., y : y + image_size, x : x + image_size] for y, x in corners]
    return torch.stack(crops)


def normalise(video: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pixels to what a backbone expects.

    Args:
        video: (..., C, T, H, W) uint8.
        mean: Per channel, of pixels scaled to 0-1.
        std: Likewise.

    Returns:
        (..., C, T, H, W) float32.
    """
    shift, scale = (
        torch.tensor(values, dtype=torch.float32, device=video.device).mul(255).view(-1, 1, 1, 1)
        for values in (mean, std)
    )
    return video.to(torch.float32).sub_(shift).div_(scale)


def resize_short_side(frames: Tensor, short_side: int) -> Tensor:
    """Scale to a short side, keeping the aspect: (T, C, H, W) -> (T, C, H', W')."""
    height, width = frames.shape[-2:]
    scale = short_side / min(height, width)
    return _resize(frames, int(height * scale + 0.5), int(width * scale + 0.5))


def _resize(frames: Tensor, height: int, width: int) -> Tensor:
    """Bilinear and antialiased."""
    if (height, width) == tuple(frames.shape[-2:]):
        return frames
    resized: Tensor = functional.resize(frames, [height, width], antialias=True)
    return resized


def random_area(frames: Tensor, area: tuple[float, float], rng: np.random.Generator) -> Tensor:
    """Cut out a random share of the frame with a random aspect: (T, C, H, W) -> (T, C, H', W').

    The first of ten draws that fits is taken; if none does, the largest centred square.
    """
    height, width = frames.shape[-2:]
    aspects = _log_uniform(CROP_ASPECTS, rng, CROP_ATTEMPTS)
    pixels = rng.uniform(*area, CROP_ATTEMPTS) * height * width
    widths, heights = np.round(np.sqrt([pixels * aspects, pixels / aspects])).astype(int)
    for w, h in zip(widths.tolist(), heights.tolist(), strict=True):
        if 0 < h <= height and 0 < w <= width:
            top, left = rng.integers([height - h, width - w], endpoint=True).tolist()
            return frames[..., top : top + h, left : left + w]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[..., top : top + side, left : left + side]


def random_erasing(frames: Tensor, spec: ErasingSpec, rng: np.random.Generator) -> Tensor:
    """Overwrite one rectangle, the same in all frames, with grey or with noise.

    The noise differs from frame to frame, as released. Source: arXiv:1708.04896.
    """
    if rng.random() >= spec.probability:
        return frames
    height, width = frames.shape[-2:]
    aspect = _log_uniform(ERASED_ASPECTS, rng, 1).item()
    pixels = rng.uniform(*ERASED_AREAS) * height * width
    h = min(round(math.sqrt(pixels * aspect)), height)
    w = min(round(math.sqrt(pixels / aspect)), width)
    top, left = rng.integers([height - h, width - w], endpoint=True).tolist()
    erased = frames.clone()
    patch = erased[..., top : top + h, left : left + w]
    if spec.fill == "const":
        patch.fill_(ERASED_GREY)
    else:
        patch.copy_(torch.from_numpy(rng.integers(0, 256, tuple(patch.shape), dtype=np.uint8)))
    return erased


def _log_uniform(limits: tuple[float, float], rng: np.random.Generator, size: int) -> np.ndarray:
    low, high = limits
    return np.exp(rng.uniform(math.log(low), math.log(high), size))
