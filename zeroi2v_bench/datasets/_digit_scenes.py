"""Draw handwritten digits at any place, size and angle on a textured background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

SIDE = 64
"""Side of a drawn frame in pixels."""
SIZES = (0.40, 0.85)
"""Smallest and largest side of a digit as a share of the frame's side."""
TURN = 0.4
"""Range of angles in turns: upright plus or minus 72 degrees, so that 6 and 9 stay apart."""
TRAIN_DIGITS = 1297
"""Digit images of the training side, backbone included; the other 500 are for testing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """M frames to draw; every field but ``glyphs`` and ``backgrounds`` is (M,) in [0, 1).

    The frame is a torus: what leaves it on one side comes back on the other.

    Attributes:
        glyphs: (M, 8, 8), ink in 0-1.
        x, y: Centre of the digit.
        size: From the smallest to the largest of `SIZES`.
        angle: Counter-clockwise, over the range of `TURN`.
        ink: Brightness of the digit, from weak to strong.
        backgrounds: (M, SIDE, SIDE) brightness in 0-1.
    """

    glyphs: np.ndarray
    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    ink: np.ndarray
    backgrounds: np.ndarray


@cache
def digit_images(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Glyphs (M, 8, 8) in 0-1 and their digits (M,) of the "train" or the "test" side.

    The 1,797 images of scikit-learn's ``load_digits`` in a fixed random order, cut in two.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(1797).permutation(len(data.target))
    chosen = order[:TRAIN_DIGITS] if side == "train" else order[TRAIN_DIGITS:]
    return (data.images[chosen] / 16).astype(np.float32), data.target[chosen]


def draw_background(rng: np.random.Generator) -> np.ndarray:
    """A smooth random texture (SIDE, SIDE) in 0-1 that continues over the edges."""
    coarse = rng.uniform(0.0, 0.35, (5, 5)).astype(np.float32)
    at = np.arange(SIDE, dtype=np.float32) * 5 / SIDE
    low = at.astype(int)
    part = at - low
    rows = coarse[low] * (1 - part)[:, None] + coarse[(low + 1) % 5] * part[:, None]
    texture: np.ndarray = rows[:, low] * (1 - part) + rows[:, (low + 1) % 5] * part
    return texture


def draw(scenes: Scenes) -> np.ndarray:
    """Brightness (M, SIDE, SIDE) float32 in 0-1, without noise."""
    centres = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    right = (centres - scenes.x[:, None] + 0.5) % 1 - 0.5  # (M, S): from the centre, on the torus
    down = (centres - scenes.y[:, None] + 0.5) % 1 - 0.5
    turn = 2 * np.pi * TURN * (scenes.angle - 0.5)
    cos, sin = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    side = (SIZES[0] + scenes.size * (SIZES[1] - SIZES[0]))[:, None, None]
    column = (cos * right[:, None, :] - sin * down[:, :, None]) / side * 8 + 3.5
    row = (sin * right[:, None, :] + cos * down[:, :, None]) / side * 8 + 3.5
    ink = _sample(scenes.glyphs, row, column) * (0.6 + 0.4 * scenes.ink)[:, None, None]
    return (scenes.backgrounds * (1 - ink) + ink).astype(np.float32)


def _sample(glyphs: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Bilinear samples of (M, 8, 8) at (M, S, S) positions; zero outside."""
    padded = np.pad(glyphs, ((0, 0), (1, 1), (1, 1)))
    row, column = np.clip(row + 1, 0, 8.999), np.clip(column + 1, 0, 8.999)
    top, left = row.astype(np.intp), column.astype(np.intp)
    below, beside = (row - top).astype(np.float32), (column - left).astype(np.float32)
    flat, start = padded.reshape(-1), (np.arange(len(glyphs)) * 100)[:, None, None]
    corner = start + top * 10 + left
    upper = flat[corner] * (1 - beside) + flat[corner + 1] * beside
    lower = flat[corner + 10] * (1 - beside) + flat[corner + 11] * beside
    sampled: np.ndarray = upper * (1 - below) + lower * below
    return sampled
