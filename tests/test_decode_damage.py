"""Damage is noticed, belongs to the clip that has it, and never ends or stops the process."""

from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from decode_clips import write_clip

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode import decode_all, decode_frames, probe_video

CODECS = {
    "h264.mp4": ("libx264", {"x264-params": "no-mbtree=1"}),  # else each run writes another file
    "xvid.avi": ("mpeg4", {"bf": "2", "g": "12"}),
    "vp9.webm": ("libvpx-vp9", {}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none"}),
}


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    large = {"size": (144, 256), "frames": 60}
    return {
        name: write_clip(folder / name, codec, options=options, **large)
        for name, (codec, options) in CODECS.items()
    }


def flipped(data, count, seed):
    """The bytes with that many of them changed, anywhere."""
    rng = np.random.default_rng(seed)
    damaged = np.frombuffer(data, dtype=np.uint8).copy()
    places = rng.choice(len(damaged), size=count, replace=False)
    damaged[places] ^= rng.integers(1, 256, count, dtype=np.uint8)
    return damaged.tobytes()


def damaged_frames(source, path, seed):
    """A copy of the clip with 64 bytes changed in its second half: the header comes first."""
    data = source.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + flipped(data[half:], 64, seed))
    return path


@pytest.fixture
def damaged(sources, tmp_path):
    return damaged_frames(sources["h264.mp4"], tmp_path / "damaged.mp4", seed=1)


def verdict(path):
    """What probing says, or None where it refuses the clip by its name and in one line."""
    try:
        return probe_video(path)
    except DecodeError as error:
        lines = str(error).splitlines()
    assert len(lines) == 1
    assert str(path) in lines[0]
    return None


@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm"])
def test_damaged_frames_never_pass_unnoticed(name, sources, tmp_path):
    clean, _ = decode_all(sources[name])
    for seed in range(15):
        path = damaged_frames(sources[name], tmp_path / name, seed)
        info = verdict(path)
        assert info is None or info.damaged or np.array_equal(decode_all(path)[0], clean), seed


@pytest.mark.parametrize("name", CODECS)
def test_flipped_bytes_give_frames_or_a_decode_error_and_nothing_else(name, sources, tmp_path):
    path = tmp_path / name
    for seed in range(10):
        path.write_bytes(flipped(sources[name].read_bytes(), 1 + 30 * (seed % 3), seed))
        if (info := verdict(path)) is not None:
            frames = decode_frames(path, [0, info.num_frames - 1])
            assert frames.shape == (2, info.height, info.width, 3)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_clips_cut_off_are_damaged_or_refused(name, share, sources, tmp_path):
    data = sources[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    if (info := verdict(path)) is not None:
        assert info.num_frames < 60
        assert info.damaged
        assert share > 0.8 or "but the file promises 2.4" in info.damage


def test_a_missing_frame_is_told_with_the_number_there_are(sources):
    with pytest.raises(DecodeError, match=r"frame 60 asked for, but there are 60 frames"):
        decode_frames(sources["h264.mp4"], [0, 60])


def test_clips_read_at_the_same_time_keep_their_own_verdicts(sources, damaged):
    paths = [damaged, sources["h264.mp4"], sources["xvid.avi"], damaged] * 4
    with ThreadPoolExecutor(4) as pool:
        verdicts = [info.damaged for info in pool.map(probe_video, paths)]
    assert verdicts == [True, False, False, True] * 4


def test_the_same_damage_is_reported_each_time(damaged):
    assert probe_video(damaged) == probe_video(damaged)
    assert "h264: " in probe_video(damaged).damage


@pytest.mark.parametrize("level", [None, av.logging.WARNING])
def test_the_log_settings_of_the_process_stay_as_they_were(level, sources):
    av.logging.set_level(level)
    try:
        probe_video(sources["h264.mp4"])
        assert (av.logging.get_level(), av.logging.get_skip_repeated()) == (level, True)
    finally:
        av.logging.set_level(None)
