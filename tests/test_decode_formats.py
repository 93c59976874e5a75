"""Every frame is the one that was written, whatever the codec, the container or the time stamps."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from decode_clips import (
    add_stream,
    encode_frame,
    numbered_frame,
    numbers_of,
    write_clip,
    write_cut,
)

from zeroi2v_bench.video.decode import decode_all, decode_frames, probe_video, read_frames

FORMATS = {
    "h264.mp4": ("libx264", {}),
    "h264.avi": ("libx264", {}),
    "open_gop.mkv": ("libx264", {"x264-params": "open-gop=1:keyint=8:bframes=3"}),
    "xvid_short_gop.avi": ("mpeg4", {"bf": "2", "g": "12"}),
    "xvid_long_gop.avi": ("mpeg4", {"bf": "2", "g": "250"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none:keyint=12"}),
    "vp9.webm": ("libvpx-vp9", {}),
    "mpeg2.mpg": ("mpeg2video", {}),
    "wmv.wmv": ("wmv2", {}),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


@pytest.mark.parametrize("name", FORMATS)
def test_frames_come_out_as_they_were_written(name, folder):
    path = write_clip(folder / name, FORMATS[name][0], options=FORMATS[name][1])
    frames, info = decode_all(path)
    assert numbers_of(frames) == list(range(40))
    assert (info.num_frames, info.width, info.height, info.damage) == (40, 128, 48, "")
    written = np.stack([numbered_frame(number) for number in range(40)])
    assert np.abs(frames.astype(int) - written).mean() < 5


@pytest.mark.parametrize("name", FORMATS)
def test_any_choice_of_frames_is_returned_in_the_order_asked_for(name, folder):
    path = write_clip(folder / name, FORMATS[name][0], options=FORMATS[name][1])
    for indices in ([0], [39], [17, 3, 3, 38], list(range(39, -1, -7))):
        assert numbers_of(decode_frames(path, indices)) == indices
    views, _ = read_frames(path, lambda n: np.array([[n - 1, 5], [0, 5]]))
    assert numbers_of(views.reshape(-1, *views.shape[2:])) == [39, 5, 0, 5]


@pytest.mark.parametrize(("name", "codec"), [("vfr.mp4", "libx264"), ("vfr.webm", "libvpx-vp9")])
def test_irregular_times_neither_repeat_nor_drop_frames(name, codec, tmp_path):
    times = np.cumsum([1, 1, 3, 1, 7, 1, 1, 40] * 5).tolist()
    path = write_clip(tmp_path / name, codec, times=times)
    assert probe_video(path).damage == ""
    assert numbers_of(decode_frames(path, range(40))) == list(range(40))


@pytest.mark.parametrize("first", [1, 7, 20])
def test_frames_hidden_by_an_edit_list_are_not_counted(first, tmp_path):
    source = write_clip(tmp_path / "whole.mp4", options={"g": "250"})
    frames, info = decode_all(write_cut(source, tmp_path / "cut.mp4", first=first))
    assert numbers_of(frames) == list(range(first, 40))
    assert info.damage == ""


def test_the_main_one_of_two_video_streams_is_read(tmp_path):
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as container:
        streams = [add_stream(container, "libx264", size=size) for size in [(32, 128), (96, 256)]]
        streams[0].disposition, streams[1].disposition = 0, Disposition.default.value
        for number in range(30):
            encode_frame(container, streams[0], numbered_frame(99, 32, 128), number)
            encode_frame(container, streams[1], numbered_frame(number, 96, 256), number)
        for stream in streams:
            container.mux(stream.encode())
    frames, info = decode_all(path)
    assert (info.width, info.height, info.damage) == (256, 96, "")
    assert numbers_of(frames) == list(range(30))


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.avi"])
def test_sound_that_outlasts_the_picture_is_not_damage(name, tmp_path):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        picture, sound = add_stream(container, "libx264"), container.add_stream("aac", rate=8000)
        for number in range(25):
            encode_frame(container, picture, numbered_frame(number), number)
        container.mux(picture.encode())
        silence = np.zeros((1, 8000 * 4), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    assert (probe_video(path).num_frames, probe_video(path).damage) == (25, "")


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write rotation"
)
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_turned_as_players_show_them(rotation, tmp_path):
    upright, _ = decode_all(write_clip(tmp_path / "upright.mp4", frames=3))
    turned, info = decode_all(write_clip(tmp_path / "turned.mp4", frames=3, rotation=rotation))
    np.testing.assert_array_equal(turned, np.rot90(upright, rotation // 90, axes=(1, 2)))
    assert (info.height, info.width) == turned.shape[1:3]


def test_clips_too_large_to_hold_are_read_twice_with_the_same_result(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "clip.mp4")
    held = read_frames(path, lambda n: np.arange(0, n, 5))
    monkeypatch.setattr("zeroi2v_bench.video.decode._HELD_BYTES", 20_000)
    twice = read_frames(path, lambda n: np.arange(0, n, 5))
    assert held[1] == twice[1]
    np.testing.assert_array_equal(held[0], twice[0])


def test_titles_that_are_not_utf8_do_not_matter(tmp_path):
    path = tmp_path / "titled.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "caf\N{LATIN SMALL LETTER E WITH ACUTE}!"
        stream = add_stream(container, "libx264")
        encode_frame(container, stream, numbered_frame(0), 0)
        container.mux(stream.encode())
    latin = path.read_bytes().replace(b"caf\xc3\xa9!", b"caf\xe9!!")
    assert b"caf\xe9!!" in latin
    path.write_bytes(latin)
    assert probe_video(path).num_frames == 1
