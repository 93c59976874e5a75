"""Train what a method left trainable: AdamW on clips, or logistic regression on fixed features."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroi2v_bench.errors import TrainError
from zeroi2v_bench.records import FitReport
from zeroi2v_bench.transforms import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim.lr_scheduler import LRScheduler
    from torch.utils.data import DataLoader

    from zeroi2v_bench.loader import Batch, Sample
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Optim
    from zeroi2v_bench.types import Clip

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def only_head_trains(model: VideoViT) -> bool:
    """Whether nothing but the classifier is trained, so that the features never change."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return bool(trained) and all(name.startswith("head.") for name in trained)


def parameter_groups(model: VideoViT, optim: Optim) -> list[dict[str, object]]:
    """One group per pair of learning rate and weight decay, over all trained tensors.

    A tensor's rate is ``lr``, times ``backbone_lr_mult`` outside the head, times ``layer_decay``
    for each block between it and the head. Tensors that the method lists in ``no_decay`` have no
    weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = optim.lr * optim.layer_decay ** _blocks_above(name, len(model.blocks))
        rate *= 1.0 if name.startswith("head.") else optim.backbone_lr_mult
        decay = 0.0 if name in model.no_decay else optim.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def _blocks_above(name: str, depth: int) -> int:
    if name.startswith("blocks."):
        return depth - int(name.split(".")[1])
    return 0 if name.startswith(("head.", "norm.")) else depth + 1


def rate_factor(step: int, *, steps_per_epoch: int, optim: Optim) -> float:
    """Learning rate at an optimiser step as a share of the peak: warm-up times cosine.

    The cosine runs from the first step, as in the released configs, whose warm-up multiplies it.
    """
    total = optim.epochs * steps_per_epoch
    done = step if optim.step_per == "step" else step - step % steps_per_epoch
    floor = optim.final_lr / optim.lr
    cosine = floor + (1 - floor) * (1 + math.cos(math.pi * done / total)) / 2
    warmup = optim.warmup_epochs * steps_per_epoch
    if step >= warmup:
        return cosine
    return cosine * (optim.warmup_start + (1 - optim.warmup_start) * step / warmup)


def make_scheduler(
    optimiser: torch.optim.Optimizer, optim: Optim, steps_per_epoch: int
) -> LRScheduler:
    """The protocol's schedule, to be stepped after every optimiser step."""
    if optim.schedule == "one_cycle":
        rates = [group["lr"] for group in optimiser.param_groups]
        total = optim.epochs * steps_per_epoch
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=total)
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_factor(step, steps_per_epoch=steps_per_epoch, optim=optim)
    )


def fit(
    model: VideoViT,
    loader: DataLoader[Sample],
    optim: Optim,
    clips: Sequence[Clip],
    *,
    device: str = "cpu",
    seed: int,
    progress: Callable[[int, float], None] | None = None,
) -> FitReport:
    """Train in place with AdamW; the last epoch is the result.

    Args:
        model: On the device; what requires a gradient is trained.
        loader: Training views; its sampler's epoch is set here.
        optim: Optimiser settings.
        clips: What the loader reads, to name a clip in a report.
        device: Where the model is.
        seed: Seeds dropout.
        progress: Called after each epoch with its number and mean loss.

    Raises:
        TrainError: The loss is not finite; names the step and its clips.
    """
    groups = parameter_groups(model, optim)
    if not groups or not optim.epochs:
        return FitReport(solver="none")
    optimiser = torch.optim.AdamW(groups, betas=optim.betas)
    scheduler = make_scheduler(optimiser, optim, len(loader))
    scaler = torch.amp.GradScaler(device, enabled=optim.precision == "fp16")
    losses, left_out, steps = [], set[str](), 0
    torch.manual_seed(seed)
    model.train()
    for epoch in range(optim.epochs):
        loader.batch_sampler.epoch = epoch  # type: ignore[union-attr]
        total, count = 0.0, 0
        for batch in loader:
            left_out |= {clips[row].id for row, what in batch.status.items() if what != "ok"}
            if not len(batch.rows):
                continue
            loss = training_loss(model, batch, optim, device)
            if not math.isfinite(loss.item()):
                names = ", ".join(clips[row].id for row in batch.rows.tolist())
                raise TrainError(f"loss is {loss.item()} at step {steps} (clips: {names})")
            scaler.scale(loss).backward()
            _step(model, optimiser, scaler, optim)
            scheduler.step()
            steps += 1
            total, count = total + loss.item() * len(batch.rows), count + len(batch.rows)
        losses.append(total / max(count, 1))
        if progress is not None:
            progress(epoch, losses[-1])
    model.eval()
    return FitReport(
        solver="adamw",
        epochs=optim.epochs,
        steps=steps,
        losses=tuple(losses),
        num_clips=len(clips),
        left_out=tuple(sorted(left_out)),
    )


