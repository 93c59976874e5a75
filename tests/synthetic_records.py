"""Run records made up for tests of the reading side; no number in them was measured."""

from pathlib import Path
from typing import Any

import numpy as np

from zeroi2v_bench.records import RunRecord, append_record, run_key, write_predictions
from zeroi2v_bench.types import Predictions

EFFICIENCY = {
    "params": 86_000_000,
    "tunable_params": 14_201_856,
    "new_params": 6_144,
    "gmacs_per_view": 140.5,
    "gmacs_per_video": 421.5,
}


def record(**changes: Any) -> RunRecord:
    """A whole record; dotted names reach inside, as in ``record(**{"accuracy.top1": 50.0})``."""
    data: dict[str, Any] = {
        "created": "2026-01-01T00:00:00Z",
        "protocol": "full_digits",
        "protocol_version": 1,
        "protocol_hash": "a" * 64,
        "recipe": "ours",
        "dataset": "moving_digits",
        "split": "default",
        "shots": None,
        "seed": 0,
        "views": "8x1x1",
        "method": "zeroi2v",
        "module": "zeroi2v",
        "params": {},
        "optim": {},
        "backbone": {"spec": "digits", "weights_hash": "b" * 64},
        "splits_fingerprint": "c" * 64,
        "class_names_hash": "d" * 64,
        "class_names": ["left", "right"],
        "num_train": 800,
        "num_test": 400,
        "accuracy": {"top1": 87.25, "top5": 99.0, "num_clips": 400, "num_expected": 400},
        "efficiency": dict(EFFICIENCY),
        "efficiency_unmerged": {**EFFICIENCY, "gmacs_per_video": 488.6},
        "merge": {
            "num_clips": 400,
            "max_abs_float32": 1.26e-6,
            "max_abs_float64": 2e-14,
            "num_verified": 16,
            "num_merged": 16,
        },
        "fit": {"solver": "adamw"},
        "decoder": "pyav 18.1.0",
        "environment": {
            "package": "0.1.0",
            "python": "3.11.2",
            "platform": "Linux",
            "device": "cpu",
            "threads": 2,
            "libraries": {},
        },
        "seconds": {"train": 60.0, "evaluate": 12.5},
    }
    for dotted, value in changes.items():
        *parents, leaf = dotted.split(".")
        node = data
        for parent in parents:
            node = node[parent]
        node[leaf] = value
    about = [data[k] for k in ("protocol", "protocol_hash", "method", "seed", "shots")]
    key = run_key(about=about, backbone=data["backbone"]["spec"])
    named = {"key": key, "run_id": f"{data['method']}-s{data['seed']}-{key[:8]}"}
    return RunRecord.model_validate(named | data)


def write_run(root: Path, best: list[int | None], labels: list[int], **changes: Any) -> RunRecord:
    """A record and its predictions under ``root``; ``best`` is None for an unreadable clip."""
    classes = max(labels) + 1
    scores = np.full((len(best), classes), 0.1, dtype=np.float32)
    for row, label in enumerate(best):
        scores[row, label if label is not None else slice(None)] = (
            0.9 if label is not None else np.nan
        )
    predictions = Predictions(
        clip_ids=tuple(f"clip{row}" for row in range(len(best))),
        labels=np.array(labels),
        scores=scores,
        status=tuple("ok" if label is not None else "unreadable" for label in best),
    )
    right = sum(a == b for a, b in zip(best, labels, strict=True))
    counts = {
        "accuracy.num_clips": len(best) - best.count(None),
        "accuracy.num_expected": len(best),
        "num_test": len(best),
    }
    top1 = {"accuracy.top1": 100 * right / len(best)}
    names = {"class_names": [f"class {k}" for k in range(classes)]}
    made = record(**counts, **top1, **names, **changes)
    write_predictions(predictions, append_record(made, root))
    return made
