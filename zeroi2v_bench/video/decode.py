"""Decoding through one function: frame k is the k-th frame that the decoder gives, in order.

Headers, packet counts and seeking are wrong for common files (AVI with B-frames, MP4 cut without
re-encoding, open groups of pictures), so the default decodes from the first frame to the last one
asked for, and counts what comes out, as ``ffmpeg -fps_mode passthrough`` does.

Frames are RGB and turned by the file's display rotation in steps of 90 degrees; mirroring is not
undone. A stream that changes its size is scaled to its first frame. Only regular files and
folders are opened: no URL, no playlist, no protocol such as ``concat:``.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode_folder import FolderReader
from zeroi2v_bench.video.decode_others import read_decord, read_torchcodec
from zeroi2v_bench.video.decode_pyav import open_file
from zeroi2v_bench.video.decode_reader import Reader, VideoInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "DECODERS",
    "VideoInfo",
    "decode_all",
    "decode_frames",
    "describe_decoder",
    "probe_video",
    "read_frames",
]

DECODERS = ("pyav", "decord", "torchcodec")

# Frames kept unconverted while their count is unknown; a clip that needs more is read twice.
_HELD_BYTES = 512 << 20


def decode_frames(
    path: str | Path, indices: Sequence[int] | np.ndarray, *, decoder: str = "pyav"
) -> np.ndarray:
    """Frames of a video file, or of a folder of extracted frames (``img_00001.jpg``).

    Decoding stops at the last frame asked for. A damaged clip yields what its decoder makes of
    it; ``probe_video`` tells whether it is damaged.

    Args:
        path: The file or folder.
        indices: T 0-based frame numbers in any order; repeats are legal.
        decoder: "pyav" (in order, exact), or "decord" or "torchcodec" (they seek, and are refused
            for files of which they are known to return other frames). Folders need none.

    Returns:
        (T, H, W, C) uint8, RGB, one frame per index.

    Raises:
        DecodeError: Nothing decodable, an index out of range, or a decoder that is unknown, not
            installed or wrong for this file. The message carries the path and the reason.
    """
    path = Path(path)
    wanted = _checked(path, indices)
    if decoder not in DECODERS:
        raise DecodeError(f"{path}: unknown decoder {decoder!r}; known: {', '.join(DECODERS)}")
    if decoder == "pyav" or path.is_dir():
        return _decode_in_order(path, wanted)
    return (read_decord if decoder == "decord" else read_torchcodec)(path, wanted)


def probe_video(path: str | Path) -> VideoInfo:
    """Decode a whole clip, keep no frame, and tell what it holds and whether it is sound.

    Raises:
        DecodeError: No frame can be decoded. The message carries the path and the reason.
    """
    with _open(Path(path)) as reader:
        for _ in reader:
            pass
        return reader.info()


def read_frames(
    path: str | Path, select: Callable[[int], np.ndarray]
) -> tuple[np.ndarray, VideoInfo]:
    """The frames that ``select(num_frames)`` names, decoded once although the count is unknown.

    Args:
        path: The file or folder.
        select: From the number of decodable frames to the indices wanted, in any shape.

    Returns:
        (*indices.shape, H, W, C) uint8 RGB, and the verdict on the whole clip.

    Raises:
        DecodeError: As ``decode_frames``.
    """
    path = Path(path)
    with _open(path) as reader:
        held, num_bytes = [], 0
        for frame in reader:
            num_bytes += reader.num_bytes(frame)
            if num_bytes <= _HELD_BYTES:
                held.append(frame)
        info = reader.info()
        indices = np.asarray(select(info.num_frames))
        wanted = _checked(path, indices.reshape(-1))
        if wanted.max() < len(held):
            frames = _gather(wanted, {i: reader.rgb(held[i]) for i in set(wanted.tolist())})
        else:
            frames = _decode_in_order(path, wanted)
    return frames.reshape(*indices.shape, *frames.shape[1:]), info


def decode_all(
    path: str | Path,
    *,
    each: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels,
) -> tuple[np.ndarray, VideoInfo]:
    """Every frame of a clip, decoded once.

    Args:
        path: The file or folder.
        each: What to make of each frame (H, W, C) as it comes, so that not all are held as they
            are.

    Returns:
        (num_frames, H, W, C) uint8 RGB, and the verdict on the clip, with the file's own size.

    Raises:
        DecodeError: No frame can be decoded, or an extracted frame cannot be read.
    """
    with _open(Path(path)) as reader:
        frames = [each(reader.rgb(frame)) for frame in reader]
        info = reader.info()
    return np.stack(frames), info


def describe_decoder(decoder: str) -> str:
    """Name and version of a decoder, with that of PyAV's own FFmpeg.

    Raises:
        DecodeError: Unknown, or not installed.
    """
    if decoder not in DECODERS:
        raise DecodeError(f"unknown decoder {decoder!r}; known: {', '.join(DECODERS)}")
    try:
        found = f"{decoder} {version('av' if decoder == 'pyav' else decoder)}"
    except PackageNotFoundError as error:
        raise DecodeError(f"decoder {decoder!r} is not installed; use 'pyav'") from error
    return f"{found} (FFmpeg {av.ffmpeg_version_info})" if decoder == "pyav" else found


@contextmanager
def _open(path: Path) -> Iterator[Reader]:
    if path.is_dir():
        yield FolderReader(path)
    elif path.is_file():
        with open_file(path) as reader:
            yield reader
    else:
        raise DecodeError(f"{path}: no such file or folder")


def _checked(path: Path, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    wanted = np.asarray(indices)
    if wanted.ndim != 1 or not wanted.size or wanted.dtype.kind not in "iu":
        raise DecodeError(f"{path}: frame indices must be a list of integers and not empty")
    if wanted.min() < 0:
        raise DecodeError(f"{path}: frame {wanted.min()} asked for, but frames count from 0")
    return wanted


def _decode_in_order(path: Path, wanted: np.ndarray) -> np.ndarray:
    chosen, last = set(wanted.tolist()), int(wanted.max())
    rgb: dict[int, Any] = {}
    with _open(path) as reader:
        for number, frame in enumerate(reader):
            if number in chosen:
                rgb[number] = reader.rgb(frame)
            if number == last:
                return _gather(wanted, rgb)
        info = reader.info()
    why = f" ({info.damage})" if info.damaged else ""
    raise DecodeError(
        f"{path}: frame {last} asked for, but there are {info.num_frames} frames{why}; "
        f"the last one is {info.num_frames - 1}"
    )


def _gather(wanted: np.ndarray, rgb: dict[int, Any]) -> np.ndarray:
    return np.stack([rgb[number] for number in wanted.tolist()])
