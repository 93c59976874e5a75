"""Vision transformers of timm: ``timm:MODEL[.TAG][/FILE]``.

Without a file the weights come from timm's own hub cache. With one (everything after the first
slash, so an absolute path follows a double slash) they are read from it: ``.safetensors``,
``.bin``, ``.pth``. Either way timm resamples the position embedding to the image size asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch

from zeroi2v_bench.backbones.base import Backbone, hash_weights
from zeroi2v_bench.errors import BackboneError
from zeroi2v_bench.nn.from_timm import from_timm, refuse_misfit
from zeroi2v_bench.nn.structure import activation_name
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.weights_file import read_weights


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
    _check_activation(shape, name)
    if random_weights:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _create(name, **options)
    if file:
        tensors = read_weights(Path(file)).tensors
        options["pretrained_cfg_overlay"] = {"state_dict": tensors}
    return _create(name, pretrained=True, **options)


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


def _check_activation(trunk: Any, name: str) -> None:
    """Refuse weights that were trained with another activation than the model computes."""
    notes = " ".join(trunk.pretrained_cfg.get("notes") or ())
    if "quickgelu" in notes.lower() and activation_name(trunk.blocks[0].mlp.act) != "quick_gelu":
        right = name.replace("_clip_", "_clip_quickgelu_")
        raise BackboneError(f"QuickGELU mismatch: these weights need the model {right}")