def training_loss(model: VideoViT, batch: Batch, optim: Optim, device: str) -> Tensor:
    """Cross-entropy of the batch's one view per clip, under the protocol's autocast."""
    video = normalise(batch.video[:, 0].to(device), model.config.mean, model.config.std)
    dtype = PRECISIONS.get(optim.precision)
    with torch.autocast(device, dtype) if dtype else nullcontext():
        logits = model(video)
    labels = batch.labels.to(device)
    return F.cross_entropy(logits.float(), labels, label_smoothing=optim.label_smoothing)


def _step(
    model: VideoViT,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    optim: Optim,
) -> None:
    if optim.grad_clip is not None:
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(model.parameters(), optim.grad_clip)
    scaler.step(optimiser)
    scaler.update()
    optimiser.zero_grad(set_to_none=True)


@torch.inference_mode()
def extract_features(
    model: VideoViT, loader: DataLoader[Sample], device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Features of every readable clip, averaged over its views, read once.

    Returns:
        Features (M, D) float32, labels (M,), and the rows of the clips that were left out.
    """
    features, labels, left_out = [], [], set[int]()
    for batch in loader:
        left_out |= {row for row, what in batch.status.items() if what != "ok"}
        keep = torch.tensor([batch.status[row] == "ok" for row in batch.rows.tolist()])
        if not keep.any():
            continue
        video = batch.video[keep].to(device)
        clips = normalise(video.flatten(0, 1), model.config.mean, model.config.std)
        feature = model.features(clips).unflatten(0, video.shape[:2]).mean(1)
        features.append(feature.float().cpu().numpy())
        labels.append(batch.labels[keep].numpy())
    if not features:
        raise TrainError("no training clip could be read")
    return np.concatenate(features), np.concatenate(labels), left_out


def fit_head(
    model: VideoViT, loader: DataLoader[Sample], clips: Sequence[Clip], *, device: str = "cpu"
) -> FitReport:
    """Fit the classifier in place by logistic regression on features that are extracted once.

    The strength of the regularisation is chosen by cross-validation inside the training set;
    with one clip in some class there is nothing to choose by, and C = 1. Standardisation of the
    features is folded into the weights.

    Raises:
        TrainError: No clip could be read, or a class has none.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    head = model.head
    if not isinstance(head, nn.Linear):
        raise TrainError(f"a {type(head).__name__} head cannot be fitted by logistic regression")
    features, labels, left_out = extract_features(model, loader, device)
    counts = np.bincount(labels, minlength=head.out_features)
    if counts.min() == 0:
        raise TrainError(f"class {int(counts.argmin())} has no readable training clip")
    mean, std = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / std
    folds = min(5, int(counts.min()))
    solver = LogisticRegression(max_iter=2000)
    if folds > 1:
        parts = StratifiedKFold(folds, shuffle=True, random_state=0)
        search = GridSearchCV(solver, {"C": np.logspace(-4, 2, 7).tolist()}, cv=parts)
        solver = search.fit(scaled, labels).best_estimator_
    else:
        solver.fit(scaled, labels)
    _set_head(head, solver.coef_ / std, solver.intercept_ - solver.coef_ @ (mean / std))
    return FitReport(
        solver="logistic_regression",
        num_clips=len(clips),
        left_out=tuple(sorted(clips[row].id for row in left_out)),
        details={"C": float(solver.C), "folds": folds},
    )


def _set_head(head: nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        if len(weight) == 1:  # two classes: scikit-learn keeps the second one's log-odds only
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
