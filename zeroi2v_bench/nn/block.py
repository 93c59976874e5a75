"""The pre-norm transformer block that every backbone is converted to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zeroi2v_bench.nn.adapted_linear import macs_per_token
from zeroi2v_bench.nn.attention import Attention


class _QuickGELU(torch.autograd.Function):
    """Keeps its input alone for the backward pass; plain operations keep the sigmoid too.

    In the MLP that is a tensor of four times the model's width per block.
    """

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return (1.702 * x).sigmoid_().mul_(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # With y = silu(1.702 x) / 1.702, dy/dx is the derivative of silu at 1.702 x.
        (x,) = ctx.saved_tensors
        scaled = 1.702 * x
        if x.dtype == torch.float16:  # infinite past 38,487, and infinity times zero is no number
            scaled.clamp_(-65504, 65504)
        return torch.ops.aten.silu_backward.grad_input(  # type: ignore[no-any-return]
            grad, scaled, grad_input=scaled
        )


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the activation of OpenAI's CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise."""
        return _QuickGELU.apply(x)  # type: ignore[no-any-return]


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch (DINOv2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return x * self.gamma


ACTIVATIONS: dict[str, type[nn.Module]] = {"quick_gelu": QuickGELU, "gelu": nn.GELU}


def make_activation(name: str) -> nn.Module:
    """An activation by its name: "quick_gelu", "gelu" (exact) or "gelu_tanh"."""
    return nn.GELU(approximate="tanh") if name == "gelu_tanh" else ACTIVATIONS[name]()


class Block(nn.Module):
    """x + attention(norm1(x)), then x + fc2(act(fc1(norm2(x)))).

    The four Linear layers that methods adapt are ``attn.qkv``, ``attn.proj``, ``fc1`` and ``fc2``.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_width: int,
        *,
        activation: str = "quick_gelu",
        norm_eps: float = 1e-5,
        qkv_bias: bool = True,
        layer_scale: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attn = Attention(width, num_heads, bias=qkv_bias)
        self.scale1: nn.Module = LayerScale(width) if layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.fc1: nn.Module = nn.Linear(width, mlp_width)
        self.act = make_activation(activation)
        self.fc2: nn.Module = nn.Linear(mlp_width, width)
        self.scale2: nn.Module = LayerScale(width) if layer_scale else nn.Identity()

    def mlp(self, x: Tensor) -> Tensor:
        """fc2(act(fc1(x))): (..., D) -> (..., D)."""
        return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor, num_frames: int) -> Tensor:
        """(B*T, N, D) -> (B*T, N, D), frames of a clip adjacent."""
        tokens = tokens + self.scale1(self.attn(self.norm1(tokens), num_frames))
        return tokens + self.scale2(self.mlp(self.norm2(tokens)))  # type: ignore[no-any-return]

    def macs(self, num_tokens: int, num_frames: int) -> int:
        """Multiply-adds of one clip of T frames with N tokens each, by closed formula."""
        layers = (self.attn.qkv, self.attn.proj, self.fc1, self.fc2)
        linear = num_tokens * sum(macs_per_token(layer) for layer in layers)
        return num_frames * (linear + self.attn.macs(num_tokens))
