"""Few-shot and benchmark evaluation suite for ZeroI2V. Everything the CLI does, as functions.

Names are imported on first use, so that listing protocols or reporting never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroi2v_bench.backbones.base import load_backbone
    from zeroi2v_bench.checkpoints.export import export_model
    from zeroi2v_bench.checkpoints.official import load_official
    from zeroi2v_bench.checkpoints.saved import load_model, save_model
    from zeroi2v_bench.costs.cost_records import append_costs, load_costs
    from zeroi2v_bench.costs.measuring import measure
    from zeroi2v_bench.data.splits import load_splits
    from zeroi2v_bench.evaluation import evaluate
    from zeroi2v_bench.merging import merge, verify_merge
    from zeroi2v_bench.methods.base import adapt
    from zeroi2v_bench.protocol import load_protocol, override
    from zeroi2v_bench.records import append_record, load_records
    from zeroi2v_bench.reports.html_report import html_page
    from zeroi2v_bench.reports.pairing import compare_pair
    from zeroi2v_bench.reports.tables import build_table
    from zeroi2v_bench.runner import run
    from zeroi2v_bench.video.decode import decode_frames, probe_video

__version__ = "0.1.0"

__all__ = [
    "adapt",
    "append_costs",
    "append_record",
    "build_table",
    "compare_pair",
    "decode_frames",
    "evaluate",
    "export_model",
    "html_page",
    "load_backbone",
    "load_costs",
    "load_model",
    "load_official",
    "load_protocol",
    "load_records",
    "load_splits",
    "measure",
    "merge",
    "override",
    "probe_video",
    "run",
    "save_model",
    "verify_merge",
]

# No module may carry the name of a function here: importing it would hide the function.
_HOMES = {
    "adapt": "methods.base",
    "append_costs": "costs.cost_records",
    "append_record": "records",
    "build_table": "reports.tables",
    "compare_pair": "reports.pairing",
    "decode_frames": "video.decode",
    "evaluate": "evaluation",
    "export_model": "checkpoints.export",
    "html_page": "reports.html_report",
    "load_backbone": "backbones.base",
    "load_costs": "costs.cost_records",
    "load_model": "checkpoints.saved",
    "load_official": "checkpoints.official",
    "load_protocol": "protocol",
    "load_records": "records",
    "load_splits": "data.splits",
    "measure": "costs.measuring",
    "merge": "merging",
    "override": "protocol",
    "probe_video": "video.decode",
    "run": "runner",
    "save_model": "checkpoints.saved",
    "verify_merge": "merging",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
