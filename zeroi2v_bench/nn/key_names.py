"""Names of our tensors in other code's state dicts, and loading by them, strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Renames = tuple[tuple[str, str], ...]
"""Regular expressions and replacements from our names to other ones, applied in this order."""

CLIP: Renames = (
    (r"^class_token$", "class_embedding"),
    (r"^position_embedding$", "positional_embedding"),
    (r"^patch_embed\.", "conv1."),
    (r"^norm_pre\.", "ln_pre."),
    (r"^norm\.", "ln_post."),
    (r"^blocks\.", "transformer.resblocks."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.(weight|bias)$", r".attn.in_proj_\1"),
    (r"\.attn\.proj\.", ".attn.out_proj."),
    (r"\.fc1\.", ".mlp.c_fc."),
    (r"\.fc2\.", ".mlp.c_proj."),
    (r"\.scale([12])\.", r".ls_\1."),
)
"""OpenAI's CLIP, open_clip and everything that was built on them."""

TIMM: Renames = (
    (r"^class_token$", "cls_token"),
    (r"^register_tokens$", "reg_token"),
    (r"^position_embedding$", "pos_embed"),
    (r"^patch_embed\.", "patch_embed.proj."),
    (r"^attention_pool\.", "attn_pool."),
    (r"^(attn_pool|blocks\.\d+)\.(fc[12])\.", r"\1.mlp.\2."),
    (r"\.scale([12])\.", r".ls\1."),
)
"""timm's VisionTransformer."""


def rename(name: str, renames: Renames) -> str:
    """One of our names in the other code's words.

    >>> rename("blocks.3.attn.qkv.weight", CLIP)
    'transformer.resblocks.3.attn.in_proj_weight'
    """
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def load_renamed(
    model: nn.Module, tensors: Mapping[str, Tensor], renames: Renames, error: type[Exception]
) -> None:
    """Fill a model from tensors under other names; each must be used and each must be there.

    A leading dimension of 1 that our tensor has not, as in ``(1, T, D)``, is dropped. Values are
    cast to the model's own dtype, so half precision loads into float32.

    Raises:
        error: Missing, left-over or wrongly shaped tensors; the message names them.
    """
    own = model.state_dict()
    names = {name: rename(name, renames) for name in own}
    missing = [other for other in names.values() if other not in tensors]
    left = sorted(set(tensors) - set(names.values()))
    if missing or left:
        found = [f"missing: {_list(missing)}"] if missing else []
        found += [f"left over: {_list(left)}"] if left else []
        raise error("; ".join(found))
    values = {}
    for name, target in own.items():
        value = tensors[names[name]]
        if tuple(value.shape) not in {tuple(target.shape), (1, *target.shape)}:
            raise error(
                f"{names[name]} has shape {tuple(value.shape)}, expected {tuple(target.shape)}"
            )
        if not value.is_floating_point():
            raise error(f"{names[name]} holds {value.dtype}, not real numbers")
        values[name] = value.reshape(target.shape).to(target.dtype)
    model.load_state_dict(values, assign=True)


def _list(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
