"""Shared fixtures."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with outputs of official code, real lists and clips; no part of the project."""
    root = os.environ.get("ZEROI2V_BENCH_REFERENCE_DATA")
    if not root:
        pytest.skip("ZEROI2V_BENCH_REFERENCE_DATA is not set")
    return Path(root)


@pytest.fixture
def tiny_backbone():
    """A random image model of two blocks for 16 x 16 pixels."""
    from drawn_weights import drawn

    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
    from zeroi2v_bench.records import BackboneInfo

    config = ViTConfig(image_size=16, patch_size=8, width=24, depth=2, num_heads=6, mlp_width=48)
    model = drawn(VideoViT(config), seed=0, scale=0.2)
    info = BackboneInfo(spec="tiny", weights_hash="0" * 64, random_weights=True)
    return Backbone(model=model, info=info)


@pytest.fixture
def tiny_zeroi2v(tiny_backbone):
    """ZeroI2V on the tiny backbone with every adapter away from the identity, in eval mode."""
    from drawn_weights import drawn

    from zeroi2v_bench.methods.base import adapt
    from zeroi2v_bench.types import Task

    task = Task(num_frames=4, class_names=("a", "b", "c"))
    model = adapt("zeroi2v", tiny_backbone, task, {"temporal_heads": {-1: 1, 1: 1, -2: 1}})
    return drawn(model, seed=1, scale=0.2, trained_only=True)
