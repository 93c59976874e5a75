"""Every method, and every ablation of ZeroI2V, through one contract on a tiny image model."""

import pytest
import torch

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.checkpoints.saved import load_model, save_model
from zeroi2v_bench.costs.efficiency import count_costs, count_params
from zeroi2v_bench.errors import BackboneError, MergeError
from zeroi2v_bench.merging import count_adapted, merge, refusal, verify_merge
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.video_vit import VideoViT
from zeroi2v_bench.registry import names
from zeroi2v_bench.types import Task

TASK = Task(num_frames=4, class_names=("brush_hair", "ApplyLipstick", "riding a bike"))
DEFAULTS = {name: (name, {}) for name in names("methods")}
ABLATIONS = {
    "no temporal heads": {"temporal_heads": {}},
    "neither temporal heads nor embedding": {"temporal_heads": {}, "temporal_embedding": False},
    "one MLP adapter": {"adapters": ["qkv", "proj", "fc1"]},
    "no adapters": {"adapters": []},
    "keys only": {"moved": "k"},
    "values only": {"moved": "v"},
    "queries too": {"moved": "qkv"},
    "channels of every head": {"unit": "channel"},
    "class token only": {"unit": "class_token"},
    "two frames away": {"temporal_heads": {-1: 1, 1: 1, -2: 1, 2: 1}},
    "GELU adapters": {"adapter_activation": "gelu"},
}
VARIANTS = {
    "aim, two temporal adapters": ("aim", {"temporal_adapters": 2}),
    "st_adapter in both places": ("st_adapter", {"places": ["attn", "mlp"]}),
    "st_adapter, cubes in the last block": (
        "st_adapter",
        {"kernel": [3, 3, 3], "adapter_layers": 1},
    ),
    "lora of qkv": ("lora", {"layers": ["qkv"], "rank": 2, "alpha": 4, "dropout": 0.1}),
    "full_finetune over time": ("full_finetune", {"temporal_embedding": True}),
}
CASES = DEFAULTS | {k: ("zeroi2v", v) for k, v in ABLATIONS.items()} | VARIANTS
OUT_OF_REACH = "blocks.1.before_mlp."
"""ST-Adapter passes the class token by, so the last block's MLP hides what its adapter did."""
UNMERGEABLE = {"aim", "st_adapter"}
every_method = pytest.mark.parametrize("case", CASES)


class TinyText:
    """Stands in for CLIP's text encoder; equal prompts have equal embeddings."""

    image_projection = torch.randn(24, 8, generator=torch.Generator().manual_seed(2))
    logit_scale = 10.0

    def encode(self, prompts):
        generators = [torch.Generator().manual_seed(sum(map(ord, p))) for p in prompts]
        embeddings = torch.stack([torch.randn(8, generator=g) for g in generators])
        return torch.nn.functional.normalize(embeddings, dim=-1)


@pytest.fixture
def backbone(tiny_backbone) -> Backbone:
    return Backbone(model=tiny_backbone.model, info=tiny_backbone.info, text=TinyText())


def build(case: str, backbone: Backbone) -> VideoViT:
    method, params = CASES[case]
    torch.manual_seed(0)
    return adapt(method, backbone, TASK, params)


def trained_a_little(case: str, backbone: Backbone) -> VideoViT:
    """No trained tensor is at its initial value any more."""
    model = build(case, backbone)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    return model.eval()


def clips(seed: int = 0, frames: int = TASK.num_frames) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, frames, 16, 16, generator=generator)


@every_method
def test_it_gives_one_logit_per_class_and_leaves_the_backbone_alone(case, backbone):
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    flags = [p.requires_grad for p in backbone.model.parameters()]
    model = trained_a_little(case, backbone)
    assert model(clips()).shape == (2, 3)
    assert model.recipe is not None
    assert model.recipe.method == CASES[case][0]
    assert flags == [p.requires_grad for p in backbone.model.parameters()]
    for name, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[name])


@every_method
def test_one_training_step_moves_exactly_the_trained_tensors(case, backbone):
    model = trained_a_little(case, backbone).train()
    for block in model.iter_blocks():
        if hasattr(block, "drop_path"):
            block.drop_path.rate = 0.0  # a dropped branch has no gradient in that step
    trained = [p for p in model.parameters() if p.requires_grad]
    before = {name: value.clone() for name, value in model.named_parameters()}
    if trained:
        torch.manual_seed(1)
        torch.nn.functional.cross_entropy(model(clips()), torch.tensor([0, 2])).backward()
        torch.optim.SGD(trained, lr=1.0).step()
    for name, parameter in model.named_parameters():
        moves = parameter.requires_grad and not name.startswith(OUT_OF_REACH)
        assert torch.equal(parameter, before[name]) is not moves, name


@every_method
def test_tensors_without_weight_decay_are_trained_ones(case, backbone):
    model = build(case, backbone)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert model.no_decay <= trained | {"temporal_embedding"}  # some ablations have none


@every_method
def test_it_merges_without_changing_a_logit_or_refuses_and_says_why(case, backbone):
    model = trained_a_little(case, backbone)
    if CASES[case][0] in UNMERGEABLE or case == "GELU adapters":
        with pytest.raises(MergeError, match="cannot be merged: "):
            merge(model)
        return
    merged = merge(model)
    report = verify_merge(model, merged, [clips()])
    assert report.num_merged == count_adapted(model)
    assert count_adapted(merged) == 0
    embedding = model.temporal_embedding
    extra = 0 if embedding is None else embedding.numel()
    assert count_params(merged) == count_params(backbone.model) + count_params(model.head) + extra


@every_method
def test_it_comes_back_from_its_file(case, backbone, tmp_path):
    model = trained_a_little(case, backbone)
    path = tmp_path / "model.safetensors"
    save_model(model, path)
    if CASES[case][0] == "zero_shot":  # nothing in it was trained: its backbone makes it anew
        with pytest.raises(BackboneError, match="text encoder"):
            load_model(path)
        return
    loaded = load_model(path)
    assert torch.equal(loaded(clips()), model(clips()))
    assert loaded.recipe == model.recipe
    if count_adapted(model) and not refusal(model):
        save_model(merge(model), path)
        assert torch.equal(load_model(path)(clips()), merge(model)(clips()))


@every_method
def test_its_counted_multiply_adds_are_its_closed_formula(case, backbone):
    model = build(case, backbone)
    costs = count_costs(model, backbone.model, num_frames=4, views=3)
    assert costs.gmacs_per_view == pytest.approx(model.macs(4) / 1e9, rel=1e-9)
    assert costs.gmacs_per_video == pytest.approx(3 * costs.gmacs_per_view)
    assert costs.tunable_params == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    "case",
    ["linear_probe", "full_finetune", "zero_shot", "neither temporal heads nor embedding"],
)
def test_without_temporal_parts_a_clip_and_its_reversal_look_the_same(case, backbone):
    model, video = trained_a_little(case, backbone).double(), clips().double()
    torch.testing.assert_close(model(video), model(video.flip(2)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "case",
    ["zeroi2v", "aim", "aim, two temporal adapters", "st_adapter", "lora", "two frames away"],
)
def test_with_temporal_parts_the_order_of_frames_matters(case, backbone):
    model, video = trained_a_little(case, backbone).double(), clips().double()
    assert (model(video) - model(video.flip(2))).abs().max() > 1e-6
