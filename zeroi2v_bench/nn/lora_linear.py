"""LoRA: a trained low-rank update beside a frozen Linear layer, and its merging into it."""

from __future__ import annotations

import math

from torch import Tensor, nn

from zeroi2v_bench.nn.adapted_linear import MergeableLinear


class LoRALinear(MergeableLinear):
    """base(x) + alpha / rank * up(dropout(down(x))) (Hu et al., ICLR 2022, equation 3).

    Initialised as in the paper's code: ``down`` uniform, ``up`` zero.
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__(base)
        self.scale = alpha / rank
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D_in) -> (..., D_out)."""
        update: Tensor = self.up(self.down(self.dropout(x)))
        return self.base(x) + self.scale * update  # type: ignore[no-any-return]

    def affine(self) -> tuple[Tensor, Tensor]:
        """W + alpha / rank * up down, and b; in float64."""
        weight, bias = self.base_affine()
        return weight + self.scale * (self.up.weight.double() @ self.down.weight.double()), bias
