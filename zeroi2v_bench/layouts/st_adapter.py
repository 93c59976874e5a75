"""Published ST-Adapter checkpoints (repository linziyi96/st-adapter)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.layouts.base import (
    BLOCKS,
    Description,
    agree,
    clip_config,
    shape_of,
    whole,
)
from zeroi2v_bench.nn.key_names import CLIP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

CLASSES = frozenset({"VisionTransformer"})
ARGUMENTS = frozenset(
    {
        "input_resolution",
        "patch_size",
        "width",
        "layers",
        "heads",
        "num_classes",
        "num_frames",
        "adapter_width",
        "adapter_layers",
        "adapter_kernel_size",
        "adapter_pre_attn",
        "adapter_pre_mlp",
    }
)
RENAMES = (
    *CLIP,
    (r"\.before_(attn|mlp)\.", r".adapter_pre_\1."),
    (r"\.down\.", ".fc1."),
    (r"\.up\.", ".fc2."),
    (r"^head\.", "fc."),
)
PLACES = {"attn": "adapter_pre_attn", "mlp": "adapter_pre_mlp"}
DEFAULT_FRAMES = 8
"""Frames of the released training scripts; no weight depends on their number."""


def describe(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Description:
    """The model behind a configuration and tensors.

    Raises:
        CheckpointError: They contradict each other, or the number of heads is not given.
    """
    vit = clip_config(arguments, tensors)
    shown = _adapters(tensors, vit.depth)
    _agree(arguments, shown, len(tensors["fc.weight"]) if "fc.weight" in tensors else 0)
    frames = whole({"num_frames": DEFAULT_FRAMES} | dict(arguments), "num_frames")
    return Description(vit=vit, num_frames=frames, params=shown)


def _adapters(tensors: Mapping[str, Tensor], depth: int) -> dict[str, Any]:
    """The method's parameters, as the tensors show them.

    Raises:
        CheckpointError: No adapters, or adapters that are not in the last blocks.
    """
    places = [place for place, name in PLACES.items() if any(f".{name}." in t for t in tensors)]
    if not places:
        raise CheckpointError("no adapters in the file: no adapter_pre_attn, no adapter_pre_mlp")
    found = {int(name.split(".")[2]) for name in tensors if ".adapter_pre_" in name}
    if found != set(range(depth - len(found), depth)):
        raise CheckpointError(f"adapters in blocks {sorted(found)} of {depth}: not the last ones")
    conv = f"{BLOCKS}{depth - 1}.{PLACES[places[0]]}.conv.weight"
    width, _, *kernel = shape_of(tensors, conv, 5)
    return {
        "places": places,
        "adapter_width": width,
        "adapter_layers": len(found),
        "kernel": kernel,
    }


def _agree(arguments: Mapping[str, Any], shown: Mapping[str, Any], num_classes: int) -> None:
    agree(
        arguments,
        {
            "num_classes": num_classes,
            "adapter_width": shown["adapter_width"],
            "adapter_layers": shown["adapter_layers"],
            **{name: int(place in shown["places"]) for place, name in PLACES.items()},
        },
    )
    kernel = list(arguments.get("adapter_kernel_size", shown["kernel"]))
    if kernel != shown["kernel"]:
        raise CheckpointError(
            f"the configuration says adapter_kernel_size={kernel}, "
            f"the tensors show {shown['kernel']}"
        )
