"""What each variant of ZeroI2V can and cannot know about the order of frames."""

import pytest
import torch
from drawn_weights import drawn

from zeroi2v_bench.backbones.base import load_backbone
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.protocol import load_protocol
from zeroi2v_bench.types import Task

TASK = Task(num_frames=8, class_names=tuple("abcdefgh"))


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("digits", image_size=32)


@pytest.fixture(scope="module")
def video():
    return torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


def trained(row: str, backbone):
    """A row of full_digits with random values in everything it trains."""
    protocol = load_protocol("full_digits")
    model = adapt(protocol.module_of(row), backbone, TASK, protocol.spec_of(row).params)
    return drawn(model, seed=1, scale=0.2, trained_only=True)


def single_frame_logits(model, video):
    """Logits of each frame alone at its own time: (T, B, K)."""
    embedding = model.temporal_embedding
    out = []
    for t in range(video.shape[2]):
        if embedding is not None:
            model.temporal_embedding = torch.nn.Parameter(embedding[t : t + 1])
        out.append(model(video[:, :, t : t + 1]))
    model.temporal_embedding = embedding
    return torch.stack(out)


@pytest.mark.parametrize("row", ["linear_probe", "adapters_only"])
def test_without_time_the_order_of_frames_changes_nothing(row, backbone, video):
    model = trained(row, backbone)
    torch.testing.assert_close(model(video.flip(2)), model(video), rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", ["adapters_only", "adapters_temporal_embedding"])
def test_without_temporal_heads_logits_are_a_mean_over_frames(row, backbone, video):
    model = trained(row, backbone)
    alone = single_frame_logits(model, video).mean(0)
    torch.testing.assert_close(model(video), alone, rtol=0, atol=1e-5)


def test_a_temporal_embedding_tells_the_order_of_frames(backbone, video):
    model = trained("adapters_temporal_embedding", backbone)
    assert (model(video.flip(2)) - model(video)).abs().max() > 0.05


def test_temporal_heads_relate_frames(backbone, video):
    model = trained("zeroi2v", backbone)
    alone = single_frame_logits(model, video).mean(0)
    assert (model(video) - alone).abs().max() > 0.05


def test_the_trained_parameters_are_those_of_the_released_code(backbone):
    model = trained("zeroi2v", backbone)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    outside = {name for name in trainable if ".before." not in name and ".after." not in name}
    assert outside == {
        "temporal_embedding",
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    }
    adapters = sum(p.numel() for n, p in model.named_parameters() if n in trainable - outside)
    assert adapters == 4 * 4 * (2 * 96 * 24 + 24 + 96)  # blocks, adapters, weights and biases
    assert model.no_decay == {"temporal_embedding", "norm.weight", "norm.bias"}
