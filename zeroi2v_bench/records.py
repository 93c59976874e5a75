"""Run records: typed, versioned, append-only JSON files; per-clip predictions beside them.

``results/<protocol>/<run_id>.json`` is written once, to a temporary file in the same folder that
is then renamed, and never changed. Reading needs neither torch nor the model.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.strict import Frozen, Positive, first_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zeroi2v_bench.types import Predictions

SCHEMA = 1
COSTS = "costs"
"""Folder of the cost records, beside those of the protocols; see `cost_records`."""

R = TypeVar("R", bound=Frozen)
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]


class Accuracy(Frozen):
    """Share of the expected test clips, in per cent; a clip without a score counts as wrong.

    Attributes:
        num_clips: Clips that were scored.
        num_expected: Clips in the denominator.
        num_unreadable: Expected clips that could not be decoded.
        num_damaged: Expected clips whose decoder reported damage.
    """

    top1: Percent
    top5: Percent
    num_clips: Count
    num_expected: Count
    num_unreadable: Count = 0
    num_damaged: Count = 0


class Efficiency(Frozen):
    """What a model costs. Multiply-adds are in G (1e9) and counted for the whole network.

    Attributes:
        params: Parameters in total.
        tunable_params: Those that were trained.
        new_params: Those added at inference to the plain image model with the same classifier.
        gmacs_per_view: Multiply-adds of one view.
        gmacs_per_video: The same summed over all views of a video ("GFLOPs" in the papers).
        latency_ms: Median time of one video (all its views) at batch 1; None if not timed.
        clips_per_s: Videos per second at the fixed batch; None if not timed.
        peak_memory_mb: Highest memory in use; None if not measured.
    """

    params: int
    tunable_params: int
    new_params: int
    gmacs_per_view: float
    gmacs_per_video: float
    latency_ms: float | None = None
    clips_per_s: float | None = None
    peak_memory_mb: float | None = None


class MergeReport(Frozen):
    """Difference between a model and its merged copy on real test clips.

    Attributes:
        num_clips: Test clips whose top-1 was compared.
        max_abs_float32: Largest absolute logit difference, both as they are.
        max_abs_float64: The same with the unmerged model cast to double and merged there.
        num_verified: Clips behind the two differences.
        ties: Clips whose two best logits lie within the tolerance, so that their top-1 is open.
        num_merged: Adapted layers that became plain linear ones.
    """

    num_clips: int
    max_abs_float32: float
    max_abs_float64: float
    num_verified: int
    ties: tuple[str, ...] = ()
    num_merged: int


class FitReport(Frozen):
    """How training went; ``solver`` is "none" where nothing is trained."""

    solver: Literal["none", "adamw", "logistic_regression"]
    epochs: int = 0
    steps: int = 0
    losses: tuple[float, ...] = ()
    num_clips: int = 0
    left_out: tuple[str, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)


class BackboneInfo(Frozen):
    """Where the frozen weights come from: spec, SHA-256 of the weights, and whether random."""

    spec: str
    weights_hash: str
    random_weights: bool = False


class Environment(Frozen):
    """The machine and the software of a run."""

    package: str
    python: str
    platform: str
    device: str
    threads: int
    libraries: dict[str, str]


class RunRecord(Frozen):
    """One run: a protocol, a method, a backbone and a seed, with everything that came of it."""

    kind: Literal["run"] = "run"
    schema_version: Literal[1] = 1
    run_id: str
    key: str
    created: str
    protocol: str
    protocol_version: int
    protocol_hash: str
    recipe: str
    dataset: str
    split: str
    shots: Positive | None
    seed: int
    views: str
    method: str
    module: str
    params: dict[str, Any]
    optim: dict[str, Any]
    backbone: BackboneInfo
    splits_fingerprint: str
    class_names_hash: str
    class_names: tuple[str, ...]
    num_train: int
    num_test: int
    accuracy: Accuracy
    accuracy_unmerged: Accuracy | None = None
    efficiency: Efficiency
    efficiency_unmerged: Efficiency | None = None
    merge: MergeReport | None = None
    fit: FitReport
    decoder: str
    environment: Environment
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()


def slug(text: str) -> str:
    """The text as a part of a file name: letters, digits, ``._-``, anything else a dash."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-") or "x"


