"""Published ZeroI2V checkpoints (repository MCG-NJU/ZeroI2V, all released head layouts).

The published code shifts runs of channels, ``width // shift_div`` of them per direction; here they
become whole heads. ``shift_div`` moves one run from t-1 and the next from t+1, ``long_shift_div``
one more from t-2, with ``long_shift_right`` another from t+2. The "long" class has
``shift1_div`` and ``shift2_div`` (both directions), ``shift3_div`` and ``shift4_div`` (the past,
and with ``shift3_right`` and ``shift4_right`` also the future).

``adapter_type`` shows in no tensor either. A configuration without it is one that left the
published default, the linear adapter (named "rep" by the "long" class); so it needs no mention
where there is a configuration, and without any configuration nothing is loaded.
"""

from __future__ import annotations

from math import nextafter
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.layouts.base import (
    BLOCKS,
    Description,
    agree,
    clip_config,
    require,
    shape_of,
    whole,
)
from zeroi2v_bench.nn.key_names import CLIP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

ARGUMENTS = frozenset(
    {
        "input_resolution",
        "num_frames",
        "patch_size",
        "width",
        "layers",
        "heads",
        "dropout_rate",
        "num_tadapter",
        "adapter_scale",
        "pretrained",
        "adapter_type",
        "mlp_ratio",
        "stdha_cfg",
        "final_ta_cfg",
        "attn_adapter_type",
        "freeze_all",
    }
)
RENAMES = (
    (r"\.attn\.qkv\.before\.", ".T_Adapter_in."),
    (r"\.attn\.proj\.after\.", ".S_Adapter."),
    (r"\.fc1\.before\.", ".MLP_Adapter."),
    (r"\.fc2\.after\.", ".MLP_Adapter_out."),
    (r"\.down\.", ".D_fc1."),
    (r"\.up\.", ".D_fc2."),
    (r"\.base\.", "."),
    (r"^head\.", "cls_head.fc_cls."),
    *CLIP,
)
SITES = {
    "qkv": "T_Adapter_in",
    "proj": "S_Adapter",
    "fc1": "MLP_Adapter",
    "fc2": "MLP_Adapter_out",
}
ACTIVATIONS = {"linear": "none", "rep": "none", "gelu": "gelu"}
SHORT_KEYS = frozenset(
    {"shift_div", "long_shift_div", "long_shift_right", "shift_stride", "ops_type"}
)
LONG_KEYS = frozenset(
    {"shift1_div", "shift2_div", "shift3_div", "shift3_right", "shift4_div", "shift4_right"}
)
STDHA_KEYS = SHORT_KEYS | LONG_KEYS | {"divide_head", "shift_pattern"}
READ_BY = {
    "ViT_Zero_CLIP": {"shift_div", "long_shift_div", "shift_stride", "divide_head"},
    "ViT_Zero_CLIP_long": LONG_KEYS | {"divide_head", "shift_pattern"},
    "ViT_Zero_CLIP_ablation": SHORT_KEYS | {"divide_head", "shift_pattern"},
    # Runs merged models of every class, and would drop the shifts that it does not know.
    "ViT_Zero_CLIP_eval": STDHA_KEYS,
}
"""Keys of ``stdha_cfg`` that each published class reads; it ignores all others silently."""
CLASSES = frozenset(READ_BY)


