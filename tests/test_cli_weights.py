"""``merge`` and ``export`` from the command line."""

import json

import pytest
import torch
from click.testing import CliRunner

from zeroi2v_bench import load_model, save_model
from zeroi2v_bench.cli import main
from zeroi2v_bench.merging import count_adapted


@pytest.fixture
def saved(tiny_zeroi2v, tmp_path):
    """An unmerged model in a file."""
    path = tmp_path / "trained.safetensors"
    save_model(tiny_zeroi2v, path)
    return path


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_merge_writes_a_plain_model_with_the_same_logits(saved, tiny_zeroi2v, tmp_path):
    output = tmp_path / "merged.safetensors"
    outcome = invoke("merge", "--checkpoint", saved, "--output", output)
    assert outcome.exit_code == 0, outcome.output
    assert "merged 8 layers" in outcome.output
    merged = load_model(output)
    assert count_adapted(merged) == 0
    video = torch.randn(2, 3, 4, 16, 16)
    torch.testing.assert_close(merged(video), tiny_zeroi2v(video), rtol=0, atol=2e-5)


def test_merge_past_tolerance_writes_nothing(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("zeroi2v_bench.merging.TOLERANCE_FLOAT32", 1e-12)
    outcome = invoke("merge", "--checkpoint", saved, "--output", tmp_path / "merged.safetensors")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("error: merged and unmerged logits differ by")
    assert not (tmp_path / "merged.safetensors").exists()


def test_export_merges_first_and_says_what_it_wrote(saved, tmp_path):
    output = tmp_path / "timm.safetensors"
    outcome = invoke("export", "--checkpoint", saved, "--format", "timm", "--output", output)
    assert outcome.exit_code == 0, outcome.output
    about = json.loads(output.with_suffix(".json").read_text())
    assert "[-1, 1, -2, 0, 0, 0]" in json.dumps(about)
    assert str(output) in outcome.output


@pytest.mark.parametrize("verb", ["merge", "export"])
def test_a_missing_checkpoint_is_one_clear_line(verb, tmp_path):
    more = ["--format", "timm"] if verb == "export" else []
    output = tmp_path / "x.safetensors"
    outcome = invoke(verb, "--checkpoint", tmp_path / "none.pth", *more, "--output", output)
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("error: ")
    assert "none.pth" in outcome.stderr
