"""CLIP's classifier from text: cosine similarity of a clip's feature and each class's prompts."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class TextHead(nn.Module):
    """scale * cos(projection x, class embedding), for features averaged over frames."""

    def __init__(self, width: int, embedding_width: int, num_classes: int, scale: float) -> None:
        super().__init__()
        self.projection = nn.Linear(width, embedding_width, bias=False)
        self.classes = nn.Linear(embedding_width, num_classes, bias=False)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> logits (B, K)."""
        return self.scale * self.classes(F.normalize(self.projection(features), dim=-1))  # type: ignore[no-any-return]
