"""Which frames a view takes: integer arithmetic on the clip's length, testable without a video.

The rules are those of the released code (MCG-NJU/ZeroI2V, ``mmaction/datasets/transforms/
loading.py``): ``dense`` is its ``SampleFrames`` and ``uniform`` its ``UniformSample``. A clip too
short for a view is not an error: dense sampling starts over at its first frame, uniform sampling
repeats frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zeroi2v_bench.errors import DataError

if TYPE_CHECKING:
    from zeroi2v_bench.protocol import Sampling


def train_indices(length: int, sampling: Sampling, rng: np.random.Generator) -> np.ndarray:
    """Frame numbers of one training view, drawn anew at each call.

    Args:
        length: Decodable frames of the clip.
        sampling: Dense draws the start of the run; uniform draws a frame in each of T segments.
        rng: The only source of randomness.

    Returns:
        (T,) int64, each in ``range(length)``.

    Raises:
        DataError: The clip has no frame.
    """
    _require_frames(length)
    if sampling.kind == "uniform":
        edges = _segment_edges(length, sampling.num_frames)
        return rng.integers(edges[:-1], edges[1:], endpoint=True)
    last_start = max(length - sampling.num_frames * sampling.stride, 0)
    return _run(int(rng.integers(last_start, endpoint=True)), length, sampling)


def test_indices(length: int, sampling: Sampling, clips: int) -> np.ndarray:
    """Frame numbers of the test views of a clip, one row per temporal view.

    Args:
        length: Decodable frames of the clip.
        sampling: Dense spreads its runs from the first to the last possible start, one run lies
            in the middle; uniform takes the same inner point of all T segments.
        clips: Temporal views.

    Returns:
        (clips, T) int64, each in ``range(length)``.

    Raises:
        DataError: The clip has no frame, or no view is asked for.
    """
    _require_frames(length)
    if clips < 1:
        raise DataError(f"{clips} temporal views asked for; at least 1 is needed")
    if sampling.kind == "uniform":
        starts = _segment_edges(length, sampling.num_frames)[:-1]
        step = (length - 1) / sampling.num_frames / (clips + 1)
        return np.stack([starts + int(step * (clip + 1)) for clip in range(clips)])
    return np.stack([_run(start, length, sampling) for start in _starts(length, sampling, clips)])


def _require_frames(length: int) -> None:
    if length < 1:
        raise DataError(f"cannot sample from a clip of {length} frames; it needs at least 1")


def _segment_edges(length: int, segments: int) -> np.ndarray:
    """(segments + 1,) int64: first frame to last frame, halves rounded to even as released."""
    return np.round((length - 1) / segments * np.arange(segments + 1)).astype(np.int64)


def _run(start: int, length: int, sampling: Sampling) -> np.ndarray:
    return (start + sampling.stride * np.arange(sampling.num_frames, dtype=np.int64)) % length


def _starts(length: int, sampling: Sampling, clips: int) -> list[int]:
    """Starts of the test runs. The released code treats views of one frame as their own case."""
    if sampling.num_frames == 1:
        spacing = length / clips
        return [int(spacing * clip + spacing / 2) for clip in range(clips)]
    last_start = max(length - (sampling.num_frames - 1) * sampling.stride - 1, 0)
    if clips == 1:
        return [last_start // 2]
    return [round(last_start / (clips - 1) * clip) for clip in range(clips)]
