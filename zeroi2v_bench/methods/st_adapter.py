"""ST-Adapter: parameter-efficient image-to-video transfer learning (Pan et al., NeurIPS 2022).

Blocks get depthwise 3D convolutions in a narrow space, on the residual stream before the MLP,
before the attention, or both. Only these and the classifier are trained, as in the released code;
there is no temporal embedding, and frames are averaged before the last norm. It cannot be merged.

The class token passes the adapters by. So the last block's adapter before the MLP never reaches the
classifier and gets no gradient; it is built and counted all the same, as in the released model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from zeroi2v_bench.errors import ProtocolError
from zeroi2v_bench.methods.base import add_head, frozen_copy
from zeroi2v_bench.strict import Frozen, Positive, Share

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.st_adapter_block import STAdapter
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task

Place = Literal["attn", "mlp"]


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("kernel sizes are odd, so that the output has as many frames and patches")
    return size


Odd = Annotated[int, Field(gt=0), AfterValidator(_odd)]


class Params(Frozen):
    """Parameters of ST-Adapter; the defaults are the release's 12 x 384 for Kinetics-400.

    Attributes:
        places: Adapters before the MLP, before the attention, or both (24 x 384 for SSv2).
        adapter_width: Channels of the convolution.
        adapter_layers: Blocks with adapters, counted from the last; None is all.
        kernel: Size of the convolution over time, height and width.
        head_dropout: Dropout before the classifier.
    """

    places: Annotated[tuple[Place, ...], Field(min_length=1)] = ("mlp",)
    adapter_width: Positive = 384
    adapter_layers: Positive | None = None
    kernel: tuple[Odd, Odd, Odd] = (3, 1, 1)
    head_dropout: Share = 0.5


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """A new model with adapters in its last blocks; only they and the classifier are trained.

    Raises:
        ProtocolError: More blocks with adapters than the backbone has.
    """
    from zeroi2v_bench.nn.st_adapter_block import STAdapter, STAdapterBlock

    model = frozen_copy(backbone)
    depth = model.config.depth
    adapted = depth if params.adapter_layers is None else params.adapter_layers
    if adapted > depth:
        raise ProtocolError(
            f"st_adapter: adapter_layers={adapted}, but {backbone.info.spec} has {depth} blocks"
        )

    def new_adapter(place: Place) -> STAdapter | None:
        if place not in params.places:
            return None
        config = model.config
        return STAdapter(
            config.width, params.adapter_width, params.kernel, num_prefix=config.num_prefix
        )

    blocks = list(model.iter_blocks())
    for index in range(depth - adapted, depth):
        model.blocks[index] = STAdapterBlock(
            blocks[index], before_attn=new_adapter("attn"), before_mlp=new_adapter("mlp")
        )
    add_head(model, task.num_classes, params.head_dropout, std=0.02)
    model.mean_before_norm = True
    model.no_decay = frozenset(
        name for name, p in model.named_parameters() if p.requires_grad and name.endswith(".bias")
    )
    return model
