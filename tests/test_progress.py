"""What is told while a run trains."""

import json
import math

import pytest
from tiny_training import PROTOCOL, train_tiny

from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.training import progress
from zeroi2v_bench.training.train_events import TrainEvent
from zeroi2v_bench.training.train_state import Checkpoint

EVENT = TrainEvent(
    kind="epoch", epoch=1, epochs=2, step=3, steps=6, loss=0.5, lr=1e-3,
    clips_per_s=9.6, wait_share=0.25, holdout_top1=50.0,
)  # fmt: skip


def test_a_training_leaves_one_line_and_one_log_entry_per_epoch(tiny_zeroi2v, tmp_path):
    lines, run = [], tmp_path / "run.json"
    checkpoint = Checkpoint(run.with_suffix(".checkpoint"), "key")
    with progress.watching(run, "zeroi2v", lines.append, tensorboard=False) as watch:
        _, report = train_tiny(tiny_zeroi2v, watch=watch, checkpoint=checkpoint)
    logged = [json.loads(line) for line in (tmp_path / "run.log.jsonl").read_text().splitlines()]
    assert [e["loss"] for e in logged if e["kind"] == "epoch"] == list(report.losses)
    assert [e["kind"] for e in logged if e["kind"] != "step"] == ["epoch", "epoch", "saved"]
    assert len(lines) == PROTOCOL.optim.epochs
    assert lines[0].startswith(f"zeroi2v: epoch 1/2, loss {report.losses[0]:.3f}")


def test_an_epoch_line_says_loss_speed_and_waiting():
    lines = []
    progress.epoch_lines("zeroi2v", lines.append)(EVENT)
    assert lines == [
        "zeroi2v: epoch 1/2, loss 0.500, held-out 50.0 %, 10 clips/s, 25% waiting for data"
    ]


def test_a_log_goes_on_after_the_line_that_a_killed_run_was_writing(tmp_path):
    path = tmp_path / "run.log.jsonl"
    path.write_text('{"kind": "ep')
    with progress.json_log(path) as sink:
        sink(EVENT)
    torn, whole = path.read_text().splitlines()
    assert torn == '{"kind": "ep'
    assert json.loads(whole)["loss"] == 0.5
    assert not any(isinstance(v, float) and math.isnan(v) for v in json.loads(whole).values())


def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(RecordError, match="cannot write"), progress.json_log(tmp_path):
        raise AssertionError


def test_a_log_that_cannot_be_written_any_more_is_a_clear_error(tmp_path):
    path = tmp_path / "run.log.jsonl"
    with progress.json_log(path) as sink:
        path.unlink()
        path.mkdir()
        with pytest.raises(RecordError, match="cannot write"):
            sink(EVENT)


def test_an_error_of_the_training_is_not_taken_for_one_of_the_log(tmp_path):
    with pytest.raises(OSError, match="of the data"), progress.json_log(tmp_path / "run.log.jsonl"):
        raise OSError(5, "of the data")


def test_the_bar_is_silent_in_a_pipe_and_live_on_a_terminal(monkeypatch, capsys):
    with progress.train_bar("zeroi2v") as sink:
        sink(EVENT)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with progress.train_bar("zeroi2v") as sink, progress.clip_bar("evaluate", 3) as advance:
        sink(TrainEvent(**{**{k: getattr(EVENT, k) for k in EVENT.__slots__}, "kind": "step"}))
        advance(3)
    shown = capsys.readouterr().err
    assert "loss 0.500, 10 clips/s, 25% waiting for data" in shown


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    with progress.tensorboard_log(tmp_path) as sink:
        sink(EVENT)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path)).Reload()
    assert found.Scalars("epoch/loss")[0].value == 0.5
    assert found.Scalars("epoch/loss")[0].step == 3
