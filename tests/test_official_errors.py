"""What is wrong with a published checkpoint or its configuration is said, and by name."""

import json

import pytest
import torch
from published_zeroi2v import logits, make_config, make_state, merge_as_published
from safetensors.torch import save_file

from zeroi2v_bench.checkpoints.official import combine, load_official
from zeroi2v_bench.errors import CheckpointError

BLOCK = "backbone.transformer.resblocks.1."
CFG_TEXT = (
    "model = dict(type='Recognizer3D', backbone=dict(type='ViT_Zero_CLIP', heads=12,"
    " adapter_scale=0.5, stdha_cfg=dict(shift_div=12)), cls_head=dict(num_classes=7))"
)


@pytest.fixture
def load(tmp_path):
    """Load a state dict under a configuration, from a file that may say something itself."""

    def load(state, config, metadata=None):
        save_file(state, tmp_path / "model.safetensors", metadata)
        return load_official(tmp_path / "model.safetensors", config)

    return load


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": None}, "heads"),
        ({"adapter_scale": None}, "adapter_scale"),
        ({"stdha_cfg": None}, "stdha_cfg"),
        ({"stdha_cfg": {}}, "shift_div"),
        ({"stdha_cfg": {"shift2_div": 12}}, "shift1_div"),
        ({"stdha_cfg": {"shift_div": 5}}, "shift_div=5 cuts a head"),
        ({"stdha_cfg": {"shift_div": 12, "long_shift_div": 5}}, "long_shift_div=5 cuts a head"),
        ({"stdha_cfg": {"shift_div": 1}}, "moves 24 of 12 heads"),
        ({"stdha_cfg": {"shift_div": 12, "shift1_div": 12}}, "two classes"),
        ({"stdha_cfg": {"shift_div": 12, "shifts": 1}}, "shifts"),
        ({"stdha_cfg": {"shift_div": 12, "divide_head": True}}, "divide_head"),
        ({"stdha_cfg": {"shift_div": 12, "ops_type": "token_shift"}}, "token_shift"),
        ({"stdha_cfg": {"shift_div": 0}}, "shift_div=0"),
        ({"stdha_cfg": {"shift1_div": -1}}, "shift1_div=-1"),
        ({"stdha_cfg": {"shift_div": 12, "long_shift_div": 12.0}}, "long_shift_div=12.0"),
        ({"stdha_cfg": {"shift_div": 12, "long_shift_div": "12"}}, "long_shift_div='12'"),
        ({"type": "ViT_Zero_CLIP_long"}, "shift_div is not read by ViT_Zero_CLIP_long"),
        ({"type": "ViT_Unknown"}, "ViT_Unknown"),
        ({"method": "nothing"}, "nothing"),
        ({"hidden": 3}, "hidden"),
        ({"width": 96}, "width=96"),
        ({"layers": 3}, "layers=3"),
        ({"num_frames": 8}, "num_frames=8"),
        ({"input_resolution": 224}, "input_resolution=224"),
        ({"heads": 7}, "heads=7"),
        ({"heads": "12"}, "heads='12'"),
        ({"mlp_ratio": 0.5}, "mlp_ratio=0.5"),
        ({"adapter_scale": "learnable"}, "adapter_scale='learnable'"),
        ({"adapter_type": "relu"}, "adapter_type='relu'"),
        ({"attn_adapter_type": "qkv"}, "attn_adapter_type='qkv'"),
        ({"num_tadapter": 1}, "left over: transformer.resblocks.0.MLP_Adapter_out"),
    ],
)
def test_a_configuration_that_is_wrong_or_silent_is_refused_by_name(change, message, load):
    state = make_state(make_config())
    config = {k: v for k, v in (make_config() | change).items() if v is not None}
    with pytest.raises(CheckpointError, match=message):
        load(state, config)


def test_without_any_configuration_nothing_is_guessed(load):
    with pytest.raises(CheckpointError, match="heads, stdha_cfg, adapter_scale"):
        load(make_state(make_config()), None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{BLOCK}S_Adapter.D_fc1.bias", "missing: transformer.resblocks.1.S_Adapter.D_fc1.bias"),
        (f"{BLOCK}ln_1.weight", "missing: transformer.resblocks.1.ln_1.weight"),
        ("cls_head.fc_cls.weight", "missing: cls_head.fc_cls.weight"),
        ("backbone.temporal_embedding", "missing: temporal_embedding"),
    ],
)
def test_a_missing_tensor_is_named(name, message, load):
    state = make_state(make_config())
    del state[name]
    with pytest.raises(CheckpointError, match=message):
        load(state, make_config())


def test_a_tensor_left_over_is_named(load):
    state = make_state(make_config()) | {"fixture.input": torch.ones(2)}
    with pytest.raises(CheckpointError, match=r"left over: fixture\.input"):
        load(state, make_config())


def test_a_tensor_of_a_wrong_shape_is_named(load):
    state = make_state(make_config())
    state[f"{BLOCK}mlp.c_proj.bias"] = torch.ones(3)
    with pytest.raises(CheckpointError, match=r"mlp\.c_proj\.bias has shape \(3,\)"):
        load(state, make_config())


def test_a_file_that_is_merged_in_some_blocks_only_is_refused(load):
    config = make_config()
    merged = merge_as_published(make_state(config), make_config(layers=1))
    with pytest.raises(CheckpointError, match=r"missing: transformer\.resblocks\.0\.T_Adapter_in"):
        load(merged, config)


def test_a_merged_file_whose_adapters_had_an_activation_is_refused(load):
    config = make_config(adapter_type="gelu")
    with pytest.raises(CheckpointError, match="not linear"):
        load(merge_as_published(make_state(config), config), config)


def test_the_file_and_the_configuration_fill_each_other(load):
    config = make_config()
    state = make_state(config)
    video = torch.randn(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(1))
    model = load(state, {"heads": 12, "num_tadapter": 2}, {"config": CFG_TEXT})
    assert (model(video).double() - logits(state, config, video)).abs().max() < 2e-5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"heads": 6}, "heads=12, the configuration 6"),
        ({"stdha_cfg": {"shift_div": 6}}, r"stdha_cfg\.shift_div=12, the configuration 6"),
        ({"type": "ViT_Zero_CLIP_long"}, "type='ViT_Zero_CLIP'"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_and_a_configuration_that_differ_are_refused(given, message, as_json, load):
    said = make_config(type="ViT_Zero_CLIP")
    metadata = {"config": json.dumps(said) if as_json else CFG_TEXT}
    with pytest.raises(CheckpointError, match=message):
        load(make_state(make_config()), given, metadata)


def test_a_classifier_of_another_size_than_the_file_says_is_refused(load):
    with pytest.raises(CheckpointError, match="9 classes"):
        load(make_state(make_config(), num_classes=9), None, {"cfg": CFG_TEXT})


def test_a_tuple_and_a_list_of_the_same_numbers_agree():
    assert combine({"kernel": (3, 1, 1)}, {"kernel": [3, 1, 1]}) == {"kernel": [3, 1, 1]}
    with pytest.raises(CheckpointError, match="kernel"):
        combine({"kernel": (3, 1, 1)}, {"kernel": [3, 3, 3]})
