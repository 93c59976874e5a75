"""The embedded backbone: a small CLIP-style ViT pretrained on still images of handwritten digits.

``benchmarks/pretrain_digits.py`` made the weights; their metadata holds the seed and the
accuracies on held-out digits. It has seen no video.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors import safe_open

from zeroi2v_bench.backbones.base import Backbone, hash_weights
from zeroi2v_bench.errors import BackboneError
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo

WEIGHTS = Path(__file__).with_name("digits.safetensors")


def load(name: str, *, image_size: int, random_weights: bool = False) -> Backbone:
    """Load the embedded weights, or initialise the same network at random.

    Whatever ``image_size`` asks for, the network sees 32 x 32 pixels; its configuration says so.

    Raises:
        BackboneError: A name; there is but one network.
    """
    if name:
        raise BackboneError(f"digits has no variant {name!r}; use --backbone digits")
    with safe_open(WEIGHTS, framework="pt") as file:
        config = TypeAdapter(ViTConfig).validate_json(file.metadata()["config"])
        weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    model = VideoViT(config).eval()
    if random_weights:
        generator = torch.Generator().manual_seed(0)
        weights = {k: torch.randn(v.shape, generator=generator) * 0.1 for k, v in weights.items()}
    model.load_state_dict(weights)
    info = BackboneInfo(
        spec="digits", weights_hash=hash_weights(model), random_weights=random_weights
    )
    return Backbone(model=model, info=info)
