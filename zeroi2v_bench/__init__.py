"""Few-shot and benchmark evaluation suite for ZeroI2V. Everything the CLI does, as functions.

Names are imported on first use, so that listing protocols or reporting never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import load_backbone
    from zeroi2v_bench.merging import merge, verify_merge
    from zeroi2v_bench.protocol import load_protocol, override
    from zeroi2v_bench.records import append_record, load_records

__version__ = "0.1.0"

__all__ = [
    "append_record",
    "load_backbone",
    "load_protocol",
    "load_records",
    "merge",
    "override",
    "verify_merge",
]

# No module may carry the name of a function here: importing it would hide the function.
_HOMES = {
    "append_record": "records",
    "load_backbone": "backbones.base",
    "load_protocol": "protocol",
    "load_records": "records",
    "merge": "merging",
    "override": "protocol",
    "verify_merge": "merging",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
