"""What a layout module is, and what those built on CLIP share.

A layout is a module ``zeroi2v_bench/layouts/<method>.py`` with

* ``CLASSES``: names of the published backbone classes, by which a file's own configuration tells
  the method;
* ``ARGUMENTS``: keyword arguments that those classes take;
* ``RENAMES``: from our tensor names to the published ones, without a ``backbone.`` prefix;
* ``describe(arguments, tensors) -> Description``: the model behind a configuration and tensors;
  ``arguments`` also has the published class as "type" where it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.nn.video_vit import ViTConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

BLOCKS = "transformer.resblocks."


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A published model in our words: the image model, and the method's parameters."""

    vit: ViTConfig
    num_frames: int
    params: dict[str, Any]


def require(arguments: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse a configuration that leaves out what no tensor shows.

    Raises:
        CheckpointError: The message names all that is missing.
    """
    missing = [name for name in names if arguments.get(name) is None]
    if missing:
        raise CheckpointError(
            f"neither the file nor the configuration gives {', '.join(missing)}; tensors cannot "
            "show it, and a wrong guess would change the logits silently: pass it in config"
        )


def whole(arguments: Mapping[str, Any], name: str) -> int:
    """An argument that must be a positive whole number.

    Raises:
        CheckpointError: It is not.
    """
    value = arguments[name]
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise CheckpointError(f"{name}={value!r} is not a positive whole number")
    return value


def agree(arguments: Mapping[str, Any], shown: Mapping[str, int]) -> None:
    """Compare what the configuration says with what the tensors show.

    Raises:
        CheckpointError: They differ.
    """
    for name, value in shown.items():
        if arguments.get(name, value) != value:
            raise CheckpointError(
                f"the configuration says {name}={arguments[name]!r}, the tensors show {value}"
            )


def shape_of(tensors: Mapping[str, Tensor], name: str, dims: int) -> tuple[int, ...]:
    """Shape of a tensor that every file of the layout has.

    Raises:
        CheckpointError: It is missing, or has another number of dimensions.
    """
    if name not in tensors:
        raise CheckpointError(f"missing: {name}")
    if tensors[name].ndim != dims:
        raise CheckpointError(f"{name} has shape {tuple(tensors[name].shape)}, expected {dims}-d")
    return tuple(tensors[name].shape)


def clip_config(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ViTConfig:
    """The CLIP image model that a configuration and tensors describe.

    Raises:
        CheckpointError: They contradict each other, or the number of heads is not given.
    """
    require(arguments, ["heads"])
    width, _, patch, _ = shape_of(tensors, "conv1.weight", 4)
    tokens, _ = shape_of(tensors, "positional_embedding", 2)
    grid = isqrt(tokens - 1)
    if grid**2 != tokens - 1 or not grid:
        raise CheckpointError(f"positional_embedding has {tokens} tokens: not a square and 1")
    image = arguments.get("input_resolution", grid * patch)
    depth = len({name.split(".")[2] for name in tensors if name.startswith(BLOCKS)})
    agree(arguments, {"patch_size": patch, "width": width, "layers": depth})
    if not isinstance(image, int) or image // patch != grid:
        raise CheckpointError(
            f"input_resolution={image!r} does not fit {grid} x {grid} patches of {patch} pixels"
        )
    heads = whole(arguments, "heads")
    if width % heads:
        raise CheckpointError(f"heads={heads} does not divide the width {width}")
    return ViTConfig(
        image_size=image,
        patch_size=patch,
        width=width,
        depth=depth,
        num_heads=heads,
        mlp_width=shape_of(tensors, f"{BLOCKS}0.mlp.c_fc.weight", 2)[0],
    )
