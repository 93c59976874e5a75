"""AIM's block: the frozen attention runs over time first, then over space, with adapters."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from zeroi2v_bench.nn.adapted_linear import macs_per_token
from zeroi2v_bench.nn.block import Block


class GELUAdapter(nn.Module):
    """up(gelu(down(x))), without a skip connection; zero at the start."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, hidden)
        self.up = nn.Linear(hidden, width)
        nn.init.trunc_normal_(self.down.weight, std=0.02)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.up(F.gelu(self.down(x)))  # type: ignore[no-any-return]


class TokenDropPath(nn.Module):
    """In training, drop a residual branch for some token positions and scale up the others.

    All frames and clips of a batch share the draw: the released code holds tokens as (N, B*T, D)
    and drops along the first axis.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B*T, N, D) -> (B*T, N, D)."""
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        return branch * branch.new_empty(branch.shape[1], 1).bernoulli_(keep).div_(keep)


class AIMBlock(Block):
    """Temporal, spatial and joint adaptation of a block (AIM, section 3; Yang et al., ICLR 2023).

    One attention and one norm serve time and space. The temporal branch and the adapter beside
    the MLP are zero at the start, so that a new block is the image model's.
    """

    UNMERGEABLE: ClassVar[str] = "its adapters have a GELU and its attention runs twice"

    def __init__(
        self,
        block: Block,
        hidden: int,
        *,
        scale: float,
        drop_path: float,
        adapt_temporal_input: bool,
    ) -> None:
        """Take over the layers of ``block``; ``adapt_temporal_input`` adds a fourth adapter."""
        nn.Module.__init__(self)
        for name, layer in block.named_children():
            self.add_module(name, layer)
        width = block.norm1.normalized_shape[0]
        self.temporal_in = GELUAdapter(width, hidden) if adapt_temporal_input else None
        self.temporal_out = GELUAdapter(width, hidden)
        self.spatial_out = GELUAdapter(width, hidden)
        self.joint = GELUAdapter(width, hidden)
        self.scale = scale
        self.drop_path = TokenDropPath(drop_path)

    def temporal(self, tokens: Tensor, num_frames: int) -> Tensor:
        """Attention of every token position over its T frames: (B*T, N, D) -> (B*T, N, D)."""
        normed = self.norm1(tokens)
        if self.temporal_in is not None:
            normed = normed + self.temporal_in(normed)
        over_time = normed.unflatten(0, (-1, num_frames)).transpose(1, 2)  # (B, N, T, D)
        mixed = self.scale1(self.attn(over_time.flatten(0, 1), 1))  # (B*N, T, D)
        update = self.temporal_out(mixed).view(over_time.shape)
        return update.transpose(1, 2).flatten(0, 1)  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor, num_frames: int) -> Tensor:
        """(B*T, N, D) -> (B*T, N, D), frames of a clip adjacent."""
        tokens = tokens + self.drop_path(self.temporal(tokens, num_frames))
        mixed = self.scale1(self.attn(self.norm1(tokens), num_frames))
        tokens = tokens + mixed + self.spatial_out(mixed)
        normed = self.norm2(tokens)
        joint = self.drop_path(self.scale * self.joint(normed))
        return tokens + self.scale2(self.mlp(normed)) + joint  # type: ignore[no-any-return]

    def macs(self, num_tokens: int, num_frames: int) -> int:
        """Multiply-adds of one clip: the image block's, its attention over time, and adapters."""
        adapters = (m for m in self.children() if isinstance(m, GELUAdapter))
        extra = sum(map(macs_per_token, (self.attn.qkv, self.attn.proj, *adapters)))
        over_time = num_frames * extra + self.attn.macs(num_frames)
        return super().macs(num_tokens, num_frames) + num_tokens * over_time
