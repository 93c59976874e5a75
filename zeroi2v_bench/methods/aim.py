"""AIM: adapting image models for efficient video action recognition (Yang et al., ICLR 2023).

Every block attends over time before it attends over space, with the same frozen attention, and
has GELU adapters after both and beside the MLP. Also trained, as in the released code: the
temporal embedding, the last LayerNorm and the classifier. It cannot be merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroi2v_bench.methods.base import add_head, add_temporal_embedding, frozen_copy
from zeroi2v_bench.strict import Frozen, Share

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task


class Params(Frozen):
    """Parameters of AIM; the defaults are those of its Kinetics-400 models.

    Attributes:
        temporal_adapters: 1 after the temporal attention; 2 adds one before it (SSv2, ViT-B).
        adapter_ratio: Hidden width of an adapter as a share of the model's width.
        adapter_scale: Factor on the adapter beside the MLP alone (0.5 on K400, 1 on SSv2).
        drop_path: Rate in the last block, falling linearly to 0 in the first; of the temporal
            branch and of the adapter beside the MLP.
        head_dropout: Dropout before the classifier.
    """

    temporal_adapters: Literal[1, 2] = 1
    adapter_ratio: Annotated[float, Field(gt=0)] = 0.25
    adapter_scale: float = 0.5
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.2
    head_dropout: Share = 0.5


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """A new model of AIM's blocks; only what is new and the last norm are trained."""
    from zeroi2v_bench.nn.aim_block import AIMBlock

    model = frozen_copy(backbone)
    last = max(1, model.config.depth - 1)
    for index, block in enumerate(list(model.iter_blocks())):
        model.blocks[index] = AIMBlock(
            block,
            int(model.config.width * params.adapter_ratio),
            scale=params.adapter_scale,
            drop_path=params.drop_path * index / last,
            adapt_temporal_input=params.temporal_adapters == 2,
        )
    add_temporal_embedding(model, task.num_frames)
    model.norm.requires_grad_(True)
    add_head(model, task.num_classes, params.head_dropout)
    # Unlike ZeroI2V's, the released configurations decay the temporal embedding.
    model.no_decay = frozenset({"norm.weight", "norm.bias"})
    return model
