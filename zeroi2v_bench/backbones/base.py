"""What a backbone is, and how one is found by its name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from zeroi2v_bench.errors import UnknownNameError
from zeroi2v_bench.registry import lookup, names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.records import BackboneInfo


class TextEncoder(Protocol):
    """The text side of a CLIP model."""

    image_projection: Tensor
    """(D, E): from the image feature to the shared space."""
    logit_scale: float

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (len(prompts), E), each of length 1."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """An image model as `VideoViT` without a head, and where it came from."""

    model: VideoViT
    info: BackboneInfo
    text: TextEncoder | None = None


def load_backbone(spec: str, *, image_size: int, random_weights: bool = False) -> Backbone:
    """Load and convert an image model.

    Args:
        spec: ``LIBRARY`` or ``LIBRARY:NAME``, e.g. ``digits``, ``openclip:ViT-B-16/openai``; the
            library is a module ``zeroi2v_bench.backbones.<library>_vit`` with a function
            ``load(name, *, image_size, random_weights) -> Backbone``.
        image_size: Side of the input in pixels; position embeddings are interpolated to it.
        random_weights: Initialise instead of loading; the record says so.

    Raises:
        UnknownNameError: No such library.
        BackboneError: No such model, one that does not fit the block, or no weights.
    """
    library, _, name = spec.partition(":")
    legal = [module.removesuffix("_vit") for module in names("backbones")]
    if library not in legal:
        raise UnknownNameError(
            "backbone", spec, [x if x == "digits" else f"{x}:MODEL" for x in legal]
        )
    module = lookup("backbones", f"{library}_vit")
    return module.load(name, image_size=image_size, random_weights=random_weights)  # type: ignore[no-any-return]


def hash_weights(model: nn.Module) -> str:
    """SHA-256 over names and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
