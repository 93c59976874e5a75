"""Linear adapters around a frozen Linear layer, and their exact merging into it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zeroi2v_bench.errors import MergeError


class Dropout(nn.Dropout):
    """Dropout that keeps one byte per element for the backward pass on every device.

    On a CPU torch's own keeps the mask as floating-point numbers.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise."""
        return torch.native_dropout(x, self.p, True)[0] if self.training and self.p else x


class LinearAdapter(nn.Module):
    """x + scale * up(dropout(down(x))): a low-rank update of the identity (ZeroI2V, section 3.3).

    Without an activation and in eval mode it is affine. ``up`` starts at zero, so a new adapter
    is the identity. ``scale`` multiplies the bias of ``up`` too, as in the released code.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        scale: float = 1.0,
        dropout: float = 0.0,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.UNMERGEABLE = None if activation is None else f"{activation} makes it nonlinear"
        self.scale = scale
        self.down = nn.Linear(width, hidden)
        self.activation = activation
        self.dropout = Dropout(dropout)
        self.up = nn.Linear(hidden, width)
        nn.init.trunc_normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        hidden = self.down(x)
        if self.activation is not None:
            hidden = self.activation(hidden)
        update: Tensor = self.up(self.dropout(hidden))
        return torch.add(x, update, alpha=self.scale)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Matrix (D, D) and offset (D,) in float64, such that forward(x) = matrix @ x + offset.

        Raises:
            MergeError: The adapter has an activation, so it is not affine.
        """
        if self.activation is not None:
            raise MergeError(f"an adapter cannot be merged: {self.UNMERGEABLE}")
        up, down = self.up.weight.double(), self.down.weight.double()
        identity = torch.eye(up.shape[0], dtype=torch.float64, device=up.device)
        matrix = identity + self.scale * (up @ down)
        offset = self.scale * (up @ self.down.bias.double() + self.up.bias.double())
        return matrix, offset


class MergeableLinear(nn.Module):
    """A frozen Linear layer with trained parts around it; in eval mode one affine map."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base

    def affine(self) -> tuple[Tensor, Tensor]:
        """Weight (D_out, D_in) and bias (D_out,) of the whole map, in float64."""
        raise NotImplementedError

    def base_affine(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the frozen layer, in float64; a missing bias is zero."""
        weight, bias = self.base.weight.double(), self.base.bias
        return weight, weight.new_zeros(len(weight)) if bias is None else bias.double()

    def merge(self) -> nn.Linear:
        """The same map as one plain Linear, computed in float64 and rounded once.

        Raises:
            MergeError: In training mode (dropout makes the map random), or not affine.
        """
        if self.training:
            raise MergeError("merging needs eval mode: dropout makes the adapters random maps")
        base, (weight, bias) = self.base, self.affine()
        merged = nn.Linear(
            base.in_features, base.out_features, device=base.weight.device, dtype=base.weight.dtype
        )
        with torch.no_grad():
            merged.weight.copy_(weight)
            merged.bias.copy_(bias)
        return merged.eval()


class AdaptedLinear(MergeableLinear):
    """A Linear layer with a linear adapter before it, after it, or both."""

    def __init__(
        self,
        base: nn.Linear,
        *,
        before: LinearAdapter | None = None,
        after: LinearAdapter | None = None,
    ) -> None:
        super().__init__(base)
        self.before = before
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """(..., D_in) -> (..., D_out)."""
        if self.before is not None:
            x = self.before(x)
        x = self.base(x)
        return x if self.after is None else self.after(x)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the whole map, in float64.

        Before: W (A x + a) + b = (W A) x + (W a + b). After: A (W x + b) + a = (A W) x + (A b + a).
        """
        weight, bias = self.base_affine()
        if self.before is not None:
            matrix, offset = self.before.affine()
            weight, bias = weight @ matrix, weight @ offset + bias
        if self.after is not None:
            matrix, offset = self.after.affine()
            weight, bias = matrix @ weight, matrix @ bias + offset
        return weight, bias


def macs_per_token(layer: nn.Module) -> int:
    """Multiply-adds of all weight matrices inside a layer that applies each once per token."""
    return sum(m.in_features * m.out_features for m in layer.modules() if isinstance(m, nn.Linear))
