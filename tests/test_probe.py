"""The linear probe: logistic regression on frozen features."""

import numpy as np
import pytest
import torch
from tiny_training import PROTOCOL, NoiseReader

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader_watch import batches_of
from zeroi2v_bench.errors import TrainError
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.training.probe import extract_features, fit_head
from zeroi2v_bench.types import Clip, Task

CLASSES = 25


def probe(shots, unreadable=()):
    """The model after the fit, its report, and its features of the training clips."""
    clips = tuple(
        Clip(id=f"class{k}_{n}", path=__file__, label=k)
        for k in range(CLASSES)
        for n in range(shots)
    )
    torch.manual_seed(0)
    plain = VideoViT(
        ViTConfig(image_size=16, patch_size=8, width=24, depth=1, num_heads=2, mlp_width=48)
    )
    backbone = Backbone(model=plain, info=BackboneInfo(spec="tiny", weights_hash=""))
    task = Task(num_frames=4, class_names=tuple(map(str, range(CLASSES))))
    model = adapt("linear_probe", backbone, task, {}).eval()
    loader = build_loader(clips, PROTOCOL, NoiseReader(unreadable), image_size=16, batch_size=8)
    report = fit_head(model, batches_of(loader), clips)
    features, labels, _ = extract_features(model, batches_of(loader))
    return model, report, features, labels


@pytest.mark.parametrize("shots", [1, 2, 4])
def test_few_clips_of_many_classes_are_fitted_without_a_warning(shots):
    _, report, features, labels = probe(shots)
    assert len(features) == len(labels) == report.num_clips == shots * CLASSES
    assert report.details["folds"] == shots


def test_the_head_is_at_the_minimum_of_the_penalised_loss():
    model, report, features, labels = probe(2)
    scale = torch.from_numpy(features.std(0) + 1e-6)
    weight = model.head.weight.detach().clone().double().requires_grad_()
    bias = model.head.bias.detach().clone().double().requires_grad_()
    logits = torch.from_numpy(features).double() @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum")
    penalty = (weight * scale).square().sum() / 2  # of the weights on standardised features
    (report.details["C"] * loss + penalty).backward()
    assert (weight.grad / scale).abs().max() < 1e-2
    assert bias.grad.abs().max() < 1e-2


def test_a_class_without_a_readable_clip_stops_the_fit():
    with pytest.raises(TrainError, match="class 3 has no readable training clip"):
        probe(1, unreadable={"class3_0"})


def test_an_unreadable_clip_is_left_out_by_name():
    _, report, features, _ = probe(2, unreadable={"class3_0"})
    assert report.left_out == ("class3_0",)
    assert len(features) == 2 * CLASSES - 1
    assert np.isfinite(features).all()
