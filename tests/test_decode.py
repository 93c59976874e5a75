"""Frames and verdicts of real clips equal those of ffmpeg's own sequential decode."""

from pathlib import Path

import numpy as np
import pytest

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode import decode_all, decode_frames, probe_video, read_frames

CLIPS = {
    "demo.mp4": ("h264", 280),
    "part_0.mp4": ("h264", 32),
    "demo_vp9.webm": ("vp9", 121),
    "test.avi": ("mpeg4", 164),
    "cut_copy.mp4": ("h264", 127),
    "h265_video.mp4": ("hevc", 10),
    "av1_video.mkv": ("av1", 125),
}


@pytest.fixture(scope="session")
def clips(reference_data) -> Path:
    return reference_data / "clips"


@pytest.fixture(scope="session")
def thumbnails(clips):
    return np.load(clips / "reference_thumbnails.npz")


def thumbnail(frame):
    """(16, 16) mean luma of each block of an RGB frame, as the reference was made."""
    rows, columns = (np.linspace(0, size, 17).astype(int) for size in frame.shape[:2])
    sums = np.add.reduceat(frame, rows[:-1], axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns[:-1], axis=1)
    return sums @ np.array([0.299, 0.587, 0.114]) / np.outer(np.diff(rows), np.diff(columns))


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_is_that_of_a_sequential_decode(name, clips, thumbnails):
    frames, info = decode_all(clips / name)
    reference = thumbnails[name] / 256
    assert (info.codec, info.num_frames) == CLIPS[name]
    assert not info.damaged
    assert frames.shape == (info.num_frames, info.height, info.width, 3)
    got = np.stack([thumbnail(frame) for frame in frames])
    assert np.abs(got - reference).max() < 0.01


@pytest.mark.parametrize("name", CLIPS)
def test_chosen_frames_are_those_of_the_whole_clip(name, clips):
    whole, info = decode_all(clips / name)
    assert probe_video(clips / name) == info
    indices = [info.num_frames - 1, 0, 3, 3, info.num_frames // 2]
    np.testing.assert_array_equal(decode_frames(clips / name, indices), whole[indices])
    views, seen = read_frames(clips / name, lambda n: np.array([[0, n - 1], [n // 2, 0]]))
    assert seen == info
    np.testing.assert_array_equal(views, whole[[[0, -1], [info.num_frames // 2, 0]]])


@pytest.mark.parametrize(
    "name", ["zero.mp4", "text.mp4", "audio_only.mp4", "truncated_half.mp4", "truncated_90pct.mp4"]
)
def test_files_without_decodable_video_are_refused_with_path_and_reason(name, clips):
    path = clips / "bad" / name
    for call in (probe_video, decode_all, lambda p: decode_frames(p, [0])):
        with pytest.raises(DecodeError, match=r"no video stream|moov atom not found") as error:
            call(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "num_frames"),
    [
        ("truncated_half.avi", 77),
        ("truncated_half.webm", 56),
        ("truncated_half_faststart.mp4", 139),
    ],
)
def test_truncated_clips_are_damaged_and_their_frames_can_be_read(name, num_frames, clips):
    info = probe_video(clips / "bad" / name)
    assert info.num_frames == num_frames
    assert info.damaged
    assert "but the file promises" in info.damage
    assert len(decode_frames(clips / "bad" / name, [0, num_frames - 1])) == 2
    with pytest.raises(DecodeError, match=rf"there are {num_frames} frames"):
        decode_frames(clips / "bad" / name, [num_frames])


def test_a_clip_of_one_frame_is_sound(clips):
    info = probe_video(clips / "bad" / "one_frame.mp4")
    assert (info.num_frames, info.damage) == (1, "")
