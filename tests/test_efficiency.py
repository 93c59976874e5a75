"""Counted costs are the published ones, and a count that misses something is found out."""

import pytest
import torch

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.costs.efficiency import count_costs, count_macs, count_params, without_memory
from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.merging import merge
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.block import Block
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.types import Task

SHAPES = {
    "B/16": {"patch_size": 16, "width": 768, "depth": 12, "num_heads": 12, "mlp_width": 3072},
    "L/14": {"patch_size": 14, "width": 1024, "depth": 24, "num_heads": 16, "mlp_width": 4096},
}
SSV2 = {"places": ["attn", "mlp"]}


def full_size(shape: str) -> Backbone:
    """A backbone of that size without weights."""
    with torch.device("meta"):
        model = VideoViT(ViTConfig(image_size=224, **SHAPES[shape]))
    return Backbone(model=model, info=BackboneInfo(spec=shape, weights_hash=""))


def build(method: str, shape: str, frames: int, params: dict | None = None, classes: int = 400):
    backbone = full_size(shape)
    task = Task(num_frames=frames, class_names=tuple(map(str, range(classes))))
    with torch.device("meta"):
        return adapt(method, backbone, task, params or {}).eval(), backbone.model


@pytest.mark.parametrize(
    ("method", "shape", "frames", "params", "gflops"),
    [
        ("linear_probe", "B/16", 8, {}, 422),
        ("linear_probe", "L/14", 8, {}, 1946),
        ("st_adapter", "B/16", 32, {}, 1821),
        ("st_adapter", "B/16", 32, SSV2, 1955),
        ("aim", "B/16", 8, {}, 606),
        ("aim", "L/14", 32, {}, 11208),  # printed as four times the 8-frame count
    ],
)
def test_three_views_cost_what_the_papers_print(method, shape, frames, params, gflops):
    model, plain = build(method, shape, frames, params)
    costs = count_costs(model, plain, num_frames=frames, views=3)
    assert costs.gmacs_per_video == pytest.approx(gflops, rel=5e-3)


@pytest.mark.parametrize(
    ("shape", "frames", "gflops"),
    [
        ("B/16", 8, 422),
        ("B/16", 16, 844),
        ("B/16", 32, 1688),
        ("L/14", 8, 1946),
        ("L/14", 16, 3892),
        ("L/14", 32, 7783),
    ],
)
def test_merged_zeroi2v_costs_what_the_plain_vit_does(shape, frames, gflops):
    model, plain = build("zeroi2v", shape, frames)
    probe, _ = build("linear_probe", shape, frames)
    with torch.device("meta"):
        merged = merge(model)
    costs = count_costs(merged, plain, num_frames=frames, views=3, trained=model)
    assert costs.gmacs_per_video == pytest.approx(gflops, rel=5e-3)
    assert costs.gmacs_per_view * 1e9 == count_macs(probe, frames)
    assert costs.new_params == frames * SHAPES[shape]["width"]  # the temporal embedding
    assert costs.tunable_params == count_params(model, tunable=True)


def test_unmerged_zeroi2v_costs_sixteen_per_cent_more():
    model, _ = build("zeroi2v", "B/16", 8)
    probe, _ = build("linear_probe", "B/16", 8)
    assert count_macs(model, 8) / count_macs(probe, 8) == pytest.approx(1.159, abs=1e-3)


@pytest.mark.parametrize(
    ("method", "shape", "params", "adapters"),
    [
        ("zeroi2v", "B/16", {}, 14_201_856),
        ("zeroi2v", "L/14", {}, 50_454_528),
        ("st_adapter", "B/16", {}, 7_110_144),
        ("st_adapter", "B/16", SSV2, 14_220_288),
        ("aim", "B/16", {}, 10_651_392),
        ("aim", "L/14", {}, 37_840_896),
        ("aim", "B/16", {"temporal_adapters": 2}, 14_201_856),
    ],
)
def test_adapters_have_the_released_number_of_parameters(method, shape, params, adapters):
    model, plain = build(method, shape, 8, params)
    embedding = model.temporal_embedding
    outside = count_params(model.head) + (0 if embedding is None else embedding.numel())
    assert count_params(model) - count_params(plain) - outside == adapters


@pytest.mark.parametrize(
    ("method", "params", "classes", "total", "tunable"),
    [
        ("zeroi2v", {}, 400, 100_315_024, 14_517_136),
        ("aim", {}, 400, 96_764_560, 10_966_672),
        ("aim", {"temporal_adapters": 2}, 174, 100_141_230, 14_343_342),
        ("st_adapter", {}, 400, 93_217_168, 7_417_744),
        ("st_adapter", SSV2, 174, 100_153_518, 14_354_094),
    ],
)
def test_whole_models_have_the_released_number_of_parameters(
    method, params, classes, total, tunable
):
    model, _ = build(method, "B/16", 8, params, classes)
    assert (count_params(model), count_params(model, tunable=True)) == (total, tunable)


def test_counting_copies_no_weights_and_leaves_the_model_as_it_is(tiny_zeroi2v):
    before = {name: value.clone() for name, value in tiny_zeroi2v.state_dict().items()}
    network = without_memory(tiny_zeroi2v.train())
    assert {p.device.type for p in network.parameters()} == {"meta"}
    assert not network.training
    assert [p.requires_grad for p in network.parameters()] == [
        p.requires_grad for p in tiny_zeroi2v.parameters()
    ]
    assert tiny_zeroi2v.training
    for name, value in tiny_zeroi2v.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_block_that_forgets_part_of_its_formula_is_found_out(tiny_backbone):
    class Twice(Block):
        def forward(self, tokens, num_frames):
            return super().forward(super().forward(tokens, num_frames), num_frames)

    model = tiny_backbone.model
    model.blocks[0] = Twice(24, 6, 48)
    with pytest.raises(BenchError, match="needs its own macs"):
        count_macs(model, 4)


def test_attention_without_a_fast_path_is_counted_in_every_mode(tiny_zeroi2v):
    counts = set()
    for trained in (True, False):
        for precision in (torch.float32, torch.float16):
            model = tiny_zeroi2v.requires_grad_(trained).to(precision)
            counts.add(count_macs(model, 4))
    assert len(counts) == 1
