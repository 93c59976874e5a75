"""What ``run`` is given is checked before data and weights are read."""

import pytest
import torch
from click.testing import CliRunner

from zeroi2v_bench import sweep as sweep_module
from zeroi2v_bench.cli import main
from zeroi2v_bench.cli.run import run_all
from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.training.execution import Execution


def error_of(*arguments):
    """What ``run`` says on input that it refuses."""
    outcome = CliRunner().invoke(main, ["run", *arguments])
    assert outcome.exit_code in {1, 2}
    assert isinstance(outcome.exception, SystemExit), outcome.exception
    return outcome.stderr


@pytest.fixture
def swept(monkeypatch):
    """The executions that runs were begun with; no run is done."""
    begun = []
    monkeypatch.setattr(
        sweep_module, "sweep", lambda specs, execution, **_: begun.append(execution) or ([], [])
    )
    return begun


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:x"])
def test_a_device_that_cannot_be_used_is_one_line_before_anything_is_read(swept, device):
    with pytest.raises(BenchError, match=f"^device '{device}' cannot be used: .+$"):
        run_all([], Execution(device=device))
    assert swept == []


def test_each_process_of_a_group_checks_the_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "100")
    monkeypatch.setenv("LOCAL_RANK", "99")
    with pytest.raises(BenchError, match="device 'cuda:99' cannot be used"):
        run_all([], Execution(device="cuda"))


@pytest.mark.parametrize("available", [True, False])
def test_a_gpu_that_is_left_idle_is_said(swept, monkeypatch, capsys, available):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    run_all([], Execution())
    said = capsys.readouterr().err
    assert said == ("a GPU is here: --device cuda uses it\n" if available else "")
    assert len(swept) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "-1 is not in the range x>=0"),
        (["--set", "seeds=[-1]"], "seeds.0: Input should be greater than or equal to 0 (got -1)"),
        (["--set", "splits.train_list=a: b: c"], "error: --set splits.train_list=a: b: c: "),
        (["--launcher", "submitit", "--slurm", "gpus"], "error: --slurm gpus: expected NAME=VALUE"),
        (["--launcher", "submitit", "--slurm", "a=b: c: d"], "error: --slurm a=b: c: d: "),
    ],
)
def test_an_illegal_value_is_one_clear_line(arguments, message):
    assert message in error_of(*arguments)
