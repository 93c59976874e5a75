"""Folders of extracted frames are read like clips."""

import numpy as np
import pytest
from PIL import Image

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode import decode_all, decode_frames, probe_video, read_frames


def write_frames(folder, names, size=(20, 30)):
    """Flat images whose grey is ten times their place in the list."""
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names):
        Image.new("RGB", size[::-1], (10 * place,) * 3).save(folder / name)
    return folder


def greys(frames):
    return frames[..., 0, 0, 0].tolist()


@pytest.mark.parametrize("pattern", ["img_{:05}.png", "{:06}.png", "img_{}.png", "frame{:03}.bmp"])
def test_frames_follow_their_numbers_whatever_the_padding(pattern, tmp_path):
    folder = write_frames(tmp_path / "clip", [pattern.format(n) for n in range(1, 13)])
    assert greys(decode_frames(folder, [0, 11, 1, 1])) == [0, 110, 10, 10]
    frames, info = decode_all(folder)
    assert greys(frames) == [10 * n for n in range(12)]
    assert (info.num_frames, info.width, info.height, info.damage) == (12, 30, 20, "")
    assert info == probe_video(folder)
    assert info.codec == pattern[-3:]


def test_frames_are_chosen_by_the_count_in_one_go(tmp_path):
    folder = write_frames(tmp_path / "clip", [f"img_{n:05}.jpg" for n in range(1, 9)])
    frames, info = read_frames(folder, lambda n: np.array([[0, n - 1], [3, 3]]))
    assert frames.shape == (2, 2, 20, 30, 3)
    assert greys(frames) == [[0, 70], [30, 30]]
    assert info.num_frames == 8


def test_flow_images_beside_the_frames_are_not_frames(tmp_path):
    folder = write_frames(tmp_path / "clip", [f"img_{n:05}.png" for n in range(1, 4)])
    write_frames(folder, [f"flow_x_{n:05}.png" for n in range(1, 9)])
    (folder / "notes.txt").write_text("not a frame")
    assert probe_video(folder).num_frames == 3


def test_series_that_cannot_be_told_apart_are_refused(tmp_path):
    folder = write_frames(tmp_path / "clip", ["left_1.png", "right_1.png"])
    with pytest.raises(DecodeError, match=r"several series .*'left_', 'right_'"):
        probe_video(folder)


def test_a_frame_stored_twice_is_refused(tmp_path):
    folder = write_frames(tmp_path / "clip", ["img_1.png", "img_01.png"])
    with pytest.raises(DecodeError, match="frame 1 is there twice"):
        probe_video(folder)


def test_a_gap_in_the_numbers_is_damage(tmp_path):
    folder = write_frames(tmp_path / "clip", [f"img_{n:05}.png" for n in (1, 2, 5)])
    assert "2 numbers missing from 1 to 5" in probe_video(folder).damage
    assert greys(decode_frames(folder, [2])) == [20]


def test_an_image_that_cannot_be_read_is_damage_and_never_a_frame(tmp_path):
    folder = write_frames(tmp_path / "clip", [f"img_{n:05}.png" for n in range(1, 4)])
    (folder / "img_00002.png").write_bytes(b"no image")
    assert "img_00002.png" in probe_video(folder).damage
    assert greys(decode_frames(folder, [2, 0])) == [20, 0]
    with pytest.raises(DecodeError, match=r"img_00002\.png"):
        decode_frames(folder, [1])


def test_images_of_different_sizes_are_damage(tmp_path):
    folder = write_frames(tmp_path / "clip", ["img_1.png", "img_2.png"])
    write_frames(folder, ["img_3.png"], size=(10, 10))
    assert "img_3.png" in probe_video(folder).damage


@pytest.mark.parametrize("names", [[], ["cover.png"]])
def test_a_folder_without_numbered_images_is_refused(names, tmp_path):
    with pytest.raises(DecodeError, match="holds no numbered images"):
        probe_video(write_frames(tmp_path / "clip", names))


def test_an_index_past_the_last_image_is_refused(tmp_path):
    folder = write_frames(tmp_path / "clip", ["img_1.png", "img_2.png"])
    with pytest.raises(DecodeError, match="frame 2 asked for, but there are 2 frames"):
        decode_frames(folder, [2])
