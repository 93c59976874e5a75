"""Image towers of open_clip: ``openclip:MODEL/TAG`` or ``openclip:MODEL/FILE``.

A tag's weights come from open_clip's own hub cache. A file (everything after the first slash, so
an absolute path follows a double slash) is one of open_clip's (``.safetensors``, ``.bin``, ``.pt``)
or OpenAI's original archive, read as data. Either way open_clip resamples the position embedding
to the image size asked for.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from zeroi2v_bench.backbones.base import Backbone, hash_weights
from zeroi2v_bench.errors import BackboneError
from zeroi2v_bench.nn import from_timm
from zeroi2v_bench.nn.key_names import CLIP, load_renamed
from zeroi2v_bench.nn.structure import activation_name, first_misfit
from zeroi2v_bench.nn.video_vit import CLIP_MEAN, CLIP_STD, VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.weights.weights_file import read_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK = r"transformer\.resblocks\.\d+"
LEGAL = {
    "": "VisionTransformer",
    "conv1": "Conv2d",
    "patch_dropout": "Identity PatchDropout",
    "ln_pre": "LayerNorm Identity",
    "transformer": "Transformer",
    r"transformer\.resblocks": "ModuleList",
    BLOCK: "ResidualAttentionBlock",
    rf"{BLOCK}\.ln_[12]": "LayerNorm",
    rf"{BLOCK}\.ls_[12]": "LayerScale Identity",
    rf"{BLOCK}\.attn": "MultiheadAttention",
    rf"{BLOCK}\.attn\.out_proj": "NonDynamicallyQuantizableLinear",
    rf"{BLOCK}\.mlp": "Sequential",
    rf"{BLOCK}\.mlp\.(c_fc|c_proj)": "Linear",
    rf"{BLOCK}\.mlp\.gelu": "GELU QuickGELU",
    "ln_post": "LayerNorm",
}
OPENAI_SETTINGS = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI's archives keep beside the weights."""


def load(name: str, *, image_size: int, random_weights: bool = False) -> Backbone:
    """Build a model with open_clip and convert its image tower.

    Raises:
        BackboneError: No such model or tag, one that does not fit the block, weights of a model
            with another activation, or no weights.
        CheckpointError: A weights file that is damaged or unsafe.
    """
    spec = f"openclip:{name}"
    model_name, _, weights = name.partition("/")
    if model_name not in open_clip.list_models():
        raise BackboneError(f"{spec}: open_clip {open_clip.__version__} has no {model_name!r}")
    try:
        clip = _build(model_name, "" if random_weights else weights, image_size, random_weights)
        mean, std = _normalisation(model_name, weights)
        model = convert(clip.visual, mean=mean, std=std)
    except BackboneError as error:
        raise BackboneError(f"{spec}: {error}") from error
    info = BackboneInfo(spec=spec, weights_hash=hash_weights(model), random_weights=random_weights)
    return Backbone(model=model, info=info, text=_text_encoder(clip, model_name))


def _build(name: str, weights: str, image_size: int, random_weights: bool) -> Any:
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not weights and not random_weights:
        raise BackboneError(
            f"no weights named; add /TAG ({', '.join(tags) or 'open_clip has none'}) or /FILE, "
            "or run with random weights (--random-weights)"
        )
    with torch.device("meta"):  # before anything is downloaded
        refuse_misfit(_create(name, device="meta").visual)
    file = _find_weights(name, weights, tags) if weights else None
    # open_clip interpolates the positions of its own towers while it loads, timm's afterwards.
    own_tower = "timm_model_name" not in open_clip.get_model_config(name)["vision_cfg"]
    clip = _create(name, force_image_size=image_size if own_tower else None)
    if file is not None:
        _fill(clip, file, quick_gelu=_is_quick_gelu(name))
    if not own_tower:
        clip.visual.set_input_size(image_size)
    return clip.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip warns through the root logger that a model has no weights yet."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _create(name: str, **options: Any) -> Any:
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return open_clip.create_model(name, pretrained_text=False, **options)
    except Exception as error:  # text towers of other libraries need the hub
        raise BackboneError(f"cannot be built: {error}") from error


def _is_quick_gelu(name: str) -> bool:
    return bool(open_clip.get_model_config(name).get("quick_gelu", False))


def _find_weights(name: str, weights: str, tags: Sequence[str]) -> Path:
    """The file behind a tag (downloaded by open_clip) or a path."""
    if weights not in tags:
        if not Path(weights).is_file():
            raise BackboneError(
                f"{weights!r} is neither a file nor a tag of {name} "
                f"({', '.join(tags) or 'it has none'})"
            )
        return Path(weights)
    config = open_clip.get_pretrained_cfg(name, weights)
    if config.get("quick_gelu", False) != _is_quick_gelu(name):
        raise BackboneError(_mismatch(name, f"the weights {weights}"))
    try:
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # hub, network or disk errors, of several libraries
        raise BackboneError(
            f"weights {weights} cannot be fetched: {error}; give a file as openclip:MODEL/FILE, "
            "or run with random weights (--random-weights)"
        ) from error


