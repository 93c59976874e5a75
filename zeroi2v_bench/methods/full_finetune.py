"""Full fine-tuning of the space-only ViT: every weight is trained, frames meet in the mean only.

The "fully fine-tuned ViT" row of the papers. ``layer_decay`` of the protocol's optimiser lowers the
learning rate block by block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroi2v_bench.methods.base import add_head, add_temporal_embedding, frozen_copy
from zeroi2v_bench.strict import Frozen, Share

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task


class Params(Frozen):
    """Parameters of full fine-tuning.

    Attributes:
        temporal_embedding: Add a trained vector per frame to every token; without it the model
            cannot tell a clip from its reversal.
        head_dropout: Dropout before the classifier.
    """

    temporal_embedding: bool = False
    head_dropout: Share = 0.5


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """A copy of the backbone with a new classifier, all of it trained."""
    model = frozen_copy(backbone)
    if params.temporal_embedding:
        add_temporal_embedding(model, task.num_frames)
    add_head(model, task.num_classes, params.head_dropout)
    model.requires_grad_(True)
    embeddings = {"class_token", "register_tokens", "position_embedding", "temporal_embedding"}
    model.no_decay = frozenset(
        name for name, p in model.named_parameters() if p.ndim == 1 or name in embeddings
    )
    return model
