"""Read the frames that a view asks for, from the file or from a bounded cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zeroi2v_bench.decode import decode_all
from zeroi2v_bench.transforms import resize_short_side

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from zeroi2v_bench.types import Clip

CACHE_BYTES = 2 * 1024**3
"""Largest size of the frames kept in memory by one reader."""


class FrameReader:
    """Reads clips whole, keeps them in memory while there is room, and picks frames from them."""

    def __init__(self, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.free_bytes = cache_bytes
        self.kept: dict[tuple[str, int | None], tuple[Tensor, bool]] = {}

    def read(
        self, clip: Clip, select: Callable[[int], np.ndarray], short_side: int | None
    ) -> tuple[Tensor, bool]:
        """The selected frames of a clip.

        Args:
            clip: Where the frames are.
            select: Frame numbers for a clip of that many frames.
            short_side: What the frames are scaled to; None keeps the stored size.

        Returns:
            (M, C, H, W) uint8, and whether the decoder reported damage.

        Raises:
            DecodeError: The clip cannot be read.
        """
        frames, damaged = self._whole(clip, short_side)
        return frames[torch.from_numpy(select(len(frames)))], damaged

    def _whole(self, clip: Clip, short_side: int | None) -> tuple[Tensor, bool]:
        key = (clip.path, short_side)
        if key in self.kept:
            return self.kept[key]
        array, info = decode_all(clip.path)
        frames = torch.from_numpy(array).permute(0, 3, 1, 2)
        if short_side is not None:
            frames = resize_short_side(frames, short_side)
        frames = frames.contiguous()
        if frames.nbytes <= self.free_bytes:
            self.free_bytes -= frames.nbytes
            self.kept[key] = frames, info.damaged
        return frames, info.damaged
