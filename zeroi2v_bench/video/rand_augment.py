"""RandAugment over a whole clip: the released arithmetic on torchvision's operations.

The released configs run pytorchvideo's RandAugment on uint8 clips: distinct operations, each
applied with probability 1/2, at a level drawn around ``magnitude`` on a scale that ends at 10.
torchvision's own class differs in all of this, and its scale ends at 30: magnitude 7 would be a
third of what the recipe asks for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

LARGEST_LEVEL = 10
LEVEL_STD = 0.5
APPLY_PROBABILITY = 0.5


def rand_augment(frames: Tensor, layers: int, magnitude: int, rng: np.random.Generator) -> Tensor:
    """Apply distinct random operations, each drawn once for all frames.

    Args:
        frames: (T, C, H, W) uint8.
        layers: Operations drawn; each is then applied with probability 1/2.
        magnitude: Mean of the levels, on a scale that ends at 10.
        rng: The only source of randomness.

    Returns:
        (T, C, H, W) uint8.
    """
    names = list(OPERATIONS)
    for place in rng.choice(len(names), size=min(layers, len(names)), replace=False):
        if rng.random() >= APPLY_PROBABILITY:
            continue
        level = min(max(rng.normal(magnitude, LEVEL_STD), 0.0), LARGEST_LEVEL) / LARGEST_LEVEL
        frames = OPERATIONS[names[place]](frames, level, float(rng.choice([-1.0, 1.0])))
    return frames


def _affine(frames: Tensor, **changes: Any) -> Tensor:
    still = {"angle": 0.0, "translate": [0.0, 0.0], "scale": 1.0, "shear": [0.0, 0.0]}
    bilinear = InterpolationMode.BILINEAR
    moved: Tensor = functional.affine(
        frames, **{**still, **changes}, interpolation=bilinear, fill=0
    )
    return moved


def _degrees(slope: float) -> float:
    return math.degrees(math.atan(slope))


def _solarize(frames: Tensor, level: float) -> Tensor:
    """The released threshold is a share of 1 although pixels reach 255: nearly all invert."""
    solarized: Tensor = functional.solarize(frames, threshold=1 - level)
    return solarized


# From frames, the level as a share of the largest, and a random sign of 1 or -1.
OPERATIONS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "brightness": lambda x, level, sign: functional.adjust_brightness(x, 1 + 0.9 * level * sign),
    "contrast": lambda x, level, sign: functional.adjust_contrast(x, 1 + 0.9 * level * sign),
    "saturation": lambda x, level, sign: functional.adjust_saturation(x, 1 + 0.9 * level * sign),
    "sharpness": lambda x, level, sign: functional.adjust_sharpness(x, 1 + 0.9 * level * sign),
    "autocontrast": lambda x, level, sign: functional.autocontrast(x),
    "equalize": lambda x, level, sign: functional.equalize(x),
    "invert": lambda x, level, sign: functional.invert(x),
    "rotate": lambda x, level, sign: _affine(x, angle=30 * level * sign),
    "posterize": lambda x, level, sign: functional.posterize(x, bits=4 - int(4 * level)),
    "solarize": lambda x, level, sign: _solarize(x, level),
    "shear_x": lambda x, level, sign: _affine(
        x, shear=[_degrees(0.3 * level * sign), 0.0], center=[0.0, 0.0]
    ),
    "shear_y": lambda x, level, sign: _affine(
        x, shear=[0.0, _degrees(0.3 * level * sign)], center=[0.0, 0.0]
    ),
    "translate_x": lambda x, level, sign: _affine(
        x, translate=[0.45 * level * sign * x.shape[-1], 0.0]
    ),
    "translate_y": lambda x, level, sign: _affine(
        x, translate=[0.0, 0.45 * level * sign * x.shape[-2]]
    ),
}
