"""Pooling by attention, as in SigLIP: one learned query reads all patches of a frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeroi2v_bench.nn.block import make_activation


class AttentionPool(nn.Module):
    """y = proj(attention(query, patches)), then y + fc2(act(fc1(norm(y)))) (Zhai et al., 2023)."""

    def __init__(
        self, width: int, num_heads: int, mlp_width: int, *, activation: str, norm_eps: float
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.latent = nn.Parameter(torch.zeros(1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.fc1 = nn.Linear(width, mlp_width)
        self.act = make_activation(activation)
        self.fc2 = nn.Linear(mlp_width, width)

    def forward(self, patches: Tensor) -> Tensor:
        """(B*T, N, D) -> (B*T, D)."""
        heads = (self.num_heads, -1)
        query = self.q(self.latent).expand(patches.shape[0], 1, -1).unflatten(-1, heads)
        key, value = self.kv(patches).unflatten(-1, (2, *heads)).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(query.transpose(1, 2), key, value)
        pooled: Tensor = self.proj(read.transpose(1, 2).flatten(1))
        return pooled + self.fc2(self.act(self.fc1(self.norm(pooled))))  # type: ignore[no-any-return]

    def macs(self, num_patches: int) -> int:
        """Multiply-adds of one frame; the query's own projection is shared by all frames."""
        width, mlp_width = self.fc1.in_features, self.fc1.out_features
        return num_patches * 2 * width * (width + 1) + width * (width + 2 * mlp_width)