def describe(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Description:
    """The model behind a configuration and tensors, adapted or already merged.

    Raises:
        CheckpointError: They contradict each other, ask for what no released model has, cut a
            head, or leave out what tensors cannot show.
    """
    sites = _sites(arguments, tensors)
    require(arguments, ["heads", "stdha_cfg", *(["adapter_scale"] if sites else [])])
    _refuse_unsupported(arguments, merged=not sites)
    vit = clip_config(arguments, tensors)
    _, num_frames, _ = shape_of(tensors, "temporal_embedding", 3)
    agree(arguments, {"num_frames": num_frames})
    _check_shift_keys(arguments["stdha_cfg"], arguments.get("type"))
    params = temporal_params(arguments["stdha_cfg"], vit.width, vit.num_heads)
    adapters = _adapter_params(arguments, tensors, sites) if sites else {"adapters": []}
    return Description(vit=vit, num_frames=num_frames, params=params | adapters)


def _sites(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[str]:
    """Linear layers with an adapter; none in a state dict that is merged already."""
    shown = [site for site, name in SITES.items() if any(f".{name}." in key for key in tensors)]
    if not shown or "num_tadapter" not in arguments:
        return shown
    count = arguments["num_tadapter"]
    absent = {"fc2"} if count != 2 else set()
    return [site for site in SITES if site not in absent | ({"proj"} if count == -1 else set())]


def _refuse_unsupported(arguments: Mapping[str, Any], *, merged: bool) -> None:
    kind = arguments.get("adapter_type", "linear")
    if kind not in ACTIVATIONS:
        raise CheckpointError(f"adapter_type={kind!r}; legal are {', '.join(ACTIVATIONS)}")
    if merged and ACTIVATIONS[kind] != "none":
        raise CheckpointError(
            f"adapter_type={kind!r}, but the file has no adapters: such adapters are not linear, "
            "so a file that they were merged into does not hold the trained model"
        )
    if arguments.get("attn_adapter_type", "share") != "share":
        raise CheckpointError(
            f"attn_adapter_type={arguments['attn_adapter_type']!r} is not supported: "
            "queries, keys and values must share one adapter"
        )
    if (arguments.get("final_ta_cfg") or {}).get("use_it"):
        raise CheckpointError("final_ta_cfg.use_it is not supported (nor by the published code)")


def _adapter_params(
    arguments: Mapping[str, Any], tensors: Mapping[str, Tensor], sites: list[str]
) -> dict[str, Any]:
    scale = arguments["adapter_scale"]
    if not isinstance(scale, int | float) or isinstance(scale, bool):
        raise CheckpointError(f"adapter_scale={scale!r} is not a number")
    name = f"{BLOCKS}0.{SITES[sites[0]]}.D_fc1.weight"
    hidden, width = shape_of(tensors, name, 2)
    ratio = arguments.get("mlp_ratio", hidden / width)
    if int(width * ratio) != hidden and "mlp_ratio" not in arguments:
        ratio = nextafter(ratio, 2 * ratio)  # the division was rounded down
    if int(width * ratio) != hidden:
        raise CheckpointError(f"mlp_ratio={ratio} of {width} is not {hidden}, the rows of {name}")
    return {
        "adapters": sites,
        "adapter_ratio": ratio,
        "adapter_scale": float(scale),
        "adapter_dropout": float(arguments.get("dropout_rate", 0.1)),
        "adapter_activation": ACTIVATIONS[arguments.get("adapter_type", "linear")],
    }


def _check_shift_keys(shift: Any, kind: str | None) -> None:
    if not isinstance(shift, dict):
        raise CheckpointError(f"stdha_cfg={shift!r} is not a mapping")
    unread = set(shift) - (READ_BY[kind] if kind else STDHA_KEYS)
    if unread:
        reader = f"is not read by {kind}" if kind else "is unknown"
        raise CheckpointError(f"stdha_cfg: {', '.join(sorted(unread))} {reader}")


def temporal_params(shift: Mapping[str, Any], width: int, num_heads: int) -> dict[str, Any]:
    """``stdha_cfg`` of the published code as parameters of ours.

    Raises:
        CheckpointError: A layout of two classes at once, or a run of channels that is not a
            number of whole heads.
    """
    if shift.get("divide_head"):
        raise CheckpointError("stdha_cfg.divide_head is not supported (nor by the published code)")
    if set(shift) & SHORT_KEYS and set(shift) & LONG_KEYS:
        mixed = ", ".join(sorted((SHORT_KEYS | LONG_KEYS) & set(shift)))
        raise CheckpointError(f"stdha_cfg mixes the keys of two classes: {mixed}")
    moved = shift.get("shift_pattern", "kv")
    if moved not in {"kv", "qkv"}:
        raise CheckpointError(f"stdha_cfg.shift_pattern={moved!r}; legal are kv, qkv")
    runs = _long_runs(shift) if set(shift) & LONG_KEYS else _short_runs(shift)
    unit = {"stdha": "head", "tcs": "channel"}.get(shift.get("ops_type") or "stdha")
    if unit is None:
        raise CheckpointError(f"stdha_cfg.ops_type={shift['ops_type']!r}; legal are stdha, tcs")
    heads = _heads_of_runs(runs, width, num_heads)
    if unit == "channel":
        _check_channel_runs(heads, runs, width // num_heads, num_heads)
    return {"temporal_heads": heads, "moved": moved, "unit": unit}


def _short_runs(shift: Mapping[str, Any]) -> list[tuple[int, str, int]]:
    """(offset, key, divisor) of each run of channels, in order."""
    require(shift, ["shift_div"])
    step, div = whole({"shift_stride": 1} | dict(shift), "shift_stride"), whole(shift, "shift_div")
    runs = [(-step, "shift_div", div), (step, "shift_div", div)]
    return runs + _optional_runs(shift, "long_shift_div", 2, right=shift.get("long_shift_right"))


def _long_runs(shift: Mapping[str, Any]) -> list[tuple[int, str, int]]:
    require(shift, ["shift1_div"])
    runs = []
    for step in (1, 2, 3, 4):
        right = step <= 2 or shift.get(f"shift{step}_right")
        runs += _optional_runs(shift, f"shift{step}_div", step, right=right)
    if not runs or runs[0][0] != -1:
        raise CheckpointError(f"stdha_cfg.shift1_div={shift['shift1_div']!r} must be positive")
    return runs


def _optional_runs(
    shift: Mapping[str, Any], key: str, step: int, *, right: Any
) -> list[tuple[int, str, int]]:
    div = shift.get(key, -1)
    if not isinstance(div, int) or isinstance(div, bool):
        raise CheckpointError(f"stdha_cfg.{key}={div!r} is not a whole number")
    if div <= 0:
        return []
    return [(-step, key, div), (step, key, div)] if right else [(-step, key, div)]


def _heads_of_runs(runs: list[tuple[int, str, int]], width: int, num_heads: int) -> dict[int, int]:
    """Offset to number of heads, in head order."""
    head_dim, heads = width // num_heads, {}
    for offset, key, div in runs:
        if (width // div) % head_dim:
            raise CheckpointError(
                f"stdha_cfg.{key}={div} cuts a head: it moves {width // div} channels, and a head "
                f"has {head_dim} ({num_heads} heads of width {width})"
            )
        if offset in heads:
            raise CheckpointError(f"stdha_cfg gives offset {offset} twice; not supported")
        heads[offset] = width // div // head_dim
    if sum(heads.values()) > num_heads:
        raise CheckpointError(f"stdha_cfg moves {sum(heads.values())} of {num_heads} heads")
    return heads


def _check_channel_runs(
    heads: dict[int, int], runs: list[tuple[int, str, int]], head_dim: int, num_heads: int
) -> None:
    """The published "tcs" moves ``head_dim // shift_div`` channels of every head."""
    ends, total = [head_dim // runs[0][2] * n for n in (1, 2)], heads[runs[0][0]]
    ours = [total * n * head_dim // num_heads for n in (1, 2)]
    if len(runs) > 2 or ends != ours:
        raise CheckpointError(
            f"stdha_cfg.ops_type='tcs' moves {ends[0]} of the {head_dim} channels of each head, "
            f"which is no share of {num_heads}; not supported"
        )
