"""The path a user walks: from the command line to the record and the table."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from zeroi2v_bench.checkpoints.saved import load_model
from zeroi2v_bench.cli import main
from zeroi2v_bench.datasets import moving_digits
from zeroi2v_bench.merging import count_adapted
from zeroi2v_bench.records import load_records, predictions_path

SHORT = ["--set", "optim.epochs=1"]


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """Call the command line on a moving_digits of a few clips in a cache of its own."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving_digits, "TRAIN_PER_CLASS", 4)
        patch.setattr(moving_digits, "TEST_PER_CLASS", 2)
        patch.setenv("ZEROI2V_BENCH_CACHE", str(cache))
        yield lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def done(cli, tmp_path_factory):
    """The default job on the small dataset: its output and its results folder."""
    results = tmp_path_factory.mktemp("results")
    outcome = cli("run", *SHORT, "--results", results)
    assert outcome.exit_code == 0, outcome.output
    return outcome, results


def records_of(results: Path) -> dict:
    records, problems = load_records([results])
    assert not problems
    return {record.method: record for record in records}


def test_the_default_job_runs_a_linear_probe_and_zeroi2v_and_prints_one_table(done):
    outcome, results = done
    assert set(records_of(results)) == {"linear_probe", "zeroi2v"}
    assert "linear_probe" in outcome.stdout
    assert "zeroi2v" in outcome.stdout
    assert outcome.stdout.count("top-1") == 1


def test_the_record_says_what_was_merged_and_how_exactly(done):
    record = records_of(done[1])["zeroi2v"]
    assert record.merge.num_merged == 16
    assert 0 < record.merge.max_abs_float32 < 2e-4
    assert record.merge.max_abs_float64 < 1e-9
    assert record.merge.num_clips == record.accuracy.num_expected == 32
    assert record.efficiency.new_params == 8 * 96
    assert record.efficiency.gmacs_per_view < record.efficiency_unmerged.gmacs_per_view
    probe = records_of(done[1])["linear_probe"]
    assert probe.efficiency.gmacs_per_view == record.efficiency.gmacs_per_view
    assert probe.fit.solver == "logistic_regression"


def test_the_saved_model_is_the_merged_one(done):
    record = records_of(done[1])["zeroi2v"]
    model = load_model(done[1] / record.protocol / f"{record.run_id}.safetensors")
    assert count_adapted(model) == 0
    assert model.blocks[0].attn.offsets == (-1, 1, 0, 0, 0, 0)


def test_an_order_invariant_model_gives_a_clip_and_its_reversal_the_same_answer(done):
    record = records_of(done[1])["linear_probe"]
    assert record.accuracy.top1 <= 50.0


def test_a_recorded_run_is_reported_not_repeated(cli, done):
    before = {path: path.stat().st_mtime_ns for path in done[1].rglob("*")}
    outcome = cli("run", *SHORT, "--results", done[1])
    assert outcome.exit_code == 0
    assert outcome.stderr.count("already recorded") == 2
    assert outcome.stdout == done[0].stdout
    assert before == {path: path.stat().st_mtime_ns for path in done[1].rglob("*")}


def test_force_keeps_the_earlier_record_and_gives_the_same_result(cli, done, tmp_path):
    arguments = ("run", *SHORT, "--results", tmp_path, "--method", "zeroi2v")
    assert cli(*arguments).exit_code == 0
    assert cli(*arguments, "--force").exit_code == 0
    first, second = load_records([tmp_path])[0]
    assert first.key == second.key
    assert first.run_id != second.run_id
    assert first.accuracy == second.accuracy
    assert first.fit.losses == second.fit.losses
    models = [
        load_model(tmp_path / r.protocol / f"{r.run_id}.safetensors").state_dict()
        for r in (first, second)
    ]
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())


def test_a_saved_model_is_evaluated_without_training_and_gives_the_same_accuracy(
    cli, done, tmp_path
):
    record = records_of(done[1])["zeroi2v"]
    weights = done[1] / record.protocol / f"{record.run_id}.safetensors"
    outcome = cli(
        "run", *SHORT, "--results", tmp_path, "--method", "zeroi2v", "--checkpoint", weights
    )
    assert outcome.exit_code == 0, outcome.output
    again = records_of(tmp_path)["zeroi2v"]
    assert again.fit.solver == "none"
    assert again.accuracy == record.accuracy
    assert again.efficiency.tunable_params == record.efficiency.tunable_params


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "full_digit"], "unknown protocol 'full_digit'; known: few"),
        (["--method", "zero2v"], "unknown method 'zero2v'; known: "),
        (["--backbone", "resnet"], "unknown backbone 'resnet'; known: digits, openclip:MODEL"),
        (["--set", "optim.epoch=3"], "optim.epoch: no such field in protocol full_digits"),
        (["--set", "optim.epochs=many"], "optim.epochs: Input should be a valid integer"),
        (["--set", "optim"], "expected FIELD=VALUE"),
        (["--set", "splits.shots=99"], "shots=99, but class 'moves left' has only 4 training"),
        (["--set", "splits.name=7"], "splits.name"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_1(cli, tmp_path, arguments, message):
    outcome = cli("run", "--results", tmp_path / "results", *arguments)
    assert outcome.exit_code == 1
    lines = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) >= 1
    assert message in lines[0]
    assert "Traceback" not in outcome.output
    assert not (tmp_path / "results").exists()


def test_results_that_cannot_be_written_are_one_clear_line(cli, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = cli("run", *SHORT, "--method", "linear_probe", "--results", tmp_path / "file" / "x")
    assert outcome.exit_code == 1
    assert "error: " in outcome.stderr
    assert str(tmp_path / "file") in outcome.stderr


def test_a_damaged_record_is_named_and_the_rest_is_reported(cli, done, tmp_path):
    record = records_of(done[1])["zeroi2v"]
    folder = tmp_path / record.protocol
    folder.mkdir()
    whole = (done[1] / record.protocol / f"{record.run_id}.json").read_text()
    (folder / "good.json").write_text(whole)
    (folder / "torn.json").write_text(whole[: len(whole) // 2])
    (folder / "newer.json").write_text(json.dumps({**json.loads(whole), "schema_version": 99}))
    outcome = cli("report", "--results", tmp_path)
    assert "zeroi2v" in outcome.stdout
    assert "torn.json: damaged record" in outcome.stderr
    assert "newer.json: schema 99 is newer" in outcome.stderr


def test_predictions_have_one_row_per_expected_clip(done):
    import pandas as pd

    record = records_of(done[1])["zeroi2v"]
    table = pd.read_csv(predictions_path(done[1] / record.protocol / f"{record.run_id}.json"))
    assert len(table) == record.num_test == 32
    hits = table["top"].str.split().str[0].astype(int) == table["label"]
    assert 100 * hits.mean() == pytest.approx(record.accuracy.top1)
