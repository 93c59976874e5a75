"""`run` over a product: patterns, runs that are there, runs that fail, and other launchers."""

import pytest
from click.testing import CliRunner

from zeroi2v_bench.cli import main
from zeroi2v_bench.cli.run import match_protocols, specs_of
from zeroi2v_bench.datasets import moving_digits
from zeroi2v_bench.errors import BenchError, Interrupted, UnknownNameError
from zeroi2v_bench.protocol import load_protocol, override
from zeroi2v_bench.training.execution import Execution


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving_digits, "TRAIN_PER_CLASS", 1)
        patch.setattr(moving_digits, "TEST_PER_CLASS", 1)
        moving_digits.build(root)
        yield root


@pytest.fixture
def run_tiny(data, tmp_path, monkeypatch):
    def run_tiny(*arguments):
        given = ["--data-root", str(data), "--results", str(tmp_path / "results")]
        changed = ["--set", "optim.epochs=1"]
        return CliRunner().invoke(main, ["run", *given, *changed, *arguments])

    monkeypatch.setattr(moving_digits, "TRAIN_PER_CLASS", 1)
    monkeypatch.setattr(moving_digits, "TEST_PER_CLASS", 1)
    return run_tiny


def test_a_pattern_stands_for_the_protocols_that_match():
    shots = {f"fewshot_hmdb_{k}shot" for k in (2, 4, 8, 16)}
    found = match_protocols(["full_digits", "fewshot_hmdb_*", "full_digits"], [])
    assert found[0] == "full_digits"
    assert set(found[1:]) == shots
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'nothing\*'"):
        match_protocols(["nothing*"], [])


def test_the_product_of_protocols_methods_and_seeds_is_run():
    digits = load_protocol("full_digits")
    specs = specs_of([digits], ["linear_probe", "zeroi2v"], [3, 4])
    assert [spec[1:] for spec in specs] == [
        ("linear_probe", 3), ("linear_probe", 4), ("zeroi2v", 3), ("zeroi2v", 4),
    ]  # fmt: skip
    assert [spec[1] for spec in specs_of([digits], [], [])] == list(digits.default_methods)


def test_a_failed_run_is_listed_the_rest_goes_on_and_what_is_there_is_not_repeated(run_tiny):
    first = run_tiny("--method", "no_such_method", "--method", "linear_probe")
    assert first.exit_code == 1
    assert "error: full_digits+optim.epochs=1, no_such_method, seed 0: unknown method" in (
        first.stderr
    )
    assert "| linear_probe |" in first.stdout
    again = run_tiny("--method", "linear_probe", "--seed", "0", "--seed", "1")
    assert again.exit_code == 0
    assert again.stderr.count("already recorded") == 1


def test_after_a_stop_signal_nothing_more_is_begun(run_tiny, monkeypatch):
    from zeroi2v_bench import sweep

    begun = []

    def stopped(protocol, *, method, **options):
        begun.append(method)
        raise Interrupted("stopped by SIGTERM")

    monkeypatch.setattr(sweep, "run", stopped)
    done = run_tiny("--method", "linear_probe", "--method", "zeroi2v")
    assert (done.exit_code, begun) == (1, ["linear_probe"])
    assert "error: full_digits+optim.epochs=1, linear_probe, seed 0: stopped" in done.stderr


def test_submitit_runs_every_run_as_a_job_and_lists_those_that_fail(data, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    from zeroi2v_bench.launching import submit

    protocol = override(load_protocol("full_digits"), {"splits.test_list": "x"})
    records, failed = submit(
        [(protocol, "no_such_method", 0)],
        Execution(),
        results=tmp_path,
        slurm={"timeout_min": 5},
        data_root=data,
    )
    assert records == []
    assert len(failed) == 1
    assert "no_such_method, seed 0: unknown method" in failed[0]
    with pytest.raises(BenchError, match="--slurm"):
        submit([], Execution(), results=tmp_path, slurm={"no_such": 1})
