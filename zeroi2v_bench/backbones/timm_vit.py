"""Vision transformers of timm: ``timm:MODEL[.TAG][/FILE]``.

Without a file the weights come from timm's own hub cache. With one (everything after the first
slash, so an absolute path follows a double slash) they are read from it: ``.safetensors``,
``.bin``, ``.pth``. Either way timm resamples the position embedding to the image size asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from timm.models.vision_transformer import checkpoint_filter_fn

from zeroi2v_bench.backbones.base import Backbone, hash_weights
from zeroi2v_bench.errors import BackboneError
from zeroi2v_bench.nn.from_timm import from_timm, refuse_misfit
from zeroi2v_bench.nn.structure import activation_name
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.weights.weights_file import read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def load(name: str, *, image_size: int, random_weights: bool = False) -> Backbone:
    """Build a model with timm and convert it.

    Raises:
        BackboneError: No such model, one that does not fit the block, or no weights.
        CheckpointError: A weights file that is damaged or unsafe.
    """
    spec = f"timm:{name}"
    model_name, _, file = name.partition("/")
    if not timm.is_model(model_name.partition(".")[0]):
        raise BackboneError(f"{spec}: timm {timm.__version__} has no model {model_name!r}")
    try:
        trunk = _build(model_name, file, image_size, random_weights=random_weights)
        mean, std = (trunk.pretrained_cfg[key] for key in ("mean", "std"))
        model = from_timm(trunk, mean=tuple(mean), std=tuple(std))
    except BackboneError as error:
        raise BackboneError(f"{spec}: {error}") from error
    info = BackboneInfo(spec=spec, weights_hash=hash_weights(model), random_weights=random_weights)
    return Backbone(model=model, info=info)


def _build(name: str, file: str, image_size: int, *, random_weights: bool) -> Any:
    options: dict[str, Any] = {"img_size": image_size, "num_classes": 0}
    with torch.device("meta"):  # before anything is downloaded
        shape = _create(name, **options)
    refuse_misfit(shape)
    act = activation_name(shape.blocks[0].mlp.act)
    _check_activation(name, act, shape.pretrained_cfg.get("notes") or ())
    if random_weights:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _create(name, **options)
    if not file:
        return _create(name, pretrained=True, **options)
    found = read_weights(Path(file))
    if found.is_script:
        _check_activation(name, act, ["OpenAI's archive: QuickGELU"])
    trunk = _create(
        name, pretrained=True, pretrained_cfg_overlay={"state_dict": found.tensors}, **options
    )
    _check_complete(trunk, found.tensors, file)
    return trunk


def _create(name: str, **options: Any) -> Any:
    try:
        return timm.create_model(name, **options).eval()
    except TypeError as error:
        raise BackboneError(f"does not fit the block: it has no image size ({error})") from error
    except Exception as error:  # hub, network, disk or shape errors, of many libraries
        wanted = (
            ""
            if not options.get("pretrained")
            else ("; give a file as timm:MODEL/FILE, or run with random weights (--random-weights)")
        )
        raise BackboneError(f"cannot be loaded: {error}{wanted}") from error


def _check_activation(name: str, activation: str, notes: Sequence[str]) -> None:
    """Refuse weights that were trained with another activation than the model computes."""
    if "quickgelu" in " ".join(notes).lower() and activation != "quick_gelu":
        right = name.replace("_clip_", "_clip_quickgelu_")
        raise BackboneError(f"QuickGELU mismatch: these weights need the model {right}")


def _check_complete(trunk: Any, tensors: dict[str, Tensor], file: str) -> None:
    """Refuse a file that timm would take in part: with another classifier it loads leniently."""
    own = trunk.state_dict()
    given = checkpoint_filter_fn(dict(tensors), trunk)
    missing = sorted(set(own) - set(given))
    left = sorted(name for name in set(given) - set(own) if not name.startswith("head."))
    if missing or left:
        raise BackboneError(f"{file} does not fit: missing {missing[:4]}, left over {left[:4]}")
    patches = tensors.get("patch_embed.proj.weight")
    if patches is not None and patches.shape[-2:] != own["patch_embed.proj.weight"].shape[-2:]:
        raise BackboneError(f"{file} does not fit: it has patches of {patches.shape[-1]} pixels")
