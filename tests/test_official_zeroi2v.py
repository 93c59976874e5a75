"""Published ZeroI2V checkpoints give their logits, before and after merging."""

import json

import pytest
import torch
from published_zeroi2v import logits, make_config, make_state, merge_as_published
from safetensors import safe_open
from safetensors.torch import save_file

from zeroi2v_bench.checkpoints.official import load_official
from zeroi2v_bench.checkpoints.saved import load_model, save_model
from zeroi2v_bench.errors import MergeError
from zeroi2v_bench.merging import merge, verify_merge

LAYOUTS = {
    "one head each way": {},
    "two heads each way": {"width": 64, "heads": 16, "stdha_cfg": {"shift_div": 8}},
    "one-sided long": {"stdha_cfg": {"shift_div": 12, "long_shift_div": 12}},
    "one-sided long, 16 heads": {
        "width": 64,
        "heads": 16,
        "stdha_cfg": {"shift_div": 8, "long_shift_div": 8},
    },
    "long both ways": {
        "stdha_cfg": {"shift_div": 12, "long_shift_div": 12, "long_shift_right": True}
    },
    "ops_type": {"stdha_cfg": {"shift_div": 12, "ops_type": "stdha"}},
    "ops_type missing": {"stdha_cfg": {"shift_div": 12, "ops_type": None}},
    "released SSv2 L": {
        "width": 64,
        "heads": 16,
        "adapter_scale": 1,
        "stdha_cfg": {"shift1_div": 8, "shift2_div": 16, "shift3_div": 16, "shift4_div": -1},
    },
    "shift1 to shift4, both ways": {
        "width": 64,
        "heads": 16,
        "stdha_cfg": {
            "shift1_div": 8,
            "shift2_div": 16,
            "shift3_div": 16,
            "shift3_right": True,
            "shift4_div": 16,
            "shift4_right": True,
        },
    },
    "shift4 without shift2": {"stdha_cfg": {"shift1_div": 12, "shift4_div": 12}},
    "queries too": {"stdha_cfg": {"shift_div": 12, "ops_type": "stdha", "shift_pattern": "qkv"}},
    "channels of every head": {
        "heads": 4,
        "stdha_cfg": {"shift_div": 4, "ops_type": "tcs"},
    },
    "one MLP adapter": {"num_tadapter": 1, "adapter_scale": 1},
    "no adapter after attention": {"num_tadapter": -1},
    "narrow adapters": {"width": 60, "mlp_ratio": 0.1},
    "clip shorter than the shift": {
        "num_frames": 2,
        "stdha_cfg": {"shift_div": 12, "long_shift_div": 12},
    },
}


def video_for(config, clips=2):
    size, generator = config["input_resolution"], torch.Generator().manual_seed(5)
    return torch.randn(clips, 3, config["num_frames"], size, size, generator=generator)


def write(tmp_path, state, name="model.safetensors"):
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / name)
    return tmp_path / name


@torch.inference_mode()
def difference(model, video, expected):
    return (model(video).double() - expected).abs().max().item()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_head_layout_gives_the_published_logits_before_and_after_merging(layout, tmp_path):
    config = make_config(**LAYOUTS[layout])
    state, video = make_state(config), video_for(config)
    expected = logits(state, config, video)
    model = load_official(write(tmp_path, state), config)
    assert difference(model, video, expected) < 2e-5
    assert difference(merge(model), video, expected) < 2e-5


@pytest.mark.parametrize("layout", ["one-sided long", "released SSv2 L", "one MLP adapter"])
def test_a_state_dict_that_the_published_tool_merged_gives_the_same_logits(layout, tmp_path):
    config = make_config(**LAYOUTS[layout])
    state, video = make_state(config), video_for(config)
    model = load_official(write(tmp_path, merge_as_published(state, config)), config)
    assert difference(model, video, logits(state, config, video)) < 2e-5
    assert not model.recipe.params["adapters"]


def test_saved_models_come_back_the_same_merged_and_unmerged(tmp_path):
    config = make_config(**LAYOUTS["released SSv2 L"])
    model = load_official(write(tmp_path, make_state(config)), config)
    video = video_for(config)
    for kept in (model, merge(model)):
        save_model(kept, tmp_path / "kept.safetensors")
        back = load_model(tmp_path / "kept.safetensors")
        with torch.inference_mode():
            assert torch.equal(back(video), kept(video))
        assert back.recipe.params["temporal_heads"] == {"-1": 2, "1": 2, "-2": 1, "2": 1, "-3": 1}
        assert back.recipe.params["adapter_scale"] == 1


def test_adapters_with_gelu_load_and_refuse_to_merge(tmp_path):
    config = make_config(adapter_type="gelu", type="ViT_Zero_CLIP_ablation")
    state, video = make_state(config), video_for(config)
    model = load_official(write(tmp_path, state), config)
    assert difference(model, video, logits(state, config, video)) < 2e-5
    with pytest.raises(MergeError, match="linear"):
        merge(model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loads_as_float32_and_merges(dtype, tmp_path):
    config = make_config()
    state = {name: value.to(dtype) for name, value in make_state(config).items()}
    model, video = load_official(write(tmp_path, state), config), video_for(config)
    assert next(model.parameters()).dtype == torch.float32
    assert difference(merge(model), video, logits(state, config, video)) < 2e-5


def test_a_merge_of_a_published_model_passes_verification(tmp_path):
    config = make_config()
    model = load_official(write(tmp_path, make_state(config)), config)
    report = verify_merge(model, merge(model), [video_for(config)])
    assert report.num_merged == 4 * config["layers"]


@pytest.mark.data
@pytest.mark.parametrize("with_metadata", [False, True])
def test_recorded_outputs_of_the_published_code_are_reproduced(
    reference_data, with_metadata, tmp_path
):
    files = sorted((reference_data / "fixtures" / "zeroi2v").glob("*.safetensors"))
    assert files
    for file in files:
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            metadata = opened.metadata()
        recorded = {n: tensors.pop(n) for n in list(tensors) if n.startswith("fixture.")}
        expected = recorded.get("fixture.logits", recorded.get("fixture.logits_merged"))
        save_file(tensors, tmp_path / file.name, metadata if with_metadata else None)
        config = None if with_metadata else json.loads(metadata["config"])
        model = load_official(tmp_path / file.name, config)
        assert difference(model, recorded["fixture.input"], expected) < 2e-5
        assert difference(merge(model), recorded["fixture.input"], expected) < 2e-5


@pytest.mark.data
def test_a_recorded_mmengine_file_loads_by_its_own_configuration(reference_data):
    folder = reference_data / "fixtures" / "zeroi2v"
    with safe_open(folder / "b_base.safetensors", "pt") as opened:
        video, expected = (opened.get_tensor(f"fixture.{n}") for n in ("input", "logits"))
    assert difference(load_official(folder / "b_base_mmengine.pth"), video, expected) < 2e-5
