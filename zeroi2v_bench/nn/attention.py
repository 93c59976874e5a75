"""Self-attention whose heads may take their keys and values from a neighbouring frame (STDHA)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = Literal["head", "channel", "class_token"]
ALL = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A part of the (N, 3, H, d) queries, keys and values that comes from frame t + offset."""

    offset: int
    parts: slice
    tokens: slice
    heads: slice
    channels: slice


def head_offsets(temporal_heads: Mapping[int, int], num_heads: int) -> tuple[int, ...]:
    """Frame offset of each head, from "offset: number of heads" in order; the rest are spatial.

    >>> head_offsets({-1: 1, 1: 1}, 6)
    (-1, 1, 0, 0, 0, 0)

    Raises:
        ValueError: More temporal heads than heads, or a negative number of them.
    """
    moved = [offset for offset, count in temporal_heads.items() for _ in range(count)]
    if min(temporal_heads.values(), default=0) < 0 or len(moved) > num_heads:
        raise ValueError(f"temporal heads {dict(temporal_heads)} do not fit into {num_heads} heads")
    return (*moved, *(0,) * (num_heads - len(moved)))


def plan_moves(
    offsets: tuple[int, ...], head_dim: int, *, parts: str = "kv", unit: Unit = "head"
) -> tuple[Move, ...]:
    """The copies that realise per-head frame offsets.

    Args:
        offsets: One frame offset per head: 0 own frame, -1 the previous, +1 the next.
        head_dim: Channels per head, d.
        parts: Which of queries, keys and values move: a run of "qkv" such as "kv" or "v".
        unit: "head" moves whole heads (STDHA). "channel" moves the same share of channels inside
            every head instead (token shift of keys and values), and "class_token" does so for
            the class token only: the alternatives in Table 1a of the paper.
    """
    if not parts or parts not in "qkv":
        raise ValueError(
            f"parts={parts!r}; legal are the runs of 'qkv', such as 'kv', 'k' or 'qkv'"
        )
    where = slice("qkv".index(parts[0]), "qkv".index(parts[-1]) + 1)
    moves, start = [], 0
    for offset, run in groupby(offsets):
        stop = start + len(list(run))
        share = slice(start * head_dim // len(offsets), stop * head_dim // len(offsets))
        move = Move(
            offset=offset,
            parts=where,
            tokens=slice(0, 1) if unit == "class_token" else ALL,
            heads=slice(start, stop) if unit == "head" else ALL,
            channels=ALL if unit == "head" else share,
        )
        if offset:
            moves.append(move)
        start = stop
    return tuple(moves)


def relocate_(
    qkv: Tensor, num_frames: int, moves: tuple[Move, ...], *, adjoint: bool = False
) -> None:
    """Overwrite the moved parts of (B*T, N, 3, H, d) in place; only they are copied.

    A frame whose source lies outside the clip keeps its own values. With ``adjoint`` the tensor is
    a gradient and goes the way back: what a frame was the source of is added up.
    """
    frames = qkv.view(-1, num_frames, *qkv.shape[1:])  # (B, T, N, 3, H, d)
    for move in moves:
        step = abs(move.offset)
        if step >= num_frames:
            continue
        part = frames[:, :, move.tokens, move.parts, move.heads, move.channels]
        early, late = part[:, :-step], part[:, step:]
        source, target = (early, late) if move.offset < 0 else (late, early)
        # They overlap: the clone keeps a frame from being read after it was written.
        if adjoint:
            gradient = target.clone()
            target.zero_()
            source.add_(gradient)
        else:
            target.copy_(source.clone())


class _Relocation(torch.autograd.Function):
    """`relocate_` with one copy of the gradient, where autograd itself makes several per move."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, shape: tuple[int, ...], num_frames: int, moves: tuple[Move, ...]
    ) -> Tensor:
        ctx.arguments = shape, num_frames, moves
        ctx.mark_dirty(qkv)
        relocate_(qkv.view(shape), num_frames, moves)
        return qkv

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        shape, num_frames, moves = ctx.arguments
        grad = grad.clone(memory_format=torch.contiguous_format)
        relocate_(grad.view(shape), num_frames, moves, adjoint=True)
        return grad, None, None, None


class Attention(nn.Module):
    """Multi-head self-attention within each frame, with one frame offset per head.

    All offsets 0 is the image model's attention. STDHA (ZeroI2V, section 3.2) gives a few heads
    an offset: at frame t such a head attends to the keys and values of frame t + offset. It has
    no parameters and no multiply-adds; its cost is the copy in `relocate_`.
    """

    def __init__(self, width: int, num_heads: int, *, bias: bool = True) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width {width} is not divisible by {num_heads} heads")
        self.num_heads = num_heads
        self.head_dim = width // num_heads
        self.offsets: tuple[int, ...] = (0,) * num_heads
        self.moves: tuple[Move, ...] = ()
        self.qkv: nn.Module = nn.Linear(width, 3 * width, bias=bias)
        self.proj: nn.Module = nn.Linear(width, width)

    def set_offsets(
        self, offsets: tuple[int, ...], *, parts: str = "kv", unit: Unit = "head"
    ) -> None:
        """Give each head its frame offset; see `plan_moves`."""
        if len(offsets) != self.num_heads:
            raise ValueError(f"{len(offsets)} offsets for {self.num_heads} heads")
        self.offsets = offsets
        self.moves = plan_moves(offsets, self.head_dim, parts=parts, unit=unit)

    def forward(self, tokens: Tensor, num_frames: int) -> Tensor:
        """(B*T, N, D) -> (B*T, N, D), frames of a clip adjacent."""
        qkv = self.qkv(tokens)
        shape = (*tokens.shape[:2], 3, self.num_heads, self.head_dim)
        if qkv.requires_grad and self.moves and not torch.compiler.is_compiling():
            qkv = _Relocation.apply(qkv, shape, num_frames, self.moves)
        else:
            relocate_(qkv.view(shape), num_frames, self.moves)
        query, key, value = (part.transpose(1, 2) for part in qkv.view(shape).unbind(2))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def macs(self, num_tokens: int) -> int:
        """Multiply-adds of one frame of N tokens, without the two projections: 2 N^2 D."""
        return 2 * num_tokens**2 * self.num_heads * self.head_dim
