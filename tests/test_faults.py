"""Whatever breaks is one clear line, and the last good checkpoint stays as it was."""

import errno
import math
import os
import signal
import time

import pytest
from tiny_training import CLIPS, NoiseReader, at_path, same_weights, train_tiny

from zeroi2v_bench import records
from zeroi2v_bench.data import loader as loading
from zeroi2v_bench.data import reader_watch
from zeroi2v_bench.errors import CheckpointError, DataError, Interrupted, RecordError, TrainError
from zeroi2v_bench.training import run_lock
from zeroi2v_bench.training.run_lock import sole_run
from zeroi2v_bench.training.train_state import Checkpoint


def at_step(step, act):
    """A watcher that acts when a step is done."""
    return lambda event: act() if (event.kind, event.step) == ("step", step) else None


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "run.checkpoint", "key", every_steps=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_first_and_the_training_goes_on_from_there(
    tiny_zeroi2v, tmp_path, number
):
    rare = Checkpoint(tmp_path / "run.checkpoint", "key")
    stop = at_step(3, lambda: signal.raise_signal(number))
    with pytest.raises(Interrupted, match=rf"{number.name} after step 4 of 6; saved"):
        train_tiny(tiny_zeroi2v, checkpoint=rare, watch=stop)
    steps = []
    resumed, _ = train_tiny(tiny_zeroi2v, checkpoint=rare, watch=lambda e: steps.append(e.kind))
    assert steps.count("step") == 2
    assert same_weights(resumed, train_tiny(tiny_zeroi2v)[0])


def test_a_loss_that_is_not_a_number_stops_with_the_step_and_its_clips(tiny_zeroi2v, checkpoint):
    factor = [1.0]
    tiny_zeroi2v.register_forward_hook(lambda module, inputs, logits: logits * factor[0])
    spoil = at_step(2, lambda: factor.append(factor.pop() * math.nan))
    with pytest.raises(TrainError, match=r"loss is nan at step 2 \(clips: clip\d, clip\d\)"):
        train_tiny(tiny_zeroi2v, checkpoint=checkpoint, watch=spoil)
    assert checkpoint.load()[0].step == 2


def test_a_full_disk_leaves_the_checkpoint_before_it(tiny_zeroi2v, checkpoint, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fill = at_step(3, lambda: monkeypatch.setattr(records.os, "fsync", no_space))
    with pytest.raises(RecordError, match=r"cannot write .*run\.checkpoint: No space left"):
        train_tiny(tiny_zeroi2v, checkpoint=checkpoint, watch=fill)
    assert checkpoint.load()[0].step == 2
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["run.checkpoint"]


def test_a_results_folder_that_cannot_be_written_is_found_before_anything_is_trained(tmp_path):
    (tmp_path / "results").touch()
    with (
        pytest.raises(RecordError, match="cannot write in"),
        sole_run(tmp_path / "results" / "protocol" / "run.json"),
    ):
        raise AssertionError


def test_data_that_vanishes_is_not_taken_for_bad_clips(tiny_zeroi2v, checkpoint, tmp_path):
    file = tmp_path / "clip.mp4"
    file.touch()
    clips = tuple(at_path(clip, file) for clip in CLIPS)
    reader = NoiseReader()

    def vanish():
        file.unlink()
        reader.unreadable = {clip.id for clip in clips}

    with pytest.raises(DataError, match=r"the data is gone: none of 10 files exists.*clip\.mp4"):
        train_tiny(
            tiny_zeroi2v,
            clips=clips,
            reader=reader,
            checkpoint=checkpoint,
            watch=at_step(2, vanish),
        )
    assert checkpoint.load()[0].step == 2


def die(clip):
    if clip.id == "clip7":
        os.kill(os.getpid(), signal.SIGKILL)


def hang(clip):
    if clip.id == "clip7":
        time.sleep(60)


@pytest.mark.parametrize(("fault", "words"), [(die, "died at"), (hang, "hangs at")])
def test_a_reader_that_dies_or_hangs_is_reported_with_its_clip(
    tiny_zeroi2v, checkpoint, monkeypatch, fault, words
):
    monkeypatch.setattr(reader_watch, "CLIP_LIMIT_S", 1.0)
    monkeypatch.setattr(loading, "CLIP_LIMIT_S", 1.0)
    with pytest.raises(DataError, match=words) as caught:
        train_tiny(
            tiny_zeroi2v, reader=NoiseReader(before_read=fault), workers=1, checkpoint=checkpoint
        )
    assert "/nowhere/7" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_second_of_two_identical_runs_stops_with_a_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "PATIENCE_S", 0.1)
    path = tmp_path / "protocol" / "run.json"
    with sole_run(path), pytest.raises(RecordError, match="at this very run"), sole_run(path):
        raise AssertionError
    with sole_run(path):
        pass


def test_different_runs_share_a_folder_and_clear_away_only_their_own_remains(tmp_path):
    (tmp_path / ".one.checkpoint.abc").touch()
    (tmp_path / ".one+.checkpoint.abc").touch()
    with sole_run(tmp_path / "two.json"), sole_run(tmp_path / "one.json"):
        names = {path.name for path in tmp_path.iterdir()}
    assert names == {".one.lock", ".two.lock", ".one+.checkpoint.abc"}


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_checkpoint_that_is_damaged_or_of_another_run_is_refused(
    tiny_zeroi2v, checkpoint, content
):
    train_tiny(tiny_zeroi2v, checkpoint=checkpoint)
    if content is None:
        checkpoint.key = "another"
    else:
        checkpoint.path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.checkpoint: .*delete it to start again"):
        train_tiny(tiny_zeroi2v, checkpoint=checkpoint)
