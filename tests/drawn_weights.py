"""Models whose weights are random, so that no adapter is the identity and nothing is zero."""

import torch
from torch import nn


def drawn(model: nn.Module, *, seed: int, scale: float, trained_only: bool = False) -> nn.Module:
    """The same model in eval mode, with its parameters drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad or not trained_only:
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()