def run_key(**parts: Any) -> str:
    """SHA-256 of what makes two runs the same run."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary file in the same folder, then rename; the folder is made if missing.

    Raises:
        RecordError: The folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror or error}") from error


def append_record(record: RunRecord, root: Path) -> Path:
    """Write a new record under ``root/<protocol>/``; an existing file is never replaced.

    Raises:
        RecordError: A record of that id exists, or the folder cannot be written.
    """
    if record.protocol == COSTS:
        raise RecordError(f"a protocol cannot be named {COSTS!r}: its folder holds cost records")
    return write_once(record, root / record.protocol / f"{record.run_id}.json")


def write_once(record: Frozen, path: Path) -> Path:
    """Write a record of any kind to a new file.

    Raises:
        RecordError: The file exists, or the folder cannot be written.
    """
    if path.exists():
        raise RecordError(f"{path} exists; records are never rewritten")
    write_atomically(path, (record.model_dump_json(indent=2) + "\n").encode())
    return path


def read_record(path: Path) -> RunRecord:
    """Read the record of a run; errors as in `read_as`."""
    return read_as(RunRecord, path)


def read_as(kind: type[R], path: Path) -> R:
    """Read a record of that kind.

    Raises:
        RecordError: Unreadable, truncated, of a newer schema, or with unknown or missing fields.
    """
    try:
        text = path.read_text(encoding="utf-8")
        version = json.loads(text).get("schema_version")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise RecordError(f"{path}: damaged record, not a JSON object: {error}") from error
    if isinstance(version, int) and version > SCHEMA:
        raise RecordError(f"{path}: schema {version} is newer than {SCHEMA}; upgrade zeroi2v-bench")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise RecordError(f"{path}: damaged record: {first_problem(error)}") from error


def load_records(roots: Iterable[Path]) -> tuple[list[RunRecord], list[str]]:
    """Read every record under the folders, oldest first.

    Returns:
        The records, and one line for each file that could not be read.

    Raises:
        RecordError: A folder does not exist.
    """
    records: list[RunRecord] = []
    problems: list[str] = []
    seen: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise RecordError(f"{root}: no such results folder; run `zeroi2v-bench run` first")
        for path in sorted(p for p in root.glob("*/*.json") if p.parent.name != COSTS):
            try:
                record = read_record(path)
            except RecordError as error:
                problems.append(str(error))
                continue
            name = f"{record.protocol}/{record.run_id}"
            if name in seen:
                problems.append(f"{path}: same run id as {seen[name]}; the first is used")
                continue
            seen[name] = path
            records.append(record)
    return sorted(records, key=lambda r: (r.created, r.run_id)), problems


def predictions_path(record_path: Path) -> Path:
    """The per-clip predictions that belong to a record."""
    return record_path.with_suffix(".predictions.csv.gz")


def write_predictions(predictions: Predictions, record_path: Path) -> Path:
    """Write one row per expected clip: id, label, status and the five best classes with scores."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["clip_id", "label", "status", "top", "scores"])
    order = (-predictions.scores).argsort(axis=1, kind="stable")[:, :5]
    for row, clip_id in enumerate(predictions.clip_ids):
        best = order[row] if predictions.status[row] == "ok" else []
        top = " ".join(str(int(k)) for k in best)
        scores = " ".join(f"{predictions.scores[row, k]:.6g}" for k in best)
        rows.writerow([clip_id, int(predictions.labels[row]), predictions.status[row], top, scores])
    path = predictions_path(record_path)
    write_atomically(path, gzip.compress(text.getvalue().encode(), mtime=0))
    return path
