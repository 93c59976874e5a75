"""AIM is the published network, in outputs, trained tensors and counts."""

import pytest
import torch
from published_baselines import AIM, aim_logits, aim_state
from recorded_outputs import assert_reproduced
from safetensors.torch import save_file

from zeroi2v_bench.checkpoints.official import load_official
from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.merging import refusal
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.aim_block import TokenDropPath
from zeroi2v_bench.types import Task

TASK = Task(num_frames=4, class_names=("a", "b", "c"))
CASES = {
    "Kinetics-400": {},
    "two temporal adapters": {"num_tadapter": 2, "adapter_scale": 1},
    "another shape": {"width": 60, "heads": 6, "layers": 3, "num_frames": 5, "patch_size": 8},
    "a width that is no multiple of four": {"width": 30, "heads": 5},
}


@pytest.mark.parametrize("case", CASES)
def test_a_published_checkpoint_gives_the_published_logits(case, tmp_path):
    config = AIM | CASES[case]
    state, path = aim_state(config), tmp_path / "aim.safetensors"
    save_file(state, path)
    video = torch.randn(2, 3, config["num_frames"], 32, 32)
    model = load_official(path, config | {"method": "aim"})
    torch.testing.assert_close(
        model(video).double(), aim_logits(state, config, video), rtol=0, atol=2e-5
    )


@pytest.mark.data
def test_recorded_outputs_of_the_published_code_are_reproduced(reference_data, tmp_path):
    assert_reproduced(reference_data / "fixtures", "aim", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_tadapter": 2}, "num_tadapter=2, the tensors show 1"),
        ({"num_frames": 8}, "num_frames=8, the tensors show 3"),
        ({"adapter_scale": None}, "adapter_scale"),
        ({"heads": None}, "heads"),
        ({"stdha_cfg": {}}, "unknown argument of aim: stdha_cfg"),
    ],
)
def test_a_contradiction_or_a_gap_in_the_configuration_is_named(change, message, tmp_path):
    save_file(aim_state(AIM), tmp_path / "aim.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_official(tmp_path / "aim.safetensors", AIM | change | {"method": "aim"})


def test_a_new_model_gives_the_image_models_features(tiny_backbone):
    model = adapt("aim", tiny_backbone, TASK, {"temporal_adapters": 2}).eval()
    video = torch.randn(2, 3, 4, 16, 16)
    torch.testing.assert_close(model.features(video), tiny_backbone.model.features(video))


def test_it_trains_the_released_tensors_and_decays_the_temporal_embedding(tiny_backbone):
    model = adapt("aim", tiny_backbone, TASK, {})
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    kinds = {name.split(".")[2] if name.startswith("blocks.") else name for name in trained}
    outside = {"temporal_embedding", "norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert kinds == {"temporal_out", "spatial_out", "joint"} | outside
    assert model.no_decay == {"norm.weight", "norm.bias"}


def test_drop_path_rises_over_depth_and_takes_whole_token_positions(tiny_backbone):
    model = adapt("aim", tiny_backbone, TASK, {"drop_path": 0.4})
    assert [block.drop_path.rate for block in model.blocks] == [0.0, 0.4]
    drop, branch = TokenDropPath(0.5), torch.ones(6, 1000, 3)
    torch.manual_seed(0)
    dropped = drop.train()(branch)
    assert torch.equal(dropped, dropped[:1, :, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (dropped == 0).float().mean() < 0.6
    assert torch.equal(drop.eval()(branch), branch)


def test_it_refuses_to_be_merged_and_says_why(tiny_backbone):
    assert "GELU" in str(refusal(adapt("aim", tiny_backbone, TASK, {})))
