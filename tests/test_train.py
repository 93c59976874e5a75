"""The laws of a training step."""

import pytest
import torch
from tiny_training import (
    CLIPS,
    PROTOCOL,
    NoiseReader,
    at_path,
    same_weights,
    train_tiny,
    without_dropout,
)

from zeroi2v_bench.errors import TrainError


@pytest.fixture
def model(tiny_zeroi2v):
    return without_dropout(tiny_zeroi2v)


def test_micro_batches_add_up_to_the_protocols_batch(model):
    whole, _ = train_tiny(model)
    for size in (1, 3):
        assert same_weights(train_tiny(model, micro_batch=size)[0], whole, atol=1e-5)


def test_a_clip_that_cannot_be_read_is_as_if_it_were_not_in_its_batch(model):
    """One batch of four with one unreadable clip against the batch of the other three."""
    four = tuple(at_path(clip, __file__) for clip in CLIPS[:4])
    three = four[:3]
    optim = PROTOCOL.optim.model_copy(update={"epochs": 1, "schedule": "cosine"})
    with_gap, report = train_tiny(
        model, clips=four, reader=NoiseReader({"clip3"}), optim=optim, micro_batch=2
    )
    without, _ = train_tiny(model, clips=three, optim=optim)
    assert report.left_out == ("clip3",)
    assert report.num_clips == 4
    assert same_weights(with_gap, without, atol=1e-4)


def test_a_training_is_the_same_every_time_and_with_workers(tiny_zeroi2v):
    first, report = train_tiny(tiny_zeroi2v)
    again, _ = train_tiny(tiny_zeroi2v)
    read_elsewhere, _ = train_tiny(tiny_zeroi2v, workers=2)
    assert report.steps == 6
    assert same_weights(first, again)
    assert same_weights(first, read_elsewhere)
    assert not same_weights(first, tiny_zeroi2v)


def test_only_what_is_trainable_moves_and_the_model_comes_back_in_eval_mode(tiny_zeroi2v):
    trained, _ = train_tiny(tiny_zeroi2v)
    assert not trained.training
    before = dict(tiny_zeroi2v.named_parameters())
    for name, parameter in trained.named_parameters():
        assert parameter.requires_grad or torch.equal(parameter, before[name])
        assert parameter.requires_grad or parameter.grad is None


def test_the_judge_chooses_the_first_of_the_best_epochs(tiny_zeroi2v):
    verdicts = iter([10.0, 50.0, 50.0])
    optim = PROTOCOL.optim.model_copy(update={"epochs": 3})
    seen = []

    def judge(candidate):
        seen.append([p.detach().clone() for p in candidate.parameters()])
        return next(verdicts)

    chosen, report = train_tiny(tiny_zeroi2v, optim=optim, judge=judge)
    assert report.details["chosen_epoch"] == 2
    assert all(map(torch.equal, chosen.parameters(), seen[1]))


def test_a_training_without_any_readable_clip_fails(tiny_zeroi2v):
    clips = tuple(at_path(clip, __file__) for clip in CLIPS)
    reader = NoiseReader({clip.id for clip in clips})
    with pytest.raises(TrainError, match="no training clip can be used"):
        train_tiny(tiny_zeroi2v, clips=clips, reader=reader)


def optim_with(precision):
    return PROTOCOL.optim.model_copy(update={"precision": precision, "grad_clip": 1.0})


def test_reduced_precision_keeps_float32_weights_and_trains_close_to_them(model):
    trained, report = train_tiny(model, optim=optim_with("bf16"))
    _, exact = train_tiny(model, optim=optim_with("fp32"))
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in trained.parameters())
    assert report.losses == pytest.approx(exact.losses, rel=0.1)
    assert report.losses != exact.losses


def test_half_precision_is_float32_without_a_gpu(model):
    half, exact = (train_tiny(model, optim=optim_with(name))[0] for name in ("fp16", "fp32"))
    assert same_weights(half, exact)
