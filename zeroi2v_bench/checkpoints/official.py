"""Published checkpoints of ZeroI2V, AIM and ST-Adapter as models of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.checkpoints.saved import build_skeleton
from zeroi2v_bench.errors import CheckpointError, ProtocolError
from zeroi2v_bench.methods.base import Recipe
from zeroi2v_bench.nn.key_names import load_renamed, rename
from zeroi2v_bench.registry import lookup, names
from zeroi2v_bench.weights.mmengine_config import read_model_config
from zeroi2v_bench.weights.weights_file import WeightsFile, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from torch import Tensor

    from zeroi2v_bench.nn.video_vit import VideoViT

DEFAULT_METHOD = "zeroi2v"


def load_official(path: str | Path, config: Mapping[str, Any] | None = None) -> VideoViT:
    """Load a published checkpoint; nothing in the file is executed.

    Args:
        path: A ``.pth`` as mmengine or mmcv writes it (or a bare state dict), or ``.safetensors``
            with the same names. Adapters may have been merged by the published tool already.
        config: Keyword arguments of the published backbone class, its "type" or not, and "method":
            "zeroi2v" (default), "aim" or "st_adapter". It fills in what the file's own
            configuration does not say; where both speak they must agree.

    Returns:
        The model in eval mode and float32. Logits are ``model(video)`` with a normalised
        ``video`` (B, C, T, H, W). Class names are the class indices, as the files hold none.

    Raises:
        CheckpointError: An unsafe or damaged file; tensors that are missing, left over or of a
            wrong shape; unknown arguments; a contradiction; or a configuration that leaves out
            what tensors cannot show (heads, adapter scale, head layout). The message names it.
    """
    path, file = Path(path), read_weights(Path(path))
    try:
        said, head = _file_config(file.metadata)
        arguments = combine(said, config or {})
        method, layout = _find_layout(arguments)
        tensors = _without_prefix(file, "backbone.")
        return _build(method, layout, arguments, tensors, head)
    except (CheckpointError, ProtocolError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _build(
    method: str,
    layout: ModuleType,
    arguments: dict[str, Any],
    tensors: dict[str, Tensor],
    head: Mapping[str, Any],
) -> VideoViT:
    described = layout.describe(arguments, tensors)
    name = rename("head.weight", layout.RENAMES)
    if name not in tensors:
        raise CheckpointError(f"missing: {name}")
    num_classes = len(tensors[name])
    if head.get("num_classes", num_classes) != num_classes:
        raise CheckpointError(f"{name} has {num_classes} classes, the configuration says {head}")
    recipe = Recipe(
        method=method,
        params=described.params,
        num_frames=described.num_frames,
        class_names=tuple(map(str, range(num_classes))),
    )
    model = build_skeleton(described.vit, recipe, merged=False)
    load_renamed(model, tensors, layout.RENAMES, CheckpointError)
    return model.eval()


def _file_config(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file says about its backbone and about its classifier.

    mmengine keeps the text of its configuration as ``cfg``, mmcv as ``config``; a safetensors
    file may have the backbone's arguments as JSON in ``config`` and the method in ``method``.
    """
    text = metadata.get("cfg", metadata.get("config"))
    if text is None:
        return {}, {}
    if not isinstance(text, str):
        raise CheckpointError(f"the file's configuration is a {type(text).__name__}, not text")
    if text.lstrip().startswith("{"):
        method = {"method": metadata["method"]} if "method" in metadata else {}
        return {**_parse_json(text), **method}, {}
    model = read_model_config(text)
    backbone, head = model.get("backbone", {}), model.get("cls_head", {})
    if not isinstance(backbone, dict) or not isinstance(head, dict):
        raise CheckpointError("the file's configuration: backbone and cls_head must be dicts")
    return backbone, head


def _parse_json(text: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise CheckpointError(f"the file's configuration is not JSON: {error}") from error
    return parsed


def combine(said: Mapping[str, Any], given: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """What a file says and what the user gives, together.

    Raises:
        CheckpointError: Both give a value and the two differ.
    """
    merged = {**said, **given}
    for key in set(said) & set(given) - {"pretrained"}:  # where training started, not the model
        if isinstance(said[key], dict) and isinstance(given[key], dict):
            merged[key] = combine(said[key], given[key], f"{path}{key}.")
        elif _plain(said[key]) != _plain(given[key]):
            raise CheckpointError(
                f"the file says {path}{key}={said[key]!r}, the configuration {given[key]!r}"
            )
    return merged


def _plain(value: Any) -> Any:
    """Python text has tuples where JSON has lists."""
    return list(value) if isinstance(value, tuple) else value


def _find_layout(arguments: dict[str, Any]) -> tuple[str, ModuleType]:
    """Method and layout; takes "method" out of the arguments."""
    kind, method = arguments.get("type"), arguments.pop("method", None)
    known = {name: lookup("layouts", name) for name in names("layouts")}
    owner = next((name for name, layout in known.items() if kind in layout.CLASSES), None)
    if kind is not None and owner is None:
        raise CheckpointError(f"unknown backbone type {kind!r}")
    chosen = method or owner or DEFAULT_METHOD
    if chosen not in known:
        raise CheckpointError(f"unknown method {chosen!r}; known: {', '.join(known)}")
    if owner not in {None, chosen}:
        raise CheckpointError(f"type {kind!r} is of method {owner!r}, not {chosen!r}")
    unknown = sorted(set(arguments) - known[chosen].ARGUMENTS - {"type"})
    if unknown:
        raise CheckpointError(f"unknown argument of {chosen}: {', '.join(unknown)}")
    return chosen, known[chosen]


def _without_prefix(file: WeightsFile, prefix: str) -> dict[str, Tensor]:
    bare = {name.removeprefix(prefix): value for name, value in file.tensors.items()}
    if len(bare) != len(file.tensors):
        raise CheckpointError(f"some tensors are there twice, with and without {prefix!r}")
    return bare
