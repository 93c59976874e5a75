"""What one run works with, and the record that is made of it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.checkpoints.saved import build_skeleton
from zeroi2v_bench.costs.efficiency import count_costs
from zeroi2v_bench.environment import describe_environment
from zeroi2v_bench.evaluation import accuracy_of
from zeroi2v_bench.merging import refusal
from zeroi2v_bench.records import RunRecord, run_key, slug
from zeroi2v_bench.training.train_loss import precision_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.data.reader import FrameReader
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.records import Efficiency, FitReport, MergeReport
    from zeroi2v_bench.training.execution import Execution
    from zeroi2v_bench.types import Predictions, Splits


@dataclass(kw_only=True)
class Job:
    """What one run works with, and how long each step took."""

    protocol: Protocol
    method: str
    seed: int
    backbone: Backbone
    splits: Splits
    reader: FrameReader
    execution: Execution
    report: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        """Side of the views: the backbone's, which is the protocol's unless it has but one."""
        return self.backbone.model.config.image_size

    @property
    def device(self) -> str:
        """Where the models are."""
        return self.execution.device

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time of a step to ``seconds``."""
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run; ``predictions`` are the model's and, where it was merged, the copy's.

    ``given`` says that the model came from a checkpoint instead of a training.
    """

    model: VideoViT
    given: bool
    merged: VideoViT | None
    fitted: FitReport
    checked: MergeReport | None
    predictions: list[Predictions]


def key_of(job: Job) -> str:
    """Hash of everything that makes two runs the same run."""
    decoder, spec = job.execution.decoder, job.protocol.spec_of(job.method)
    heads = list(spec.params.get("temporal_heads", {}).items())
    return run_key(
        protocol=job.protocol.name,
        version=job.protocol.version,
        hash=job.protocol.hash,
        method=job.method,
        spec=spec.model_dump(mode="json"),
        backbone=job.backbone.info.model_dump(mode="json"),
        seed=job.seed,
        splits=job.splits.fingerprint,
        class_names=job.splits.class_names_hash,
        **({} if decoder == "pyav" else {"decoder": decoder}),
        # Their order is a part of the model, which the sorted keys of the hash do not show.
        **({} if heads == sorted(heads, key=_nearest_first) else {"temporal_heads": heads}),
    )


def _nearest_first(item: tuple[Any, Any]) -> tuple[int, bool]:
    offset = int(item[0])
    return abs(offset), offset > 0


def record_path(job: Job, key: str, results: Path) -> Path:
    """Where the record of a run lies."""
    parts = (slug(job.method), slug(job.backbone.info.spec), f"seed{job.seed}", key[:10])
    return results / job.protocol.name / f"{'_'.join(parts)}.json"


def make_record(job: Job, key: str, run_id: str, outcome: Outcome) -> RunRecord:
    """Everything a table or a doubt may ask for later."""
    protocol, splits, merged = job.protocol, job.splits, outcome.merged
    final = merged or outcome.model
    accuracies = [accuracy_of(p, bad_clips=protocol.splits.bad_clips) for p in outcome.predictions]
    return RunRecord(
        run_id=run_id,
        key=key,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        protocol=protocol.name,
        protocol_version=protocol.version,
        protocol_hash=protocol.hash,
        recipe=protocol.recipe_of(job.method, job.backbone.info.spec),
        dataset=protocol.dataset,
        split=protocol.splits.name,
        shots=protocol.splits.shots,
        seed=job.seed,
        views=f"{protocol.sampling.num_frames}x{protocol.views.crops}x{protocol.views.clips}",
        method=job.method,
        module=protocol.module_of(job.method),
        params=final.recipe.params if final.recipe else {},
        optim=protocol.optim_of(job.method).model_dump(mode="json"),
        backbone=job.backbone.info,
        splits_fingerprint=splits.fingerprint,
        class_names_hash=splits.class_names_hash,
        class_names=splits.class_names,
        num_train=len(splits.train),
        num_test=len(splits.test),
        accuracy=accuracies[-1],
        accuracy_unmerged=accuracies[0] if merged else None,
        efficiency=costs_of(job, outcome, final),
        efficiency_unmerged=costs_of(job, outcome, outcome.model) if merged else None,
        merge=outcome.checked,
        fit=outcome.fitted,
        decoder=job.reader.version,
        environment=describe_environment(job.device),
        seconds=job.seconds,
        notes=notes_of(job, outcome),
    )


def costs_of(job: Job, outcome: Outcome, model: VideoViT) -> Efficiency:
    """Parameters and multiply-adds of the model over the protocol's test views."""
    views, trained = job.protocol.views, outcome.model
    if outcome.given and trained.recipe:  # a merged file has nothing left that was trained
        trained = build_skeleton(trained.config, trained.recipe, merged=False)
    return count_costs(
        model,
        job.backbone.model,
        num_frames=job.protocol.sampling.num_frames,
        views=views.clips * views.crops,
        trained=trained,
    )


def notes_of(job: Job, outcome: Outcome) -> tuple[str, ...]:
    """What a reader must know to read the record right."""
    notes = []
    if job.image_size != job.protocol.image_size:
        size = job.image_size
        notes.append(f"views are {size} x {size}, the only size of {job.backbone.info.spec}")
    wanted = job.protocol.optim_of(job.method).precision
    if outcome.fitted.solver == "adamw" and precision_on(job.device, wanted) != wanted:
        notes.append(f"trained in float32: {wanted} is for GPUs")
    if reason := refusal(outcome.model):
        notes.append(f"not merged: {reason}")
    return tuple(notes)
