"""ZeroI2V: zero-cost adaptation of image transformers to video (Li et al., ECCV 2024).

Spatial-temporal dual-headed attention (section 3.2) gives a few heads of every block the keys and
values of a neighbouring frame. Linear adapters (section 3.3) around the four frozen Linear layers
of every block are trained, then merged into them. Also trained, as in the released code: the
temporal embedding, the last LayerNorm and the classifier.

The ablations of the paper's Table 1 are parameters of this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from zeroi2v_bench.errors import ProtocolError
from zeroi2v_bench.methods.base import add_head, add_temporal_embedding, frozen_copy
from zeroi2v_bench.strict import Frozen, Share

if TYPE_CHECKING:
    from torch import nn

    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.adapted_linear import LinearAdapter
    from zeroi2v_bench.nn.block import Block
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task

Site = Literal["qkv", "proj", "fc1", "fc2"]


class Params(Frozen):
    """Parameters of ZeroI2V and of its ablations.

    Attributes:
        temporal_heads: Frame offset to number of heads, in head order; the other heads stay
            spatial. {-1: 1, 1: 1} is the paper's {1*1, -1*1, 0*10} on 12 heads.
        moved: Which of queries, keys and values a temporal head takes from the other frame.
        unit: "head" is STDHA; "channel" and "class_token" are Table 1a's token shifts.
        temporal_embedding: Add a trained vector per frame to every token.
        adapters: Linear layers that get an adapter: before qkv, after proj, before fc1, after fc2.
        adapter_ratio: Hidden width of an adapter as a share of the model's width.
        adapter_scale: Factor on an adapter's update (0.5 on K400, 1 on SSv2).
        adapter_dropout: Dropout inside an adapter, in training only.
        adapter_activation: "gelu" is an ablation; such a model cannot be merged.
        head_dropout: Dropout before the classifier.
    """

    temporal_heads: dict[int, Annotated[int, Field(ge=0)]] = {-1: 1, 1: 1}
    moved: Literal["q", "k", "v", "qk", "kv", "qkv"] = "kv"
    unit: Literal["head", "channel", "class_token"] = "head"
    temporal_embedding: bool = True
    adapters: tuple[Site, ...] = ("qkv", "proj", "fc1", "fc2")
    adapter_ratio: Annotated[float, Field(gt=0)] = 0.25
    adapter_scale: float = 0.5
    adapter_dropout: Share = 0.1
    adapter_activation: Literal["none", "gelu"] = "none"
    head_dropout: Share = 0.5

    @model_validator(mode="after")
    def _offsets_are_not_zero(self) -> Params:
        if 0 in self.temporal_heads:
            raise ValueError("temporal_heads: offset 0 is what all other heads have; leave it out")
        return self


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """A new model: STDHA offsets and adapters in every block; only what is new is trained.

    Raises:
        ProtocolError: More temporal heads than the backbone has.
    """
    from zeroi2v_bench.nn.attention import head_offsets

    model = frozen_copy(backbone)
    try:
        offsets = head_offsets(params.temporal_heads, model.config.num_heads)
    except ValueError as error:
        raise ProtocolError(f"zeroi2v: {error} of {backbone.info.spec}") from error
    for block in model.iter_blocks():
        block.attn.set_offsets(offsets, parts=params.moved, unit=params.unit)
        _add_adapters(block, model.config.width, params)
    if params.temporal_embedding:
        add_temporal_embedding(model, task.num_frames)
    model.norm.requires_grad_(True)
    add_head(model, task.num_classes, params.head_dropout)
    model.no_decay = frozenset({"temporal_embedding", "norm.weight", "norm.bias"})
    return model


def _add_adapters(block: Block, width: int, params: Params) -> None:
    for owner, name, side in (
        (block.attn, "qkv", "before"),
        (block.attn, "proj", "after"),
        (block, "fc1", "before"),
        (block, "fc2", "after"),
    ):
        if name in params.adapters:
            _adapt_linear(owner, name, **{side: _new_adapter(width, params)})


def _adapt_linear(owner: nn.Module, name: str, **adapter: LinearAdapter) -> None:
    from zeroi2v_bench.nn.adapted_linear import AdaptedLinear

    setattr(owner, name, AdaptedLinear(getattr(owner, name), **adapter))


def _new_adapter(width: int, params: Params) -> LinearAdapter:
    from torch import nn

    from zeroi2v_bench.nn.adapted_linear import LinearAdapter

    return LinearAdapter(
        width,
        int(width * params.adapter_ratio),
        scale=params.adapter_scale,
        dropout=params.adapter_dropout,
        activation=nn.GELU() if params.adapter_activation == "gelu" else None,
    )
