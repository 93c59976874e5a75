"""The cache changes no number, holds its bound, and serves every process."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from zeroi2v_bench.data import frame_cache, reader
from zeroi2v_bench.data.data_index import ClipInfo
from zeroi2v_bench.data.frame_cache import FrameCache, frames_key, open_cache
from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader import FrameReader
from zeroi2v_bench.data.reader_watch import batches_of
from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.protocol import load_protocol, override
from zeroi2v_bench.types import Clip

GB = 1 << 30


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three videos of 12 frames, 48 x 64 pixels of noise."""
    folder, found = tmp_path_factory.mktemp("clips"), []
    for number in range(3):
        path = folder / f"{number}.mp4"
        frames = np.random.default_rng(number).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        found.append(Clip(id=str(number), path=str(path), label=number))
    return tuple(found)


@pytest.fixture
def count_decoded(monkeypatch):
    """Paths that were opened for decoding, in order."""
    opened = []

    def counted(real):
        return lambda path, *rest, **named: opened.append(path) or real(path, *rest, **named)

    for name in ("decode_all", "decode_frames", "read_frames"):
        monkeypatch.setattr(reader, name, counted(getattr(reader, name)))
    return opened


def epochs(clips, frame_reader, *, workers=0, seed=0, count=2):
    """Training batches of some epochs, or the test views where seed is None."""
    protocol = override(
        load_protocol("full_digits"),
        {"augment.short_side": 24, "augment.crop": "random_resized", "sampling.num_frames": 4,
         "views.short_side": 32},
    )  # fmt: skip
    loader = build_loader(
        clips, protocol, frame_reader, image_size=16, batch_size=2, seed=seed, workers=workers
    )
    for epoch in range(count):
        if seed is not None:
            loader.batch_sampler.start(epoch, 0)
        yield from batches_of(loader)


def index_of(clips):
    entries = {}
    for clip in clips:
        found = Path(clip.path).stat()
        entries[clip.path] = ClipInfo(
            clip.path, found.st_size, found.st_mtime_ns, "ok", num_frames=12
        )
    return entries


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("workers", [0, 2])
def test_views_are_the_same_with_any_cache_and_with_an_index(clips, tmp_path, seed, workers):
    expected = list(epochs(clips, FrameReader(), seed=seed))
    caches = [FrameCache(tmp_path, GB), open_cache("ram"), FrameCache(tmp_path / "tiny", 60_000)]
    readers = [FrameReader(cache) for cache in caches] + [FrameReader(index=index_of(clips))]
    for frame_reader in readers:
        found = list(epochs(clips, frame_reader, seed=seed, workers=workers))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one.video, other.video)
            assert one.status == other.status


@pytest.mark.parametrize("seed", [0, None])
def test_every_clip_is_decoded_once_and_not_at_all_by_a_later_run(
    clips, tmp_path, count_decoded, seed
):
    list(epochs(clips, FrameReader(FrameCache(tmp_path, GB)), seed=seed, count=3))
    assert sorted(count_decoded) == sorted(clip.path for clip in clips)
    list(epochs(clips, FrameReader(FrameCache(tmp_path, GB)), seed=seed, count=1))
    assert len(count_decoded) == len(clips)


def test_workers_share_what_one_of_them_has_decoded(clips, tmp_path, count_decoded):
    cache = FrameCache(tmp_path, GB)
    list(epochs(clips, FrameReader(cache), workers=2, count=1))
    list(epochs(clips, FrameReader(cache), count=1))
    assert count_decoded == []


def test_a_clip_whose_file_has_changed_is_read_anew(clips):
    path = clips[0].path
    before = frames_key(path, 24)
    os.utime(path, ns=(1, 1))
    assert frames_key(path, 24) != before
    assert frames_key(path, 24) != frames_key(path, 32)


def test_the_bound_holds_and_what_no_run_uses_makes_room(tmp_path):
    frames = np.zeros((10, 100), np.uint8)
    limit = 3 * (frames.nbytes + 128)
    cache = FrameCache(tmp_path, limit)
    for key in "abcd":
        cache.put(key, frames, damaged=False)
    assert [key for key in "abcd" if cache.get(key)] == list("abc")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    cache.begin_run()
    assert cache.get("b") is not None
    for key in "efg":
        cache.put(key, frames, damaged=False)
    assert [key for key in "abcdefg" if cache.get(key)] == list("bef")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit


def test_damage_is_remembered_and_frames_cannot_be_written(tmp_path):
    cache = FrameCache(tmp_path, GB)
    cache.put("key", np.arange(3), damaged=True)
    frames, damaged = cache.get("key")
    assert damaged
    assert not frames.flags.writeable


def test_what_the_index_found_unreadable_is_not_opened(clips, count_decoded):
    info = index_of(clips)[clips[0].path]._replace(verdict="failed", reason="no answer within 60 s")
    with pytest.raises(DecodeError, match="failed by the index: no answer within 60 s"):
        FrameReader(index={info.path: info}).read(clips[0], np.arange, 24)
    assert count_decoded == []


def test_shared_memory_of_a_killed_process_is_given_back(monkeypatch, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f"{frame_cache.RAM_FOLDER}{dead.pid}-abc"
    left.mkdir()
    monkeypatch.setattr(frame_cache.os, "access", lambda *_: False)
    monkeypatch.setattr(frame_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(frame_cache.tempfile, "tempdir", str(tmp_path))
    cache = open_cache("ram")
    folder = cache.folder
    assert list(tmp_path.iterdir()) == [folder]
    del cache
    assert not folder.exists()
