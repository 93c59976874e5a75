"""LoRA: low-rank updates of the frozen Linear layers, merged into them (Hu et al., ICLR 2022).

An image method: nothing in it relates frames but the temporal embedding. Also trained, so that it
differs from ZeroI2V without temporal heads in the form of the update alone: the temporal
embedding, the last LayerNorm and the classifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroi2v_bench.methods.base import add_head, add_temporal_embedding, frozen_copy
from zeroi2v_bench.strict import Frozen, Positive, Share

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task

Site = Literal["qkv", "proj", "fc1", "fc2"]


class Params(Frozen):
    """Parameters of LoRA.

    Attributes:
        layers: Linear layers of every block that get an update; "qkv" has one for all three.
        rank: Rank of the update.
        alpha: The update is multiplied by alpha / rank.
        dropout: Dropout on the update's input, in training only.
        temporal_embedding: Add a trained vector per frame to every token.
        head_dropout: Dropout before the classifier.
    """

    layers: Annotated[tuple[Site, ...], Field(min_length=1)] = ("qkv", "proj", "fc1", "fc2")
    rank: Positive = 16
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Share = 0.0
    temporal_embedding: bool = True
    head_dropout: Share = 0.5


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """A new model with low-rank updates in every block; only what is new is trained."""
    from zeroi2v_bench.nn.lora_linear import LoRALinear

    model = frozen_copy(backbone)
    for block in model.iter_blocks():
        for site in params.layers:
            owner = block.attn if site in {"qkv", "proj"} else block
            updated = LoRALinear(
                getattr(owner, site),
                rank=params.rank,
                alpha=params.alpha,
                dropout=params.dropout,
            )
            setattr(owner, site, updated)
    if params.temporal_embedding:
        add_temporal_embedding(model, task.num_frames)
    model.norm.requires_grad_(True)
    add_head(model, task.num_classes, params.head_dropout)
    model.no_decay = frozenset({"temporal_embedding", "norm.weight", "norm.bias"})
    return model
