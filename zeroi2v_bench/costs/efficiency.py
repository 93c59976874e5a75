"""Counted costs: parameters and multiply-adds. Nothing here runs a model; see `timing` for that."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.records import Efficiency

if TYPE_CHECKING:
    from zeroi2v_bench.nn.video_vit import VideoViT

TOLERANCE = 0.01
"""Largest legal relative difference between counted and closed-form multiply-adds."""


def count_params(module: nn.Module, *, tunable: bool = False) -> int:
    """Number of parameters, or of those that require a gradient."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not tunable)


def without_memory(model: VideoViT) -> VideoViT:
    """The same network on the meta device, in eval mode; the weights are never copied."""
    memo: dict[int, object] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=p.requires_grad)
        for p in model.parameters()
    }
    memo |= {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    return copy.deepcopy(model, memo).eval()


def count_macs(model: VideoViT, num_frames: int) -> int:
    """Multiply-adds of one view of T frames through the whole network.

    Matrix products and convolutions are counted as they would run, on the meta device, so that
    neither the weights nor the activations need memory. The model's closed formula must agree.

    Raises:
        BenchError: It does not, within 1 %: a block whose ``macs`` misses what its ``forward``
            does, or a kernel that the counter cannot see.
    """
    network, side = without_memory(model), model.config.image_size
    dtype = next(network.parameters()).dtype
    video = torch.empty(1, 3, num_frames, side, side, device="meta", dtype=dtype)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(video)
    counted: int = counter.get_total_flops() // 2
    expected = model.macs(num_frames)
    if abs(counted - expected) > TOLERANCE * expected:
        raise BenchError(
            f"counted {counted / 1e9:.3f} GMACs, but the closed formula gives "
            f"{expected / 1e9:.3f}; a block whose forward is its own needs its own macs"
        )
    return counted


def count_costs(
    model: VideoViT,
    plain: VideoViT,
    *,
    num_frames: int,
    views: int,
    trained: VideoViT | None = None,
) -> Efficiency:
    """Parameters and multiply-adds of a model.

    Args:
        model: Unmerged or merged; on any device, meta included.
        plain: The backbone's model without a head. Parameters are new at inference if neither it
            nor the classifier has them; a merged ZeroI2V keeps its T x D temporal embedding.
        num_frames: Frames per view, T.
        views: Views of a video, over which the multiply-adds are summed.
        trained: The model as it was trained, where ``model`` is its merged copy.

    Raises:
        BenchError: The counted multiply-adds contradict the closed formula.
    """
    macs = count_macs(model, num_frames)
    params = count_params(model)
    return Efficiency(
        params=params,
        tunable_params=count_params(trained or model, tunable=True),
        new_params=params - count_params(plain) - count_params(model.head),
        gmacs_per_view=macs / 1e9,
        gmacs_per_video=views * macs / 1e9,
    )
