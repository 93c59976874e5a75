"""ST-Adapter is the published network, in outputs, trained tensors and counts."""

import pytest
import torch
from published_baselines import ST_ADAPTER, st_adapter_logits, st_adapter_state
from recorded_outputs import assert_reproduced
from safetensors.torch import save_file

from zeroi2v_bench.checkpoints.official import load_official
from zeroi2v_bench.errors import CheckpointError, ProtocolError
from zeroi2v_bench.merging import refusal
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.st_adapter_block import STAdapter
from zeroi2v_bench.types import Task

TASK = Task(num_frames=4, class_names=("a", "b", "c"))
CASES = {
    "12 x 384": {},
    "24 x 384": {"adapter_pre_attn": True},
    "before the attention only": {"adapter_pre_attn": True, "adapter_pre_mlp": False},
    "cubes in the last two blocks": {"adapter_kernel_size": (3, 3, 3), "adapter_layers": 2},
    "an uneven kernel": {"adapter_kernel_size": (5, 1, 3), "adapter_layers": 1, "width": 20},
}


@pytest.mark.parametrize("case", CASES)
def test_a_published_checkpoint_gives_the_published_logits(case, tmp_path):
    config = ST_ADAPTER | CASES[case]
    state, path = st_adapter_state(config), tmp_path / "st.safetensors"
    save_file(state, path)
    video = torch.randn(2, 3, 4, 48, 48)
    model = load_official(path, config | {"method": "st_adapter"})
    with torch.inference_mode():
        logits = model(video).double()
    torch.testing.assert_close(logits, st_adapter_logits(state, config, video), rtol=0, atol=2e-5)


@pytest.mark.data
def test_recorded_outputs_of_the_published_code_are_reproduced(reference_data, tmp_path):
    assert_reproduced(reference_data / "fixtures", "st_adapter", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adapter_width": 7}, "adapter_width=7, the tensors show 6"),
        ({"adapter_layers": 2}, "adapter_layers=2, the tensors show 3"),
        ({"adapter_pre_attn": True}, "adapter_pre_attn=True, the tensors show 0"),
        ({"adapter_kernel_size": (1, 3, 3)}, r"adapter_kernel_size=\[1, 3, 3\]"),
        ({"num_classes": 400}, "num_classes=400, the tensors show 5"),
        ({"heads": None}, "heads"),
    ],
)
def test_a_contradiction_or_a_gap_in_the_configuration_is_named(change, message, tmp_path):
    save_file(st_adapter_state(ST_ADAPTER), tmp_path / "st.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_official(tmp_path / "st.safetensors", ST_ADAPTER | change | {"method": "st_adapter"})


def test_adapters_that_are_not_in_the_last_blocks_are_refused(tmp_path):
    state = st_adapter_state(ST_ADAPTER)
    first = {n: v for n, v in state.items() if "2.adapter_pre_mlp" not in n}
    save_file(first, tmp_path / "st.safetensors")
    with pytest.raises(CheckpointError, match="not the last ones"):
        load_official(tmp_path / "st.safetensors", {"heads": 4, "method": "st_adapter"})


def test_a_new_model_passes_the_image_models_tokens_on(tiny_backbone):
    model = adapt("st_adapter", tiny_backbone, TASK, {"places": ["attn", "mlp"]}).eval()
    video = torch.randn(2, 3, 4, 16, 16)
    plain = tiny_backbone.model
    tokens, expected = model.embed(video), plain.embed(video)
    for block, original in zip(model.blocks, plain.blocks, strict=True):
        tokens, expected = block(tokens, 4), original(expected, 4)
    torch.testing.assert_close(tokens, expected)


def test_gradients_are_those_of_a_sum_whatever_the_layout_of_the_tokens():
    adapter = STAdapter(24, 6, (3, 1, 1), num_prefix=0)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter)
    start = torch.randn(4, 9, 24, requires_grad=True)

    def gradients(tokens):
        tokens = adapter(tokens, 4)
        return torch.autograd.grad(tokens.square().sum(), [start, adapter.down.weight])

    contiguous = gradients(start * 1.0)
    strided = gradients((start * 1.0).transpose(1, 2).contiguous().transpose(1, 2))
    torch.testing.assert_close(contiguous, strided)


def test_it_trains_adapters_and_head_alone_and_decays_no_bias(tiny_backbone):
    model = adapt("st_adapter", tiny_backbone, TASK, {"adapter_layers": 1})
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    layers = [f"blocks.1.before_mlp.{layer}" for layer in ("down", "conv", "up")]
    assert trained == {f"{n}.{kind}" for n in [*layers, "head"] for kind in ("weight", "bias")}
    assert model.no_decay == {name for name in trained if name.endswith(".bias")}


def test_more_adapted_blocks_than_there_are_is_an_error(tiny_backbone):
    with pytest.raises(ProtocolError, match="adapter_layers=3, but tiny has 2 blocks"):
        adapt("st_adapter", tiny_backbone, TASK, {"adapter_layers": 3})


def test_an_even_kernel_is_an_error(tiny_backbone):
    with pytest.raises(ProtocolError, match="odd"):
        adapt("st_adapter", tiny_backbone, TASK, {"kernel": [2, 1, 1]})


def test_it_refuses_to_be_merged_and_says_why(tiny_backbone):
    assert "convolution" in str(refusal(adapt("st_adapter", tiny_backbone, TASK, {})))
