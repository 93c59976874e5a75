"""Check that a library's model is built of the parts that ours is built of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def first_misfit(model: nn.Module, legal: Mapping[str, str]) -> str | None:
    """The first submodule that stands where another kind is expected; None if all fit.

    Args:
        model: The library's model.
        legal: Regular expressions for whole submodule names, and the class names, separated by
            spaces, that may stand there. A submodule whose name none matches is a misfit.
    """
    for name, module in model.named_modules():
        kind = type(module).__name__
        expected = next((k for pattern, k in legal.items() if re.fullmatch(pattern, name)), "")
        if kind not in expected.split():
            where = f"its {name}" if name else "the model"
            wanted = f", expected {' or '.join(expected.split())}" if expected else ""
            return f"{where} is a {kind}{wanted}"
    return None


def activation_name(module: nn.Module) -> str:
    """Our name of a library's activation: "gelu", "gelu_tanh" or "quick_gelu"."""
    if getattr(module, "approximate", "none") == "tanh":
        return "gelu_tanh"
    return {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu"}[
        type(module).__name__
    ]