def _mismatch(name: str, weights: str) -> str:
    other = name.removesuffix("-quickgelu") if _is_quick_gelu(name) else f"{name}-quickgelu"
    known = other in open_clip.list_models()
    advice = f"use the model {other}" if known else "open_clip has no such variant of this model"
    return f"QuickGELU mismatch: {weights} and {name} have different activations; {advice}"


def _fill(clip: Any, file: Path, *, quick_gelu: bool) -> None:
    """Load a file into a model by open_clip's own rules, which want safetensors to be safe."""
    found = read_weights(file)
    if found.is_script and not quick_gelu:
        raise BackboneError("QuickGELU mismatch: OpenAI's archive needs the -quickgelu model")
    tensors = {k: v for k, v in found.tensors.items() if k not in OPENAI_SETTINGS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file(tensors, path)
        try:
            open_clip.load_checkpoint(clip, str(path))
        except (RuntimeError, KeyError, ValueError) as error:
            raise BackboneError(f"{file} does not fit: {' '.join(str(error).split())}") from error


def _normalisation(name: str, tag: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of a tag, or those that all tags of the model share."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    configs = [open_clip.get_pretrained_cfg(name, t) for t in ([tag] if tag in tags else tags)]
    pairs = {(tuple(c.get("mean", CLIP_MEAN)), tuple(c.get("std", CLIP_STD))) for c in configs}
    return pairs.pop() if len(pairs) == 1 else (CLIP_MEAN, CLIP_STD)


def convert(visual: Any, *, mean: Any, std: Any) -> VideoViT:
    """Convert an image tower; its tensors are shared, not copied.

    Raises:
        BackboneError: It does not fit the block; the message says which part.
    """
    if hasattr(visual, "trunk"):
        return from_timm.from_timm(visual.trunk, mean=mean, std=std)
    refuse_misfit(visual)
    with torch.device("meta"):
        model = VideoViT(_read_config(visual, mean, std))
    tensors = {k: v for k, v in visual.state_dict().items() if k != "proj"}
    load_renamed(model, tensors, CLIP, BackboneError)
    return model.eval()


def refuse_misfit(visual: Any) -> None:
    """Refuse what our block cannot compute; needs no weights, so a model on "meta" will do.

    Raises:
        BackboneError: The message says which part does not fit.
    """
    if hasattr(visual, "trunk"):
        return from_timm.refuse_misfit(visual.trunk)
    reason = first_misfit(visual, LEGAL) or _other_misfit(visual)
    if reason:
        raise BackboneError(f"does not fit the block: {reason}")
    return None


def _other_misfit(visual: Any) -> str | None:
    """What no submodule shows."""
    height, width = visual.image_size
    checks = {
        "its input is not square": height != width or len(set(visual.patch_size)) > 1,
        f"it pools by {visual.pool_type!r}": visual.pool_type not in {"tok", "avg"},
    }
    return next((reason for reason, found in checks.items() if found), None)


def _read_config(visual: Any, mean: Any, std: Any) -> ViTConfig:
    block = visual.transformer.resblocks[0]
    mean_pool = "mean" if visual.final_ln_after_pool else "norm_mean"
    return ViTConfig(
        image_size=visual.image_size[0],
        patch_size=visual.patch_size[0],
        width=visual.conv1.out_channels,
        depth=len(visual.transformer.resblocks),
        num_heads=block.attn.num_heads,
        mlp_width=block.mlp.c_fc.out_features,
        activation=activation_name(block.mlp.gelu),  # type: ignore[arg-type]
        norm_eps=block.ln_1.eps,
        norm_pre=isinstance(visual.ln_pre, torch.nn.LayerNorm),
        layer_scale=type(block.ls_1).__name__ == "LayerScale",
        pool="token" if visual.pool_type == "tok" else mean_pool,  # type: ignore[arg-type]
        mean=mean,
        std=std,
    )


class ClipText:
    """The text side of an open_clip model; see `TextEncoder`."""

    def __init__(self, clip: Any, name: str, image_projection: Tensor) -> None:
        self.image_projection = image_projection
        self.logit_scale = float(clip.logit_scale.detach().exp())
        self._clip = clip
        self._name = name

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (len(prompts), E), each of length 1.

        Raises:
            BackboneError: The tokenizer needs files of another library that cannot be fetched.
        """
        try:
            tokenizer = open_clip.get_tokenizer(self._name)
        except Exception as error:  # hub, network or import errors, of several libraries
            raise BackboneError(f"openclip:{self._name}: no tokenizer: {error}") from error
        features: Tensor = self._clip.encode_text(tokenizer(list(prompts)), normalize=True)
        return features


def _text_encoder(clip: Any, name: str) -> ClipText | None:
    projection = _projection(clip.visual)
    return None if projection is None else ClipText(clip, name, projection.detach().clone())


def _projection(visual: Any) -> Tensor | None:
    """(D, E) from the image feature to the shared space; None where it is not one matrix."""
    if not hasattr(visual, "trunk"):
        return visual.proj  # type: ignore[no-any-return]
    layers = [m for m in (visual.trunk.head, *visual.head.children()) if list(m.parameters())]
    if not layers:
        return torch.eye(visual.trunk.num_features)
    linear = len(layers) == 1 and isinstance(layers[0], torch.nn.Linear)
    return layers[0].weight.T if linear and layers[0].bias is None else None
