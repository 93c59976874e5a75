"""Which tensors learn how fast: parameter groups and the schedule of the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Optim


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
