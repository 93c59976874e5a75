"""Saved models: one safetensors file that says how to rebuild the model it holds.

The metadata carries the image model's shape and the method's recipe (head offsets, adapter scale
and the rest), so nothing has to be guessed when it is loaded. A merged model is saved without
adapters and comes back as plain linear layers.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.errors import CheckpointError, ProtocolError, RecordError
from zeroi2v_bench.merging import count_adapted, merge
from zeroi2v_bench.methods.base import Recipe, adapt
from zeroi2v_bench.nn.key_names import load_renamed
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo, write_atomically
from zeroi2v_bench.registry import names
from zeroi2v_bench.types import Task
from zeroi2v_bench.weights.weights_file import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1


def save_model(model: VideoViT, path: str | Path) -> None:
    """Write a model's weights, shape and recipe to one safetensors file.

    Raises:
        CheckpointError: Not a ``.safetensors`` path, or it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: models are saved as .safetensors")
    header = {
        "format": FORMAT,
        "vit": asdict(model.config),
        "recipe": model.recipe.to_dict() if model.recipe else None,
        "merged": not count_adapted(model),
    }
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    try:
        write_atomically(path, save(tensors, metadata={"zeroi2v_bench": json.dumps(header)}))
    except RecordError as error:
        raise CheckpointError(str(error)) from error


def load_model(path: str | Path) -> VideoViT:
    """A model that `save_model` wrote, in eval mode and float32.

    Raises:
        CheckpointError: Missing, damaged, or not written by `save_model`.
    """
    path = Path(path)
    file = read_weights(path)
    header = _read_header(path, file.metadata)
    try:
        vit, recipe = _parse_header(header)
        model = build_skeleton(vit, recipe, merged=header["merged"])
        load_renamed(model, file.tensors, (), CheckpointError)
    except (CheckpointError, ProtocolError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model.eval()


def is_saved_model(path: str | Path) -> bool:
    """Whether `save_model` wrote the file; anything unreadable was not."""
    try:
        with safe_open(path, "pt") as file:
            return "zeroi2v_bench" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _read_header(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    text = metadata.get("zeroi2v_bench")
    if text is None:
        raise CheckpointError(
            f"{path}: not written by save_model; a published checkpoint is read by load_official"
        )
    try:
        header = json.loads(text)
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}: damaged description of the model: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: unknown format; this version reads format {FORMAT}")
    return header


def _parse_header(header: dict[str, Any]) -> tuple[ViTConfig, Recipe | None]:
    shape, recipe = header["vit"], header["recipe"]
    vit = ViTConfig(**{**shape, "mean": tuple(shape["mean"]), "std": tuple(shape["std"])})
    if recipe is None:
        return vit, None
    if recipe["method"] not in names("methods"):  # a dotted name in a file could import anything
        raise CheckpointError(
            f"its method {recipe['method']!r} is none of {', '.join(names('methods'))}"
        )
    return vit, Recipe(**{**recipe, "class_names": tuple(recipe["class_names"])})


def build_skeleton(vit: ViTConfig, recipe: Recipe | None, *, merged: bool) -> VideoViT:
    """A model of the right structure without weights (on torch's meta device).

    Args:
        vit: The image model.
        recipe: How a method made the video model of it; None for the image model itself.
        merged: Its adapters, if it has any, are merged into the linear layers.

    Raises:
        ProtocolError: The method refuses the parameters.
    """
    with torch.device("meta"):
        model = VideoViT(vit)
        if recipe is not None:
            info = BackboneInfo(spec="checkpoint", weights_hash="")
            task = Task(num_frames=recipe.num_frames, class_names=recipe.class_names)
            backbone = Backbone(model=model, info=info)
            model = adapt(recipe.method, backbone, task, recipe.params)
        return merge(model.eval()) if merged and count_adapted(model) else model
