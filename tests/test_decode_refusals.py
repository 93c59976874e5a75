"""What is not a video file of this machine is refused, and so is a decoder that would be wrong."""

import os
import sys

import numpy as np
import pytest
from decode_clips import numbers_of, write_clip, write_cut

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode import DECODERS, decode_frames, probe_video


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.mark.parametrize(
    "location", ["http://localhost/{}", "concat:{}|{}", "subfile,,start,0,end,0,,:{}", "pipe:0"]
)
def test_locations_that_are_not_files_are_refused(location, clip):
    with pytest.raises(DecodeError, match="no such file or folder"):
        probe_video(location.format(clip, clip))


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
        "<?xml version='1.0'?><MPD><Period><BaseURL>{}</BaseURL></Period></MPD>",
    ],
    ids=["hls", "concat", "dash"],
)
def test_playlists_are_refused_even_under_the_name_of_a_video(text, clip, tmp_path):
    path = tmp_path / "playlist.mp4"
    path.write_text(text.format(clip))
    with pytest.raises(DecodeError, match=str(path)):
        probe_video(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(DecodeError, match="no such file or folder"):
        probe_video(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("name", ["a # & (b); [c]! ~ +%20d.mp4", "concat:a|b.mp4", "http:%03d.mp4"])
def test_odd_file_names_are_names_and_nothing_else(name, clip, tmp_path):
    path = tmp_path / name
    path.write_bytes(clip.read_bytes())
    assert numbers_of(decode_frames(path, [5, 2])) == [5, 2]


@pytest.mark.parametrize("indices", [[], [-1, 3], [0.5], [[0, 1]], ["a"], [True]])
def test_indices_that_are_not_a_list_of_frame_numbers_are_refused(indices, clip):
    with pytest.raises(DecodeError, match=r"list of integers|frames count from 0"):
        decode_frames(clip, indices)


def test_an_unknown_decoder_is_told_the_known_ones(clip):
    with pytest.raises(DecodeError, match=r"unknown decoder 'opencv'; known: pyav, decord, torch"):
        decode_frames(clip, [0], decoder="opencv")


@pytest.mark.parametrize("decoder", DECODERS[1:])
def test_a_decoder_that_is_not_installed_is_named(decoder, clip, monkeypatch):
    monkeypatch.setitem(sys.modules, decoder, None)
    monkeypatch.setitem(sys.modules, f"{decoder}.decoders", None)
    with pytest.raises(DecodeError, match=rf"decoder '{decoder}' cannot be used.*'pyav'"):
        decode_frames(clip, [0], decoder=decoder)


@pytest.mark.parametrize("decoder", DECODERS[1:])
def test_files_on_which_a_decoder_is_known_to_be_wrong_are_refused(decoder, tmp_path):
    avi = write_clip(tmp_path / "clip.avi", "mpeg4", options={"bf": "2", "g": "12"})
    with pytest.raises(DecodeError, match=rf"{decoder} returns wrong frames for .*'pyav'"):
        decode_frames(avi, [0], decoder=decoder)


def test_decord_is_refused_for_hevc_cut_files_and_open_groups_of_pictures(clip, tmp_path):
    hevc = {"x265-params": "log-level=none"}
    open_groups = {"x264-params": "open-gop=1:keyint=8:bframes=3"}
    paths = [
        write_clip(tmp_path / "hevc.mp4", "libx265", frames=5, options=hevc),
        write_clip(tmp_path / "open.mp4", options=open_groups),
        write_cut(clip, tmp_path / "cut.mp4", first=3),
    ]
    for path in paths:
        with pytest.raises(DecodeError, match="decord returns wrong frames for"):
            decode_frames(path, [0], decoder="decord")


@pytest.mark.parametrize("decoder", DECODERS[1:])
def test_other_decoders_return_the_frames_asked_for(decoder, clip):
    pytest.importorskip(decoder)
    indices = [30, 2, 2, 39]
    frames = decode_frames(clip, indices, decoder=decoder)
    assert numbers_of(frames) == indices
    exact = decode_frames(clip, indices)
    assert np.abs(frames.astype(int) - exact).mean() < 1
    with pytest.raises(DecodeError, match="there are 40 frames"):
        decode_frames(clip, [40], decoder=decoder)


def test_decoders_are_imported_only_when_they_are_asked_for(clip, monkeypatch):
    for name in DECODERS[1:]:
        monkeypatch.setitem(sys.modules, name, None)
    assert numbers_of(decode_frames(clip, [1])) == [1]
