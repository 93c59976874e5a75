"""Structural reparameterisation: adapted layers become plain ones, and the result is checked."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zeroi2v_bench.errors import MergeError
from zeroi2v_bench.nn.adapted_linear import MergeableLinear
from zeroi2v_bench.records import MergeReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Predictions

TOLERANCE_FLOAT32 = 2e-4
"""Largest legal logit difference with both models in float32."""
TOLERANCE_FLOAT64 = 1e-9
"""Largest legal logit difference with the unmerged model cast to double and merged there."""


def merge(model: VideoViT) -> VideoViT:
    """A new model in which every adapted layer is one plain Linear; the input stays as it is.

    Raises:
        MergeError: The model is in training mode, or has a part that is not linear.
    """
    if model.training:
        raise MergeError("merging needs eval mode: call model.eval() first")
    if reason := refusal(model):
        raise MergeError(reason)
    merged = copy.deepcopy(model)
    for module in list(merged.modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, MergeableLinear):
                setattr(module, child_name, child.merge())
    return merged.requires_grad_(False)


def refusal(model: nn.Module) -> str | None:
    """Why a model cannot be merged, naming its first part that is not linear; None if it can.

    A module says so itself in its attribute ``UNMERGEABLE``.
    """
    for name, module in model.named_modules():
        if reason := getattr(module, "UNMERGEABLE", None):
            return f"{name} ({type(module).__name__}) cannot be merged: {reason}"
    return None


def count_adapted(model: nn.Module) -> int:
    """Number of adapted layers in a model."""
    return sum(isinstance(module, MergeableLinear) for module in model.modules())


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 matrices in float32: TensorFloat-32 keeps three digits.

    Some containers switch it on by an environment variable, and merged logits would then differ.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@full_float32()
@torch.inference_mode()
def verify_merge(before: VideoViT, after: VideoViT, batches: Iterable[Tensor]) -> MergeReport:
    """Compare a model with its merged copy, in float32 as they are and in float64.

    In float64 the unmerged model is cast up, merged there and compared in double; that shows that
    the algebra is exact and that what differs in float32 is rounding alone.

    Args:
        before: The unmerged model, in eval mode.
        after: ``merge(before)``.
        batches: Normalised clips (B, C, T, H, W).

    Raises:
        MergeError: A difference past tolerance, an adapted layer left over, a parameter count that
            is not the plain model's, or no clip to compare on.
    """
    _check_structure(before, after)
    before64 = copy.deepcopy(before).double()
    after64 = merge(before64)
    worst32, worst64, clips = 0.0, 0.0, 0
    for video in batches:
        exact = _difference(before64, after64, video.double(), TOLERANCE_FLOAT64)
        worst64 = max(worst64, exact)
        worst32 = max(worst32, _difference(before, after, video, TOLERANCE_FLOAT32))
        clips += len(video)
    if not clips:
        raise MergeError("no clip to verify the merge on")
    return MergeReport(
        num_clips=clips,
        num_verified=clips,
        max_abs_float32=worst32,
        max_abs_float64=worst64,
        num_merged=count_adapted(before),
    )


def _difference(before: nn.Module, after: nn.Module, video: Tensor, limit: float) -> float:
    """Largest logit difference on a batch, which must be a number within the limit."""
    worst: float = (before(video) - after(video)).abs().max().item()
    if not worst <= limit:  # not (worst > limit): NaN must fail
        kind = str(video.dtype).removeprefix("torch.")
        raise MergeError(
            f"merged and unmerged logits differ by {worst:.3g} in {kind} (limit {limit:g})"
        )
    return worst


def _check_structure(before: VideoViT, after: VideoViT) -> None:
    left = count_adapted(after)
    if left:
        raise MergeError(f"{left} adapted layers are left in the merged model")
    inside = [m for m in before.modules() if isinstance(m, MergeableLinear)]
    adapters = sum(
        sum(p.numel() for p in m.parameters()) - sum(p.numel() for p in m.base.parameters())
        for m in inside
    )
    biases = sum(m.base.out_features for m in inside if m.base.bias is None)
    expected = sum(p.numel() for p in before.parameters()) - adapters + biases
    actual = sum(p.numel() for p in after.parameters())
    if actual != expected:
        raise MergeError(f"the merged model has {actual} parameters, the plain one {expected}")


def compare_predictions(before: Predictions, after: Predictions) -> tuple[str, ...]:
    """Check that two models give every clip the same top-1.

    Returns:
        Ids of the clips whose two best classes lie within the tolerance, so that either is right.

    Raises:
        MergeError: Another clip changed its top-1.
    """
    ties, changed = [], []
    for row, clip_id in enumerate(after.clip_ids):
        if after.status[row] != "ok":
            continue
        second, first = sorted(after.scores[row].tolist())[-2:]
        # log(first / second) is the difference of the two best logits of a single view.
        if first <= second * (1 + TOLERANCE_FLOAT32):
            ties.append(clip_id)
        elif before.scores[row].argmax() != after.scores[row].argmax():
            changed.append(clip_id)
    if changed:
        raise MergeError(f"merging changed the top-1 of {len(changed)} clips, first {changed[0]}")
    return tuple(ties)
