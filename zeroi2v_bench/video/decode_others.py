"""Decoders that seek: faster on long clips, and refused where they return other frames.

Each is imported when it is asked for. Which files they fail on was measured against decoding in
order: decord on AVI with B-frames, HEVC, AV1, open groups of pictures and files with an edit list;
torchcodec on AVI and wherever time stamps are missing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode_pyav import open_file

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """What a file shows without decoding.

    Attributes:
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the codec.
        count: Packets with data, of the video stream.
        hidden: Packets that an edit list hides.
        untimed: Packets without a presentation time.
        leading: Packets shown before the key frame that they follow: groups of pictures are open.
    """

    container: str
    codec: str
    count: int
    hidden: int
    untimed: int
    leading: int


def read_decord(path: Path, wanted: np.ndarray) -> np.ndarray:
    """(T, H, W, C) uint8 RGB through decord.

    Raises:
        DecodeError: decord is not installed, cannot read the file, or is known to be wrong on it.
    """
    packets = _packets(path)
    if packets.container == "avi" or packets.codec in {"hevc", "av1"}:
        raise _refused(path, "decord", f"{packets.codec} in {packets.container}")
    if packets.hidden or packets.leading:
        what = "a file cut by an edit list" if packets.hidden else "open groups of pictures"
        raise _refused(path, "decord", what)
    decord = _imported(path, "decord")
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        _check_length(path, "decord", wanted, len(reader), packets)
        frames: np.ndarray = reader.get_batch(wanted.tolist()).asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        raise DecodeError(f"{path}: decord: {' '.join(str(error).split())}") from error
    return frames


def read_torchcodec(path: Path, wanted: np.ndarray) -> np.ndarray:
    """(T, H, W, C) uint8 RGB through torchcodec in its exact mode.

    Raises:
        DecodeError: torchcodec is not installed, cannot read the file, or is known to be wrong on
            it.
    """
    packets = _packets(path)
    if packets.container == "avi" or packets.untimed:
        raise _refused(path, "torchcodec", "AVI, or a file with missing time stamps")
    decoders = _imported(path, "torchcodec.decoders")
    try:
        decoder = decoders.VideoDecoder(
            str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )
        _check_length(path, "torchcodec", wanted, len(decoder), packets)
        frames: np.ndarray = decoder.get_frames_at(wanted.tolist()).data.numpy()
    except (RuntimeError, IndexError, ValueError) as error:
        raise DecodeError(f"{path}: torchcodec: {' '.join(str(error).split())}") from error
    return frames


def _packets(path: Path) -> Packets:
    if not path.is_file():
        raise DecodeError(f"{path}: no such file or folder")
    with open_file(path) as reader:
        packets = [packet for packet in reader.packets() if packet.size]
        return Packets(
            container=reader.container_format,
            codec=reader.codec,
            count=len(packets),
            hidden=sum(packet.is_discard for packet in packets),
            untimed=sum(packet.pts is None for packet in packets),
            leading=_leading(packets),
        )


def _leading(packets: list[Any]) -> int:
    count, key_time = 0, None
    for packet in packets:
        if packet.is_keyframe:
            key_time = packet.pts
        elif None not in (packet.pts, key_time):
            count += packet.pts < key_time
    return count


def _imported(path: Path, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        name = module.partition(".")[0]
        raise DecodeError(
            f"{path}: decoder {name!r} cannot be used: {reason}; install it or use decoder 'pyav'"
        ) from error


def _refused(path: Path, decoder: str, what: str) -> DecodeError:
    return DecodeError(f"{path}: {decoder} returns wrong frames for {what}; use decoder 'pyav'")


def _check_length(
    path: Path, decoder: str, wanted: np.ndarray, length: int, packets: Packets
) -> None:
    if length != packets.count - packets.hidden:
        shown = packets.count - packets.hidden
        raise DecodeError(
            f"{path}: {decoder} counts {length} frames where the file shows {shown}; "
            "use decoder 'pyav'"
        )
    if wanted.max() >= length:
        raise DecodeError(f"{path}: frame {wanted.max()} asked for, but there are {length} frames")
