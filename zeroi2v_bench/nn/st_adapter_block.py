"""ST-Adapter's block: depthwise 3D convolutions before the attention, before the MLP, or both."""

from __future__ import annotations

from math import isqrt
from typing import ClassVar

from torch import Tensor, nn

from zeroi2v_bench.nn.adapted_linear import macs_per_token
from zeroi2v_bench.nn.block import Block


class STAdapter(nn.Module):
    """patches + up(conv(down(patches))): a spatio-temporal convolution in a narrow space.

    The convolution is depthwise, zero-padded and zero at the start; only patches go through it.
    """

    def __init__(
        self, width: int, hidden: int, kernel: tuple[int, int, int], *, num_prefix: int
    ) -> None:
        super().__init__()
        self.down = nn.Linear(width, hidden)
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = nn.Conv3d(hidden, hidden, kernel, padding=padding, groups=hidden)
        self.up = nn.Linear(hidden, width)
        self.first_patch = num_prefix
        for zero in (self.conv.weight, self.conv.bias, self.down.bias, self.up.bias):
            assert zero is not None
            nn.init.zeros_(zero)

    def forward(self, tokens: Tensor, num_frames: int) -> Tensor:
        """(B*T, N, D) -> the same tensor, changed in place as in the released code."""
        patches = tokens[:, self.first_patch :]
        side = isqrt(patches.shape[1])
        # Linear keeps its input for the backward pass, unless it has to copy it to use it.
        kept = patches.clone() if patches.requires_grad and patches.is_contiguous() else patches
        narrow = self.down(kept).view(-1, num_frames, side, side, self.conv.in_channels)
        mixed = self.conv(narrow.permute(0, 4, 1, 2, 3).contiguous())  # (B, hidden, T, side, side)
        mixed = mixed.permute(0, 2, 3, 4, 1).reshape(*patches.shape[:2], -1)
        patches += self.up(mixed)
        return tokens

    def macs(self, num_tokens: int) -> int:
        """Multiply-adds of one frame of N tokens."""
        conv = self.conv.weight.numel()  # one filter per channel, applied at every patch
        return (num_tokens - self.first_patch) * (macs_per_token(self) + conv)


class STAdapterBlock(Block):
    """A block with an adapter on the residual stream before attention, before the MLP, or both.

    Source: ST-Adapter, section 3.2 (Pan et al., NeurIPS 2022).
    """

    UNMERGEABLE: ClassVar[str] = "a convolution over frames is not a part of any linear layer"

    def __init__(
        self, block: Block, *, before_attn: STAdapter | None, before_mlp: STAdapter | None
    ) -> None:
        """Take over the layers of ``block``."""
        nn.Module.__init__(self)
        for name, layer in block.named_children():
            self.add_module(name, layer)
        self.before_attn = before_attn
        self.before_mlp = before_mlp

    def forward(self, tokens: Tensor, num_frames: int) -> Tensor:
        """(B*T, N, D) -> (B*T, N, D), frames of a clip adjacent; may change ``tokens``."""
        if self.before_attn is not None:
            tokens = self.before_attn(tokens, num_frames)
        tokens = tokens + self.scale1(self.attn(self.norm1(tokens), num_frames))
        if self.before_mlp is not None:
            tokens = self.before_mlp(tokens, num_frames)
        return tokens + self.scale2(self.mlp(self.norm2(tokens)))  # type: ignore[no-any-return]

    def macs(self, num_tokens: int, num_frames: int) -> int:
        """Multiply-adds of one clip: the image block's and the adapters'."""
        adapters = (m for m in self.children() if isinstance(m, STAdapter))
        per_frame = sum(adapter.macs(num_tokens) for adapter in adapters)
        return super().macs(num_tokens, num_frames) + num_frames * per_frame
