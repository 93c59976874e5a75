"""Zero-shot CLIP: the classifier comes from the text encoder, and nothing is trained.

A clip's feature is the mean over frames, projected and normalised; a class is the normalised mean
of its prompts' embeddings (Radford et al., ICML 2021, section 3.1.4).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from zeroi2v_bench.errors import BackboneError
from zeroi2v_bench.methods.base import frozen_copy
from zeroi2v_bench.strict import Frozen

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task


def _has_one_place(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError("a template has exactly one {}, where the class name goes")
    return template


class Params(Frozen):
    """Parameters of zero-shot classification.

    Attributes:
        templates: The prompt set; the class name replaces {}.
    """

    templates: Annotated[
        tuple[Annotated[str, AfterValidator(_has_one_place)], ...], Field(min_length=1)
    ] = ("a photo of a {}.",)


def phrase_of(class_name: str) -> str:
    """A class name as words, whatever way its dataset writes it.

    >>> phrase_of("ApplyEyeMakeup"), phrase_of("brush_hair"), phrase_of("Lifting [something] up")
    ('Apply Eye Makeup', 'brush hair', 'Lifting something up')
    """
    words = re.sub(r"[\[\]]", "", class_name.replace("_", " "))
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words).split())


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """A frozen copy of the backbone with a classifier made of text.

    Raises:
        BackboneError: The backbone has no text encoder.
    """
    import torch
    import torch.nn.functional as F

    from zeroi2v_bench.nn.text_head import TextHead

    if backbone.text is None:
        raise BackboneError(
            f"zero_shot needs a text encoder, and {backbone.info.spec} has none; use a CLIP "
            "model, such as --backbone openclip:ViT-B-16-quickgelu/openai"
        )
    model, text = frozen_copy(backbone), backbone.text
    projection = text.image_projection.detach()
    width, embedding_width = projection.shape
    head = TextHead(width, embedding_width, task.num_classes, text.logit_scale)
    phrases = [phrase_of(name) for name in task.class_names]
    with torch.no_grad():
        per_template = [text.encode([t.format(p) for p in phrases]) for t in params.templates]
        head.classes.weight.copy_(F.normalize(torch.stack(per_template).mean(0), dim=-1))
        head.projection.weight.copy_(projection.T)
    model.head = head.requires_grad_(False)
    return model
