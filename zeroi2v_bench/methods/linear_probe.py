"""Linear probe: a frozen image model and a linear classifier on the mean of its frame features.

The features never change, so they are extracted once and the classifier is fitted by logistic
regression; it cannot relate frames to each other, whatever it learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroi2v_bench.methods.base import add_head, frozen_copy
from zeroi2v_bench.strict import Frozen

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Task


class Params(Frozen):
    """A linear probe has no parameters of its own."""


def adapt(backbone: Backbone, task: Task, params: Params) -> VideoViT:
    """The frozen backbone with a new classifier, which alone is trained."""
    model = frozen_copy(backbone)
    add_head(model, task.num_classes)
    return model
