"""Merged models for other programs: weights under timm's or open_clip's names, or ONNX.

A merged ZeroI2V model is the library's own network but for the frame offsets of a few heads and a
temporal embedding; both go into a small JSON file beside the weights, with all else that a
program needs to run the model (normalisation, activation, class names).
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from zeroi2v_bench.errors import CheckpointError, RecordError
from zeroi2v_bench.merging import TOLERANCE_FLOAT32, count_adapted
from zeroi2v_bench.nn.block import Block
from zeroi2v_bench.nn.key_names import CLIP, TIMM, Renames, rename
from zeroi2v_bench.records import write_atomically

if TYPE_CHECKING:
    from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig

Format = Literal["open_clip", "timm", "onnx"]
SUFFIXES = {"open_clip": ".safetensors", "timm": ".safetensors", "onnx": ".onnx"}
LIMIT_BYTES = 2**31 - 2**27
"""ONNX files end at 2 GiB; larger weights go into a second file beside."""


def export_model(model: VideoViT, path: str | Path, *, format: Format) -> tuple[Path, Path]:
    """Write a merged model for use elsewhere.

    Args:
        model: Merged, or without adapters from the start; in eval mode.
        path: ``.safetensors`` for "open_clip" (names of its image tower) and "timm"; ``.onnx``.
            The classifier is ``head.weight`` and ``head.bias`` in both name spaces.
        format: "onnx" has a dynamic batch and is checked against onnxruntime on random clips.

    Returns:
        The file and the JSON beside it.

    Raises:
        CheckpointError: Adapters left, a network that the format's names do not cover, a missing
            optional package, or ONNX logits that differ.
    """
    path = Path(path)
    if path.suffix != SUFFIXES.get(format):
        known = ", ".join(f"{name} ({suffix})" for name, suffix in SUFFIXES.items())
        raise CheckpointError(f"{path}: export as {known}, not {format!r}")
    _check_plain(model)
    try:
        if format == "onnx":
            _export_onnx(model, path)
        else:
            tensors = renamed_weights(model, format)
            write_atomically(path, save(tensors, metadata={"format": "pt"}))
        about = path.with_suffix(".json")
        write_atomically(about, json.dumps(describe(model), indent=1).encode())
    except RecordError as error:
        raise CheckpointError(str(error)) from error
    return path, about


def _check_plain(model: VideoViT) -> None:
    if model.training:
        raise CheckpointError("export needs eval mode: call model.eval() first")
    if count_adapted(model):
        raise CheckpointError("the model has adapters; merge it first")
    if any(type(block) is not Block for block in model.blocks):
        kind = type(model.blocks[0]).__name__
        raise CheckpointError(f"blocks of kind {kind} are no part of a plain image model")
    if not isinstance(model.head, nn.Linear | nn.Identity):
        raise CheckpointError(f"a {type(model.head).__name__} as classifier cannot be exported")


def renamed_weights(model: VideoViT, library: Literal["open_clip", "timm"]) -> dict[str, Tensor]:
    """A model's weights under a library's names and in its shapes, without temporal embedding.

    Raises:
        CheckpointError: The library has no names for a part of the model.
    """
    state = {n: v for n, v in model.state_dict().items() if n != "temporal_embedding"}
    if library == "open_clip":
        _check_open_clip(model.config)
        return {rename(name, CLIP): value.contiguous() for name, value in state.items()}
    renames: Renames = TIMM
    if model.config.pool == "mean":
        renames = (*TIMM, (r"^norm\.", "fc_norm."))
    tensors = {rename(name, renames): value for name, value in state.items()}
    tensors["pos_embed"] = _without_empty_prefix(tensors["pos_embed"], model.config)[None]
    for name in ("cls_token", "reg_token", "attn_pool.latent"):
        if name in tensors:
            tensors[name] = tensors[name].reshape(1, -1, model.config.width)
    return {name: value.contiguous() for name, value in tensors.items()}


def _check_open_clip(config: ViTConfig) -> None:
    foreign = {
        "no class token": not config.class_token,
        "register tokens": config.register_tokens > 0,
        "a bias in the patch embedding": config.patch_bias,
        "attention pooling": config.pool == "attention",
    }
    found = next((what for what, has in foreign.items() if has), None)
    if found:
        raise CheckpointError(f"open_clip's own tower cannot have {found}; export as timm")


def _without_empty_prefix(positions: Tensor, config: ViTConfig) -> Tensor:
    """Models whose class token has no position carry zeros there, which timm leaves out."""
    prefix = config.num_prefix
    return positions if prefix and positions[:prefix].any() else positions[prefix:]


def describe(model: VideoViT) -> dict[str, Any]:
    """What the weights alone do not say, as plain JSON values."""
    recipe, embedding = model.recipe, model.temporal_embedding
    attention = [block.attn for block in model.iter_blocks()]
    return {
        "method": recipe.method if recipe else None,
        "num_frames": recipe.num_frames if recipe else None,
        "offsets": [list(layer.offsets) for layer in attention],
        "moved": recipe.params.get("moved", "kv") if recipe else "kv",
        "unit": recipe.params.get("unit", "head") if recipe else "head",
        "temporal_embedding": None if embedding is None else embedding.tolist(),
        "mean_before_norm": model.mean_before_norm,
        "class_names": list(recipe.class_names) if recipe else [],
        "vit": asdict(model.config),
    }


def _export_onnx(model: VideoViT, path: Path) -> None:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # the exporter needs it, and says so less clearly
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"ONNX export needs {error.name}: pip install 'zeroi2v-bench[onnx]'"
        ) from error
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            model,
            (_random_clips(model, 2),),
            path,
            dynamo=True,
            input_names=["video"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=size > LIMIT_BYTES,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    _check_onnx(model, session, path)


def _random_clips(model: VideoViT, batch: int) -> Tensor:
    side = model.config.image_size
    num_frames = model.recipe.num_frames if model.recipe else 1
    generator = torch.Generator().manual_seed(batch)
    clips = torch.randn(batch, 3, num_frames, side, side, generator=generator)
    return clips.to(next(model.parameters()).device)


@torch.inference_mode()
def _check_onnx(model: VideoViT, session: Any, path: Path) -> None:
    """Compare on batches of other sizes than the one that was traced."""
    for batch in (1, 3):
        video = _random_clips(model, batch)
        (logits,) = session.run(None, {"video": video.cpu().numpy()})
        worst = (torch.from_numpy(logits) - model(video).cpu()).abs().max().item()
        if not worst <= TOLERANCE_FLOAT32:
            path.unlink()
            raise CheckpointError(f"onnxruntime's logits differ by {worst:.3g} at batch {batch}")
