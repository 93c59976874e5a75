"""Merging is exact algebra, rounded once; the check that says so can fail."""

import pytest
import torch
from drawn_weights import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zeroi2v_bench import merging
from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.errors import MergeError
from zeroi2v_bench.merging import compare_predictions, count_adapted, merge, verify_merge
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.adapted_linear import AdaptedLinear, LinearAdapter
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.types import Predictions, Task


@settings(max_examples=60, deadline=None)
@given(
    inside=st.integers(1, 9),
    outside=st.integers(1, 9),
    hidden=st.integers(1, 4),
    scale=st.sampled_from([0.5, 1.0, -2.0]),
    sides=st.sampled_from([(True, False), (False, True), (True, True)]),
    bias=st.booleans(),
)
def test_a_merged_layer_is_the_same_map(inside, outside, hidden, scale, sides, bias):
    before, after = sides
    layer = AdaptedLinear(
        nn.Linear(inside, outside, bias=bias),
        before=LinearAdapter(inside, hidden, scale=scale) if before else None,
        after=LinearAdapter(outside, hidden, scale=scale) if after else None,
    )
    layer = drawn(layer, seed=0, scale=0.3).double()
    x = torch.randn(5, inside, dtype=torch.float64)
    merged = layer.merge()
    assert type(merged) is nn.Linear
    torch.testing.assert_close(merged(x), layer(x), rtol=0, atol=1e-12)


def test_a_new_adapter_is_the_identity():
    adapter = LinearAdapter(8, 2)
    x = torch.randn(3, 8)
    assert torch.equal(adapter(x), x)


def test_half_precision_weights_are_rounded_once():
    layer = AdaptedLinear(nn.Linear(8, 8), before=LinearAdapter(8, 2))
    layer = drawn(layer, seed=0, scale=0.3).half()
    exact = layer.double().merge()
    assert torch.equal(layer.half().merge().weight, exact.weight.half())


def test_merging_leaves_the_model_as_it_is_and_no_adapter_behind(tiny_zeroi2v):
    before = {name: value.clone() for name, value in tiny_zeroi2v.state_dict().items()}
    merged = merge(tiny_zeroi2v)
    assert count_adapted(tiny_zeroi2v) == 4 * len(tiny_zeroi2v.blocks)
    assert count_adapted(merged) == 0
    for name, value in tiny_zeroi2v.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_merged_model_gives_the_same_logits(tiny_zeroi2v):
    video = torch.randn(3, 3, 4, 16, 16)
    report = verify_merge(tiny_zeroi2v, merge(tiny_zeroi2v), [video])
    assert report.num_verified == 3
    assert 0 < report.max_abs_float32 < 2e-5
    assert 0 < report.max_abs_float64 < 1e-12


@pytest.mark.parametrize("method", ["zeroi2v", "lora"])
def test_a_backbone_without_qkv_bias_can_be_merged(method):
    config = ViTConfig(
        image_size=16, patch_size=8, width=24, depth=2, num_heads=6, mlp_width=48, qkv_bias=False
    )
    info = BackboneInfo(spec="tiny", weights_hash="")
    backbone = Backbone(model=drawn(VideoViT(config), seed=0, scale=0.2), info=info)
    model = adapt(method, backbone, Task(num_frames=4, class_names=("a", "b")), {})
    model = drawn(model, seed=1, scale=0.2, trained_only=True)
    report = verify_merge(model, merge(model), [torch.randn(2, 3, 4, 16, 16)])
    assert report.max_abs_float64 < 1e-12


def test_the_check_runs_in_full_float32_and_leaves_the_setting_as_it_was(tiny_zeroi2v, monkeypatch):
    seen = []
    monkeypatch.setattr(
        merging, "_difference", lambda *a: seen.append(torch.get_float32_matmul_precision()) or 0.0
    )
    torch.set_float32_matmul_precision("high")
    try:
        verify_merge(tiny_zeroi2v, merge(tiny_zeroi2v), [torch.randn(1, 3, 4, 16, 16)])
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(seen) == {"highest"}


def test_a_merged_model_that_lost_its_temporal_heads_is_found_out(tiny_zeroi2v):
    wrong = merge(tiny_zeroi2v)
    for block in wrong.iter_blocks():
        block.attn.set_offsets((0,) * block.attn.num_heads)
    with pytest.raises(MergeError, match="differ by"):
        verify_merge(tiny_zeroi2v, wrong, [torch.randn(2, 3, 4, 16, 16)])


def test_a_layer_left_unmerged_is_found_out(tiny_zeroi2v):
    wrong = merge(tiny_zeroi2v)
    wrong.blocks[0].fc1 = tiny_zeroi2v.blocks[0].fc1
    with pytest.raises(MergeError, match="1 adapted layers are left"):
        verify_merge(tiny_zeroi2v, wrong, [torch.randn(1, 3, 4, 16, 16)])


def test_logits_that_are_not_numbers_fail_the_check(tiny_zeroi2v):
    with pytest.raises(MergeError, match="nan"):
        verify_merge(tiny_zeroi2v, merge(tiny_zeroi2v), [torch.full((1, 3, 4, 16, 16), torch.nan)])


def test_no_clip_to_verify_on_is_an_error(tiny_zeroi2v):
    with pytest.raises(MergeError, match="no clip"):
        verify_merge(tiny_zeroi2v, merge(tiny_zeroi2v), [])


def test_merging_refuses_training_mode(tiny_zeroi2v):
    with pytest.raises(MergeError, match="eval mode"):
        merge(tiny_zeroi2v.train())


def test_merging_refuses_an_adapter_with_an_activation(tiny_zeroi2v):
    tiny_zeroi2v.blocks[1].fc1.before = LinearAdapter(24, 6, activation=nn.GELU())
    with pytest.raises(MergeError, match=r"blocks\.1\.fc1\.before.*GELU"):
        merge(tiny_zeroi2v.eval())


def predictions(*rows: list[float]) -> Predictions:
    scores = torch.tensor(rows).numpy()
    ids = tuple(f"clip{i}" for i in range(len(rows)))
    labels = torch.zeros(len(rows), dtype=torch.int64).numpy()
    return Predictions(clip_ids=ids, labels=labels, scores=scores, status=("ok",) * len(rows))


def test_a_changed_top1_fails_and_a_tie_is_named():
    before = predictions([0.6, 0.4], [0.500001, 0.499999])
    assert compare_predictions(before, predictions([0.6, 0.4], [0.499999, 0.500001])) == ("clip1",)
    with pytest.raises(MergeError, match="changed the top-1 of 1 clips, first clip0"):
        compare_predictions(before, predictions([0.4, 0.6], [0.5, 0.5]))
