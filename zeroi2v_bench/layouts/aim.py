"""Published AIM checkpoints (repository taoyang1122/adapt-image-models)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.layouts.base import (
    BLOCKS,
    Description,
    agree,
    clip_config,
    require,
    shape_of,
)
from zeroi2v_bench.nn.key_names import CLIP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

CLASSES = frozenset({"ViT_CLIP"})
ARGUMENTS = frozenset(
    {
        "input_resolution",
        "num_frames",
        "patch_size",
        "width",
        "layers",
        "heads",
        "drop_path_rate",
        "num_tadapter",
        "adapter_scale",
        "pretrained",
    }
)
RENAMES = (
    (r"\.temporal_in\.", ".T_Adapter_in."),
    (r"\.temporal_out\.", ".T_Adapter."),
    (r"\.spatial_out\.", ".S_Adapter."),
    (r"\.joint\.", ".MLP_Adapter."),
    (r"\.down\.", ".D_fc1."),
    (r"\.up\.", ".D_fc2."),
    (r"^head\.", "cls_head.fc_cls."),
    *CLIP,
)


def describe(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Description:
    """The model behind a configuration and tensors.

    Raises:
        CheckpointError: They contradict each other, or leave out what tensors cannot show.
    """
    require(arguments, ["heads", "adapter_scale"])
    vit = clip_config(arguments, tensors)
    _, num_frames, _ = shape_of(tensors, "temporal_embedding", 3)
    hidden, width = shape_of(tensors, f"{BLOCKS}0.T_Adapter.D_fc1.weight", 2)
    temporal_adapters = 1 + any(".T_Adapter_in." in name for name in tensors)
    agree(arguments, {"num_frames": num_frames, "num_tadapter": temporal_adapters})
    params = {
        "temporal_adapters": temporal_adapters,
        "adapter_ratio": hidden / width,
        "adapter_scale": arguments["adapter_scale"],
        "drop_path": arguments.get("drop_path_rate", 0.2),
    }
    return Description(vit=vit, num_frames=num_frames, params=params)
