"""Saved models say what they are; anything else is refused, and no name in a file is imported."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_zero_cost import SMALL, merged_and_plain

from zeroi2v_bench.checkpoints.saved import is_saved_model, load_model, save_model
from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.nn.video_vit import VideoViT


@pytest.fixture(scope="module")
def small():
    return merged_and_plain(SMALL, num_classes=5)


def rewrite(path, **changes):
    """The same file with another description of its model."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["zeroi2v_bench"])
    save_file(tensors, path, {"zeroi2v_bench": json.dumps(header | changes)})


def test_the_file_names_head_offsets_and_adapter_scale(small, tmp_path):
    save_model(small[1], tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        header = json.loads(file.metadata()["zeroi2v_bench"])
    assert header["merged"]
    assert header["vit"]["num_heads"] == SMALL.num_heads
    assert header["recipe"]["params"]["temporal_heads"] == {"-1": 1, "1": 1}
    assert header["recipe"]["params"]["adapter_scale"] == 0.5
    assert header["recipe"]["params"]["adapter_activation"] == "none"


def test_a_plain_image_model_comes_back_too(small, tmp_path):
    save_model(small[2], tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors")
    video = torch.randn(1, 3, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(loaded(video), small[2](video))
    assert is_saved_model(tmp_path / "a.safetensors")


def test_an_unmerged_file_does_not_load_as_merged_nor_the_reverse(small, tmp_path):
    for model, other in ((small[0], True), (small[1], False)):
        save_model(model, tmp_path / "a.safetensors")
        rewrite(tmp_path / "a.safetensors", merged=other)
        with pytest.raises(CheckpointError, match=r"left over|missing"):
            load_model(tmp_path / "a.safetensors")


def test_a_method_outside_the_package_is_never_imported(small, tmp_path, monkeypatch):
    canary = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    save_model(small[1], tmp_path / "a.safetensors")
    recipe = {"method": "evil.x", "params": {}, "num_frames": 8, "class_names": ["a"]}
    rewrite(tmp_path / "a.safetensors", recipe=recipe)
    with pytest.raises(CheckpointError, match=r"evil\.x"):
        load_model(tmp_path / "a.safetensors")
    assert not canary.exists()


@pytest.mark.parametrize(
    "metadata",
    [None, {"zeroi2v_bench": "{"}, {"zeroi2v_bench": "[]"}, {"zeroi2v_bench": '{"format": 1}'}],
)
def test_files_that_were_not_saved_here_are_refused(metadata, tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        load_model(tmp_path / "a.safetensors")


def test_only_safetensors_are_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"\.safetensors"):
        save_model(VideoViT(SMALL), tmp_path / "a.pth")
    assert not list(tmp_path.iterdir())
