"""What a method module is, and the one way to apply it.

A method is a module ``zeroi2v_bench/methods/<name>.py`` with

* ``Params``: its parameters, parsed strictly from a protocol's ``methods`` block;
* ``adapt(backbone, task, params) -> VideoViT``: a new model, with ``requires_grad`` set on what is
  trained; the backbone stays as it is. It never trains, logs or reads files, and imports torch
  inside functions, so that a protocol can be checked without it.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from zeroi2v_bench.errors import ProtocolError
from zeroi2v_bench.registry import lookup
from zeroi2v_bench.strict import Frozen, first_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model was made; with the backbone's shape it rebuilds the model without weights."""

    method: str
    params: dict[str, Any]
    num_frames: int
    class_names: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "class_names": list(self.class_names)}


def parse_params(method: str, params: Mapping[str, Any]) -> Frozen:
    """The parameters of a method, parsed strictly.

    Raises:
        UnknownNameError: No such method.
        ProtocolError: An unknown parameter or an illegal value.
    """
    try:
        parsed: Frozen = lookup("methods", method).Params.model_validate(params)
    except ValidationError as error:
        raise ProtocolError(f"method {method}: {first_problem(error)}") from error
    return parsed


def adapt(method: str, backbone: Backbone, task: Task, params: Mapping[str, Any]) -> VideoViT:
    """Adapt a backbone to video; the result knows its own recipe.

    Raises:
        UnknownNameError: No such method.
        ProtocolError: Parameters that the method refuses, or that do not fit the backbone.
    """
    parsed = parse_params(method, params)
    model: VideoViT = lookup("methods", method).adapt(backbone, task, parsed)
    model.recipe = Recipe(
        method=method,
        params=parsed.model_dump(mode="json"),
        num_frames=task.num_frames,
        class_names=task.class_names,
    )
    return model


def frozen_copy(backbone: Backbone) -> VideoViT:
    """A copy of the backbone's model in which nothing is trained."""
    return copy.deepcopy(backbone.model).requires_grad_(False)


def add_head(model: VideoViT, num_classes: int, dropout: float = 0.0, *, std: float = 0.01) -> None:
    """Give the model a trainable linear classifier: weights N(0, std), bias 0, as I3DHead."""
    from torch import nn

    head = nn.Linear(model.config.width, num_classes)
    nn.init.normal_(head.weight, std=std)
    nn.init.zeros_(head.bias)
    model.head = head
    model.head_dropout = nn.Dropout(dropout)


def add_temporal_embedding(model: VideoViT, num_frames: int) -> None:
    """Give the model a trainable temporal embedding (T, D), zero at the start."""
    import torch

    zeros = torch.zeros(num_frames, model.config.width)
    model.temporal_embedding = torch.nn.Parameter(zeros)
