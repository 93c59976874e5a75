"""A trained model to evaluate instead of training one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from zeroi2v_bench.backbones.base import Backbone, hash_weights
from zeroi2v_bench.checkpoints.official import load_official
from zeroi2v_bench.checkpoints.saved import is_saved_model, load_model
from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.nn.video_vit import VideoViT
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.types import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zeroi2v_bench.nn.video_vit import ViTConfig
    from zeroi2v_bench.recording import Job

SIZES = {(384, 12): "S", (768, 12): "B", (1024, 24): "L", (1280, 32): "H"}
"""Letter of a vision transformer by width and depth."""


def load_trained(checkpoint: Path, config: Mapping[str, Any] | None) -> VideoViT:
    """A model that this package saved, or a published checkpoint.

    Raises:
        CheckpointError: Neither, or a contradiction; see `load_official`.
    """
    if config is None and is_saved_model(checkpoint):
        return load_model(checkpoint)
    return load_official(checkpoint, config)


def plain_model_of(trained: VideoViT, checkpoint: Path | None) -> Backbone:
    """The image model that a trained one was made from, for counting; it has no weights."""
    with torch.device("meta"):
        plain = VideoViT(trained.config)
    parts = (name_of(trained.config), checkpoint.name if checkpoint else "")
    spec = f"checkpoint:{'/'.join(filter(None, parts))}"
    # Heads, offsets and scales are no tensors, and yet make another model.
    shape = asdict(trained.config) | (trained.recipe.to_dict() if trained.recipe else {})
    weights = fingerprint([hash_weights(trained), json.dumps(shape, default=str)])
    info = BackboneInfo(spec=spec, weights_hash=weights)
    return Backbone(model=plain, info=info)


def name_of(config: ViTConfig) -> str:
    """The network as papers write it, such as "ViT-L/14@336"; "" for an unusual one."""
    size = SIZES.get((config.width, config.depth))
    if size is None:
        return ""
    side = "" if config.image_size == 224 else f"@{config.image_size}"
    return f"ViT-{size}/{config.patch_size}{side}"


def check_fit(job: Job, trained: VideoViT) -> None:
    """Refuse a trained model that was made for something else than the job.

    Raises:
        CheckpointError: Another method, number of frames or number of classes.
    """
    recipe = trained.recipe
    if recipe is None:
        raise CheckpointError("the checkpoint is a plain image model; train it with a method")
    wanted = (
        job.protocol.module_of(job.method),
        job.protocol.sampling.num_frames,
        len(job.splits.class_names),
    )
    found = (recipe.method, recipe.num_frames, len(recipe.class_names))
    if found != wanted:
        raise CheckpointError(
            "the checkpoint is {} for {} frames and {} classes".format(*found)
            + ", the protocol asks for {}, {} frames and {} classes".format(*wanted)
        )
