"""A vision transformer applied to every frame of a clip, with one classifier on the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from zeroi2v_bench.nn.attention_pool import AttentionPool
from zeroi2v_bench.nn.block import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zeroi2v_bench.methods.base import Recipe

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViTConfig:
    """Shape of a plain vision transformer; with the weights it is the whole image model.

    Attributes:
        mlp_width: Hidden width of the MLP (4 x width in CLIP).
        activation: "quick_gelu", "gelu" or "gelu_tanh".
        norm_pre: LayerNorm between the embeddings and the first block (CLIP).
        patch_bias: The patch embedding has a bias (not in CLIP).
        class_token: A class token stands before the patches.
        register_tokens: Further tokens between the class token and the patches.
        pool: The feature of a frame: "token", its class token; "mean" of its patches; "norm_mean",
            the same with the last LayerNorm before it; "attention" over its patches (SigLIP).
        mean, std: What pixel values in 0-1 are normalised with.
    """

    image_size: int
    patch_size: int
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    activation: Literal["quick_gelu", "gelu", "gelu_tanh"] = "quick_gelu"
    norm_eps: float = 1e-5
    norm_pre: bool = True
    patch_bias: bool = False
    qkv_bias: bool = True
    class_token: bool = True
    register_tokens: int = 0
    layer_scale: bool = False
    pool: Literal["token", "mean", "norm_mean", "attention"] = "token"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    @property
    def num_patches(self) -> int:
        """Patches per frame."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def num_prefix(self) -> int:
        """Tokens before the patches."""
        return int(self.class_token) + self.register_tokens

    @property
    def num_tokens(self) -> int:
        """Tokens per frame, N."""
        return self.num_patches + self.num_prefix


class VideoViT(nn.Module):
    """An image transformer over the frames of a clip; its logits come from the mean over frames.

    As built it is the plain image model: no temporal embedding, no head. Methods add both and
    whatever else they need. Features are ``norm`` of the pooled token of each frame, then the mean
    over frames (``mean_before_norm`` swaps the two, as ST-Adapter does, wherever ``norm`` follows
    the pooling).

    ``no_decay`` names the trained tensors without weight decay; ``recipe`` says how a method made
    the model (None: the plain image model).
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.patch_embed = nn.Conv2d(3, c.width, c.patch_size, c.patch_size, bias=c.patch_bias)
        self.class_token = nn.Parameter(torch.zeros(c.width)) if c.class_token else None
        self.register_tokens = (
            nn.Parameter(torch.zeros(c.register_tokens, c.width)) if c.register_tokens else None
        )
        self.position_embedding = nn.Parameter(torch.zeros(c.num_tokens, c.width))
        self.temporal_embedding: nn.Parameter | None = None
        self.norm_pre: nn.Module = (
            nn.LayerNorm(c.width, eps=c.norm_eps) if c.norm_pre else nn.Identity()
        )
        self.blocks = nn.ModuleList(
            Block(
                c.width,
                c.num_heads,
                c.mlp_width,
                activation=c.activation,
                norm_eps=c.norm_eps,
                qkv_bias=c.qkv_bias,
                layer_scale=c.layer_scale,
            )
            for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width, eps=c.norm_eps)
        self.attention_pool = (
            AttentionPool(
                c.width, c.num_heads, c.mlp_width, activation=c.activation, norm_eps=c.norm_eps
            )
            if c.pool == "attention"
            else None
        )
        self.head_dropout = nn.Dropout(0.0)
        self.head: nn.Module = nn.Identity()
        self.mean_before_norm = False
        self.no_decay: frozenset[str] = frozenset()
        self.recipe: Recipe | None = None

    def iter_blocks(self) -> Iterator[Block]:
        """The blocks, first to last."""
        return (block for block in self.blocks if isinstance(block, Block))

    def embed(self, video: Tensor) -> Tensor:
        """(B, C, T, H, W) -> tokens (B*T, N, D) as the first block receives them."""
        num_frames = video.shape[2]
        frames = video.transpose(1, 2).flatten(0, 1)  # (B*T, C, H, W)
        tokens = self.patch_embed(frames).flatten(2).transpose(1, 2)  # (B*T, patches, D)
        prefix = [
            token.to(tokens.dtype).view(1, -1, token.shape[-1]).expand(tokens.shape[0], -1, -1)
            for token in (self.class_token, self.register_tokens)
            if token is not None
        ]
        if prefix:
            tokens = torch.cat([*prefix, tokens], dim=1)
        tokens = tokens + self.position_embedding.to(tokens.dtype)
        if self.temporal_embedding is not None:
            if num_frames != len(self.temporal_embedding):
                expected = len(self.temporal_embedding)
                raise ValueError(f"the model was made for {expected} frames, got {num_frames}")
            time = self.temporal_embedding.to(tokens.dtype)[:, None]  # (T, 1, D)
            tokens = (tokens.unflatten(0, (-1, num_frames)) + time).flatten(0, 1)
        return self.norm_pre(tokens)  # type: ignore[no-any-return]

    def pool(self, tokens: Tensor, num_frames: int) -> Tensor:
        """(B*T, N, D) -> one feature per clip (B, D)."""
        clip = (-1, num_frames)
        patches = tokens[:, self.config.num_prefix :]
        if self.attention_pool is not None:
            return self.attention_pool(self.norm(patches)).unflatten(0, clip).mean(1)  # type: ignore[no-any-return]
        if self.config.pool == "norm_mean":
            return self.norm(patches).mean(1).unflatten(0, clip).mean(1)  # type: ignore[no-any-return]
        token = tokens[:, 0] if self.config.pool == "token" else patches.mean(1)
        frames = token.unflatten(0, clip)  # (B, T, D)
        if self.mean_before_norm:
            return self.norm(frames.mean(1))  # type: ignore[no-any-return]
        return self.norm(frames).mean(1)  # type: ignore[no-any-return]

    def features(self, video: Tensor) -> Tensor:
        """(B, C, T, H, W), normalised -> (B, D)."""
        num_frames = video.shape[2]
        tokens = self.embed(video)
        for block in self.blocks:
            tokens = block(tokens, num_frames)
        return self.pool(tokens, num_frames)

    def forward(self, video: Tensor) -> Tensor:
        """(B, C, T, H, W), normalised -> logits (B, K)."""
        return self.head(self.head_dropout(self.features(video)))  # type: ignore[no-any-return]

    def macs(self, num_frames: int) -> int:
        """Multiply-adds of one clip of T frames, by closed formula."""
        c = self.config
        frame = c.num_patches * 3 * c.patch_size**2 * c.width
        if self.attention_pool is not None:
            frame += self.attention_pool.macs(c.num_patches)
        head = sum(
            m.in_features * m.out_features for m in self.head.modules() if isinstance(m, nn.Linear)
        )
        blocks = sum(block.macs(c.num_tokens, num_frames) for block in self.iter_blocks())
        return num_frames * frame + blocks + head
