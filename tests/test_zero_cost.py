"""A merged ZeroI2V model costs what the plain image model costs; only a few copies are new."""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.merging import merge
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.types import Task

SMALL = ViTConfig(
    image_size=32, patch_size=16, width=48, depth=2, num_heads=6, mlp_width=96, activation="gelu"
)
BASE = ViTConfig(image_size=224, patch_size=16, width=768, depth=12, num_heads=12, mlp_width=3072)
LARGE = ViTConfig(image_size=224, patch_size=14, width=1024, depth=24, num_heads=16, mlp_width=4096)


def merged_and_plain(config, num_frames=8, num_classes=400, **params):
    """A merged ZeroI2V model without zeros, and the plain image model it came from."""
    torch.manual_seed(0)
    plain = VideoViT(config).eval()
    info = BackboneInfo(spec="plain", weights_hash="")
    task = Task(num_frames=num_frames, class_names=tuple(map(str, range(num_classes))))
    model = adapt("zeroi2v", Backbone(model=plain, info=info), task, params).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model, merge(model), plain


class Operations(TorchDispatchMode):
    """Counts what is dispatched, and the elements that copies write."""

    def __init__(self):
        super().__init__()
        self.calls, self.copied = Counter(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = str(function.overloadpacket).removeprefix("aten.")
        self.calls[name] += 1
        if name in {"clone", "copy_", "index", "gather", "index_select", "contiguous"}:
            self.copied += result.numel()
        return result


@torch.no_grad()  # not inference mode, in which composite operations stay whole
def operations(model, video):
    with Operations() as seen:
        model.features(video)
    return seen


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("config", "plain_parameters", "merged_parameters"),
    [(BASE, 85_799_424, 86_113_168), (LARGE, 303_179_776, 303_597_968)],
    ids=["B/16", "L/14"],
)
def test_only_the_temporal_embedding_and_the_head_add_parameters(
    config, plain_parameters, merged_parameters
):
    with torch.device("meta"):
        _, merged, plain = merged_and_plain(config)
    new = 8 * config.width + 400 * (config.width + 1)
    assert parameters(plain) == plain_parameters
    assert parameters(merged) == merged_parameters == plain_parameters + new


@pytest.mark.parametrize(("config", "gmacs"), [(BASE, 140.505), (LARGE, 648.096)])
def test_multiply_adds_are_the_plain_models_to_the_last_digit(config, gmacs):
    counts = []
    with torch.device("meta"):
        _, merged, plain = merged_and_plain(config)
        video = torch.empty(1, 3, 8, config.image_size, config.image_size)
        for model in (merged, plain):
            with FlopCounterMode(display=False) as counter:
                model.features(video)
            counts.append(counter.get_total_flops())
    assert counts[0] == counts[1]
    assert counts[0] / 2e9 == pytest.approx(gmacs, abs=1e-3)


def test_the_merged_model_dispatches_the_plain_models_operations_and_copies():
    _, merged, plain = merged_and_plain(SMALL)
    video = torch.randn(2, 3, 8, 32, 32)
    ours, theirs = operations(merged, video).calls, operations(plain, video).calls
    free = {"view", "slice", "alias", "unsqueeze", "_unsafe_view", "split", "select", "detach"}
    extra = {name: count for name, count in (ours - theirs).items() if name not in free}
    moves = 2 * SMALL.depth  # one head each way in every block
    assert extra == {"clone": moves, "copy_": moves, "add": 1}  # add: the temporal embedding
    assert not {name for name in theirs - ours if name not in free}
    for name in ("addmm", "native_layer_norm"):
        assert ours[name] == theirs[name] > 0
    attention = [name for name in ours if "scaled_dot_product" in name]
    assert attention
    assert all(ours[name] == theirs[name] == SMALL.depth for name in attention)


@pytest.mark.parametrize("temporal_heads", [{-1: 1, 1: 1}, {-1: 2, 1: 2, -2: 1, 2: 1, -3: 0}])
def test_only_keys_and_values_of_temporal_heads_are_copied(temporal_heads):
    _, merged, plain = merged_and_plain(SMALL, temporal_heads=temporal_heads)
    clips, num_frames = 2, 8
    video = torch.randn(clips, 3, num_frames, 32, 32)
    copied = operations(merged, video).copied - operations(plain, video).copied
    head = SMALL.num_tokens * 2 * SMALL.width // SMALL.num_heads  # keys and values of one frame
    moved = sum(n * (num_frames - abs(step)) for step, n in temporal_heads.items())
    assert copied == 2 * SMALL.depth * clips * moved * head  # once out, once back in


def test_channels_last_input_gives_the_same_logits():
    _, merged, _ = merged_and_plain(SMALL)
    video = torch.randn(2, 3, 8, 32, 32)
    with torch.inference_mode():
        expected = merged(video)
        actual = merged(video.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


def test_bfloat16_autocast_keeps_the_logits_near_and_training_possible():
    model, merged, _ = merged_and_plain(SMALL)
    video = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = merged(video)
    with torch.no_grad():
        high = merged(video)
    assert low.dtype == torch.bfloat16
    assert (low.float() - high).abs().max() < 0.05 * high.abs().max()
    with torch.autocast("cpu", torch.bfloat16):
        model.train()(video).float().square().mean().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_the_whole_model_compiles_into_one_graph(backend):
    _, merged, _ = merged_and_plain(SMALL)
    video = torch.randn(2, 3, 8, 32, 32)
    compiled = torch.compile(merged, backend=backend, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(video), merged(video), atol=2e-5, rtol=0)
