"""The loss of one micro-batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from zeroi2v_bench.video.transforms import normalise

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zeroi2v_bench.data.loader import Batch
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Optim

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def precision_on(device: str, wanted: str) -> str:
    """What a training runs in: "fp32" in place of "fp16" where there is no GPU to be fast on it."""
    return "fp32" if wanted == "fp16" and not device.startswith("cuda") else wanted


def summed_loss(
    model: VideoViT, network: nn.Module, batch: Batch, optim: Optim, device: str
) -> Tensor:
    """Sum of the clips' cross-entropies, under the protocol's autocast.

    Args:
        model: What is trained.
        network: How it is called: itself, compiled, or with synchronised gradients.
        batch: One view per clip. A process without clips joins in with a blank one that counts
            nothing, because the others wait for its gradients.
        optim: Precision and label smoothing.
        device: Where the model is.
    """
    video, labels = batch.video, batch.labels
    if blank := not len(batch.rows):
        frames = model.recipe.num_frames if model.recipe else 1
        video = torch.zeros(1, 1, 3, frames, *[model.config.image_size] * 2, dtype=torch.uint8)
        labels = torch.zeros(1, dtype=torch.int64)
    clips = video[:, 0].to(device, non_blocking=True)
    clips = normalise(clips, model.config.mean, model.config.std)
    dtype = PRECISIONS.get(precision_on(device, optim.precision))
    with torch.autocast(torch.device(device).type, dtype, dtype is not None):
        logits = network(clips)
    losses = F.cross_entropy(
        logits.float(),
        labels.to(device, non_blocking=True),
        label_smoothing=optim.label_smoothing,
        reduction="sum",
    )
    return losses * 0 if blank else losses
