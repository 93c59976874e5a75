"""LoRA merges exactly into the layer that it updates."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zeroi2v_bench.errors import MergeError
from zeroi2v_bench.nn.lora_linear import LoRALinear


@settings(max_examples=40, deadline=None)
@given(
    inside=st.integers(1, 9),
    outside=st.integers(1, 9),
    rank=st.integers(1, 4),
    alpha=st.sampled_from([0.5, 1.0, 16.0]),
    bias=st.booleans(),
)
def test_a_merged_update_is_the_same_map(inside, outside, rank, alpha, bias):
    layer = LoRALinear(nn.Linear(inside, outside, bias=bias), rank=rank, alpha=alpha)
    nn.init.normal_(layer.up.weight)
    layer = layer.double().eval()
    x = torch.randn(5, inside, dtype=torch.float64)
    merged = layer.merge()
    assert type(merged) is nn.Linear
    torch.testing.assert_close(merged(x), layer(x), rtol=0, atol=1e-11)
    expected = layer.base.weight + alpha / rank * layer.up.weight @ layer.down.weight
    torch.testing.assert_close(merged.weight, expected, rtol=0, atol=1e-12)


def test_a_new_update_is_zero_and_alpha_scales_a_trained_one():
    base, x = nn.Linear(6, 4), torch.randn(3, 6)
    layer = LoRALinear(base, rank=2, alpha=4)
    assert torch.equal(layer(x), base(x))
    nn.init.normal_(layer.up.weight)
    update = layer(x) - base(x)
    layer.scale *= 3
    torch.testing.assert_close(layer(x) - base(x), 3 * update)


def test_merging_in_training_mode_is_refused():
    with pytest.raises(MergeError, match="eval mode"):
        LoRALinear(nn.Linear(2, 2), rank=1, alpha=1, dropout=0.5).train().merge()
