"""Read the frames that a view asks for: from the cache, or decoded from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from zeroi2v_bench.data.frame_cache import frames_key
from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode import (
    decode_all,
    decode_frames,
    describe_decoder,
    probe_video,
    read_frames,
)
from zeroi2v_bench.video.transforms import resize_short_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from zeroi2v_bench.data.data_index import ClipInfo
    from zeroi2v_bench.data.frame_cache import FrameCache
    from zeroi2v_bench.types import Clip


class FrameReader:
    """Reads frames with one decoder; share one reader between runs on the same clips.

    Args:
        cache: Keeps decoded frames; None decodes every time. The numbers are the same.
        index: What a scan found in the files: their frames need not be counted again, and what is
            known to be unreadable, or to hang its reader, is not opened.
        decoder: "pyav", "decord" or "torchcodec".

    Attributes:
        version: Name and version of the decoder.

    Raises:
        DecodeError: The decoder is unknown or not installed.
    """

    def __init__(
        self,
        cache: FrameCache | None = None,
        index: Mapping[str, ClipInfo] | None = None,
        decoder: str = "pyav",
    ) -> None:
        self.cache = cache
        self.index = index or {}
        self.decoder = decoder
        self.version = describe_decoder(decoder)

    def read(
        self,
        clip: Clip,
        select: Callable[[int], np.ndarray],
        short_side: int | None,
        *,
        fixed: str = "",
    ) -> tuple[Tensor, bool]:
        """The selected frames of a clip.

        Args:
            clip: Where the frames are.
            select: Frame numbers for a clip of that many frames.
            short_side: What the frames are scaled to; None keeps the stored size.
            fixed: Names a selection that is the same every time, of which the cache needs no
                more; else it keeps the whole clip.

        Returns:
            (M, C, H, W) uint8, and whether the decoder reported damage.

        Raises:
            DecodeError: The clip cannot be read.
        """
        known = self.index.get(clip.path)
        if known is not None and known.verdict in {"unreadable", "failed"}:
            raise DecodeError(f"{clip.path}: {known.verdict} by the index: {known.reason}")
        if self.cache is None:
            frames, damaged = self._decode(clip.path, select)
            return _scaled(frames, short_side), damaged
        try:
            key = frames_key(clip.path, short_side, fixed, self.version)
        except OSError as error:
            raise DecodeError(f"{clip.path}: {error.strerror}") from error
        kept = self.cache.get(key)
        if kept is None and (fixed or self.cache.full):
            frames, damaged = self._decode(clip.path, select)
            scaled = _scaled(frames, short_side)
            if fixed:
                self.cache.put(key, scaled.numpy(), damaged)
            return scaled, damaged
        if kept is None:
            kept = self._decode_whole(clip.path, short_side)
            self.cache.put(key, *kept)
        frames, damaged = kept
        return torch.from_numpy(frames[... if fixed else select(len(frames))].copy()), damaged

    def _decode(self, path: str, select: Callable[[int], np.ndarray]) -> tuple[np.ndarray, bool]:
        """The selected frames (M, H, W, C); nothing after the last one is decoded if indexed."""
        known = self.index.get(path)
        if known is not None:
            indices = select(known.num_frames)
            frames = decode_frames(path, indices, decoder=self.decoder)
            return frames, known.verdict == "damaged"
        if self.decoder == "pyav":
            frames, info = read_frames(path, select)
        else:
            info = probe_video(path)
            frames = decode_frames(path, select(info.num_frames), decoder=self.decoder)
        return frames, info.damaged

    def _decode_whole(self, path: str, short_side: int | None) -> tuple[np.ndarray, bool]:
        """All frames (N, C, H, W), scaled one by one."""
        if self.decoder == "pyav":
            frames, info = decode_all(
                path, each=lambda pixels: _scaled(pixels[None], short_side).numpy()[0]
            )
            return frames, info.damaged
        frames, damaged = self._decode(path, np.arange)
        return _scaled(frames, short_side).numpy(), damaged


def _scaled(frames: np.ndarray, short_side: int | None) -> Tensor:
    """(M, H, W, C) -> (M, C, H', W')."""
    tensor = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    if short_side is not None:
        tensor = resize_short_side(tensor, short_side)
    return tensor.contiguous()
