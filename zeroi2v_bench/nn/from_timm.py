"""timm's VisionTransformer as a `VideoViT`: same weights, same feature.

open_clip builds some of its image towers from timm, so this belongs to neither library's module;
it reads the model it is given and imports neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from zeroi2v_bench.errors import BackboneError
from zeroi2v_bench.nn.key_names import TIMM, load_renamed
from zeroi2v_bench.nn.structure import activation_name, first_misfit
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = r"blocks\.\d+"
LEGAL = {
    "": "VisionTransformer",
    "patch_embed": "PatchEmbed",
    r"patch_embed\.proj": "Conv2d",
    r"patch_embed\.norm": "Identity",
    "pos_drop|head_drop": "Dropout",
    "patch_drop": "Identity PatchDropout",
    "norm_pre|norm|fc_norm": "LayerNorm Identity",
    "blocks": "Sequential",
    BLOCK: "Block",
    rf"{BLOCK}\.norm[12]": "LayerNorm",
    rf"{BLOCK}\.ls[12]": "LayerScale Identity",
    rf"{BLOCK}\.drop_path[12]": "DropPath Identity",
    rf"{BLOCK}\.attn": "Attention",
    rf"{BLOCK}\.attn\.(qkv|proj)": "Linear",
    rf"{BLOCK}\.attn\.(q_norm|k_norm|norm)": "Identity",
    rf"{BLOCK}\.attn\.(attn_drop|proj_drop)": "Dropout",
    "attn_pool": "AttentionPoolLatent",
    r"attn_pool\.(q|kv|proj)": "Linear",
    r"attn_pool\.(q_norm|k_norm)": "Identity",
    r"attn_pool\.norm": "LayerNorm",
    r"attn_pool\.proj_drop": "Dropout",
    rf"({BLOCK}|attn_pool)\.mlp": "Mlp",
    rf"({BLOCK}|attn_pool)\.mlp\.fc[12]": "Linear",
    rf"({BLOCK}|attn_pool)\.mlp\.act": "GELU GELUTanh QuickGELU",
    rf"({BLOCK}|attn_pool)\.mlp\.drop[12]": "Dropout",
    rf"({BLOCK}|attn_pool)\.mlp\.norm": "Identity",
    "head": "Linear Identity",
}


def from_timm(
    trunk: Any, *, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> VideoViT:
    """Convert a timm ``VisionTransformer``; its tensors are shared, not copied.

    Raises:
        BackboneError: It does not fit the block; the message says which part.
    """
    refuse_misfit(trunk)
    with torch.device("meta"):
        model = VideoViT(_read_config(trunk, mean, std))
    tensors = {k: v for k, v in trunk.state_dict().items() if not k.startswith("head.")}
    if "cls_token" in tensors:
        tensors["cls_token"] = tensors["cls_token"][0]
    tensors["pos_embed"] = _with_prefix(tensors["pos_embed"][0], model.config)
    renames = (*TIMM, (r"^norm\.", "fc_norm.")) if model.config.pool == "mean" else TIMM
    load_renamed(model, tensors, renames, BackboneError)
    return model.eval()


def refuse_misfit(trunk: Any) -> None:
    """Refuse what our block cannot compute; needs no weights, so a model on "meta" will do.

    Raises:
        BackboneError: The message says which part does not fit.
    """
    reason = first_misfit(trunk, LEGAL) or _other_misfit(trunk)
    if reason:
        raise BackboneError(f"does not fit the block: {reason}")


def _with_prefix(positions: Tensor, config: ViTConfig) -> Tensor:
    """Give tokens before the patches a position of zero where the library gives them none."""
    absent = config.num_tokens - len(positions)
    return torch.cat([positions.new_zeros(absent, positions.shape[1]), positions])


def _other_misfit(trunk: Any) -> str | None:
    """What no submodule shows."""
    height, width = trunk.patch_embed.img_size
    patch_height, patch_width = trunk.patch_embed.patch_size
    block, pool = trunk.blocks[0], trunk.attn_pool
    epsilons = {m.eps for m in trunk.modules() if type(m).__name__ == "LayerNorm"}
    checks = {
        "its input is not square": height != width or patch_height != patch_width,
        "it has no position embedding": trunk.pos_embed is None,
        "it pools over class and register tokens too": trunk.pool_include_prefix,
        f"it pools by {trunk.global_pool!r}": trunk.global_pool not in {"token", "avg", "map"},
        "it has no LayerNorm after the last block": not (_is_norm(trunk, "norm"))
        and not (trunk.global_pool == "avg" and _is_norm(trunk, "fc_norm")),
        "it has two LayerNorms after the last block": _is_norm(trunk, "norm")
        and _is_norm(trunk, "fc_norm"),
        "its LayerNorms have different epsilons": len(epsilons) > 1,
        "its attention scale is not 1/sqrt(d)": block.attn.scale != block.attn.head_dim**-0.5,
        "it pads images": getattr(trunk.patch_embed, "dynamic_img_pad", False),
        "its attention pool has several queries": pool is not None and pool.latent_len != 1,
        "its attention pool has positions": pool is not None and pool.pos_embed is not None,
    }
    return next((reason for reason, found in checks.items() if found), None)


def _is_norm(trunk: Any, name: str) -> bool:
    return type(getattr(trunk, name)).__name__ == "LayerNorm"


def _read_config(
    trunk: Any, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> ViTConfig:
    block = trunk.blocks[0]
    pools = {"token": "token", "map": "attention"}
    mean_pool = "mean" if _is_norm(trunk, "fc_norm") else "norm_mean"
    return ViTConfig(
        image_size=trunk.patch_embed.img_size[0],
        patch_size=trunk.patch_embed.patch_size[0],
        width=trunk.embed_dim,
        depth=len(trunk.blocks),
        num_heads=block.attn.num_heads,
        mlp_width=block.mlp.fc1.out_features,
        activation=activation_name(block.mlp.act),  # type: ignore[arg-type]
        norm_eps=block.norm1.eps,
        norm_pre=_is_norm(trunk, "norm_pre"),
        patch_bias=trunk.patch_embed.proj.bias is not None,
        qkv_bias=block.attn.qkv.bias is not None,
        class_token=trunk.cls_token is not None,
        register_tokens=trunk.num_reg_tokens,
        layer_scale=type(block.ls1).__name__ == "LayerScale",
        pool=pools.get(trunk.global_pool, mean_pool),  # type: ignore[arg-type]
        mean=mean,
        std=std,
    )
