"""One run from a protocol to its record. The story reads top to bottom."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zeroi2v_bench.backbones.base import load_backbone
from zeroi2v_bench.checkpoints import save_model
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.efficiency import count_costs
from zeroi2v_bench.environment import describe_environment
from zeroi2v_bench.evaluation import accuracy_of, evaluate
from zeroi2v_bench.loader import build_loader
from zeroi2v_bench.merging import compare_predictions, count_adapted, merge, refusal, verify_merge
from zeroi2v_bench.methods.base import adapt, parse_params
from zeroi2v_bench.reader import FrameReader
from zeroi2v_bench.records import (
    Efficiency,
    FitReport,
    MergeReport,
    RunRecord,
    append_record,
    read_record,
    run_key,
    slug,
    write_predictions,
)
from zeroi2v_bench.splits import load_splits
from zeroi2v_bench.train import fit, fit_head, only_head_trains
from zeroi2v_bench.transforms import normalise
from zeroi2v_bench.types import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zeroi2v_bench.backbones.base import Backbone
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.types import Clip, Predictions, Splits

VERIFIED_CLIPS = 64
"""Test clips on which the logits before and after merging are compared, in float32 and float64."""
EVAL_BATCH = 64


@dataclass(kw_only=True)
class Job:
    """What one run works with, and how long each step took."""

    protocol: Protocol
    method: str
    seed: int
    backbone: Backbone
    splits: Splits
    reader: FrameReader
    device: str
    workers: int
    report: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        """Side of the views: the backbone's, which is the protocol's unless it has but one."""
        return self.backbone.model.config.image_size

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time of a step to ``seconds``."""
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run; ``predictions`` are the model's and, where it was merged, the copy's."""

    model: VideoViT
    merged: VideoViT | None
    fitted: FitReport
    checked: MergeReport | None
    predictions: list[Predictions]


def run(
    protocol: Protocol,
    *,
    method: str,
    seed: int | None = None,
    backbone: str | None = None,
    results: Path = Path("results/local"),
    data_root: Path | None = None,
    random_weights: bool = False,
    device: str = "cpu",
    workers: int = 0,
    reader: FrameReader | None = None,
    force: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> RunRecord:
    """Adapt, train, merge, verify, evaluate and record; or return the record that is there.

    Args:
        protocol: What to run.
        method: A row of the protocol's ``methods``, or the name of a method module.
        seed: Draws, initialisation, order and augmentation; None is the protocol's first.
        backbone: Where the image model comes from; None is the protocol's.
        results: Folder of the records; predictions and the final weights lie beside each.
        data_root: The dataset's folder.
        random_weights: Run on random weights; every record and table says so.
        device: "cpu", "cuda" or "cuda:N".
        workers: Processes that read clips.
        reader: Reads frames; share one between runs on the same clips.
        force: Run again even if the same run is recorded.
        report: Called with a line for every step.

    Raises:
        BenchError: Bad input, a training that fails, or a merge past tolerance. Nothing is
            recorded then.
    """
    seed = protocol.seeds[0] if seed is None else seed
    parse_params(protocol.module_of(method), protocol.spec_of(method).params)
    job = Job(
        protocol=protocol,
        method=method,
        seed=seed,
        backbone=load_backbone(
            backbone or protocol.backbone,
            image_size=protocol.image_size,
            random_weights=random_weights,
        ),
        splits=load_splits(protocol, data_root, seed),
        reader=reader or FrameReader(),
        device=device,
        workers=workers,
        report=report,
    )
    key = key_of(job)
    path = record_path(job, key, results)
    if path.is_file() and not force:
        report(f"already recorded: {path}")
        return read_record(path)
    started = time.perf_counter()
    model = adapt_to_task(job)
    with job.timed("fit"):
        fitted = train(job, model)
    merged = None if refusal(model) or not count_adapted(model) else merge(model)
    with job.timed("evaluate"):
        predictions = predict(job, [model] if merged is None else [model, merged])
    with job.timed("verify"):
        checked = None if merged is None else check_merge(job, model, merged, predictions)
    job.seconds["total"] = round(time.perf_counter() - started, 2)
    while path.exists():  # forced: the earlier record stays
        path = path.with_name(f"{path.stem}+.json")
    outcome = Outcome(
        model=model, merged=merged, fitted=fitted, checked=checked, predictions=predictions
    )
    record = make_record(job, key, path.stem, outcome)
    write_predictions(predictions[-1], path)
    save_model(merged or model, path.with_suffix(".safetensors"))
    append_record(record, results)
    return record


def key_of(job: Job) -> str:
    """Hash of everything that makes two runs the same run."""
    return run_key(
        protocol=job.protocol.name,
        version=job.protocol.version,
        hash=job.protocol.hash,
        method=job.method,
        spec=job.protocol.spec_of(job.method).model_dump(mode="json"),
        backbone=job.backbone.info.model_dump(mode="json"),
        seed=job.seed,
        splits=job.splits.fingerprint,
        class_names=job.splits.class_names_hash,
    )


def record_path(job: Job, key: str, results: Path) -> Path:
    """Where the record of a run lies."""
    parts = (slug(job.method), slug(job.backbone.info.spec), f"seed{job.seed}", key[:10])
    return results / job.protocol.name / f"{'_'.join(parts)}.json"


def adapt_to_task(job: Job) -> VideoViT:
    """The adapted model, on the device, in eval mode; new parameters are drawn by the seed."""
    task = Task(num_frames=job.protocol.sampling.num_frames, class_names=job.splits.class_names)
    module, spec = job.protocol.module_of(job.method), job.protocol.spec_of(job.method)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = adapt(module, job.backbone, task, spec.params)
    return model.to(job.device).eval()


def train(job: Job, model: VideoViT) -> FitReport:
    """Train what the method left trainable."""
    clips, optim = job.splits.train, job.protocol.optim_of(job.method)
    if only_head_trains(model):
        return fit_head(model, loader_of(job, clips), clips, device=job.device)
    loader = build_loader(
        clips,
        job.protocol,
        job.reader,
        image_size=job.image_size,
        batch_size=optim.batch_size,
        seed=job.seed,
        flip_pairs=find_dataset(job.protocol.dataset).FLIP_PAIRS,
        workers=job.workers,
    )

    def progress(epoch: int, loss: float) -> None:
        job.report(f"{job.method}: epoch {epoch + 1}/{optim.epochs}, loss {loss:.3f}")

    return fit(model, loader, optim, clips, device=job.device, seed=job.seed, progress=progress)


def loader_of(job: Job, clips: tuple[Clip, ...]) -> torch.utils.data.DataLoader:  # type: ignore[type-arg]
    """Test views of the clips, in order."""
    return build_loader(
        clips,
        job.protocol,
        job.reader,
        image_size=job.image_size,
        batch_size=EVAL_BATCH,
        workers=job.workers,
    )


def predict(job: Job, models: list[VideoViT]) -> list[Predictions]:
    """Scores of all models on every test clip, each clip read once."""
    return evaluate(
        models,
        loader_of(job, job.splits.test),
        job.splits.test,
        num_classes=len(job.splits.class_names),
        device=job.device,
    )


def check_merge(
    job: Job, model: VideoViT, merged: VideoViT, predictions: list[Predictions]
) -> MergeReport:
    """Logits on the first test clips, top-1 on all of them.

    Raises:
        MergeError: Past tolerance, or a clip changed its top-1.
    """
    batches = (
        normalise(batch.video.flatten(0, 1).to(job.device), model.config.mean, model.config.std)
        for batch in loader_of(job, job.splits.test[:VERIFIED_CLIPS])
        if len(batch.rows)
    )
    checked = verify_merge(model, merged, batches)
    ties = compare_predictions(*predictions)
    return checked.model_copy(update={"num_clips": len(job.splits.test), "ties": ties})


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
        recipe=protocol.recipe,
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
        decoder=f"pyav {version('av')}",
        environment=describe_environment(job.device),
        seconds=job.seconds,
        notes=notes_of(job, outcome),
    )


def costs_of(job: Job, outcome: Outcome, model: VideoViT) -> Efficiency:
    """Parameters and multiply-adds of the model over the protocol's test views."""
    views = job.protocol.views
    return count_costs(
        model,
        job.backbone.model,
        num_frames=job.protocol.sampling.num_frames,
        views=views.clips * views.crops,
        trained=outcome.model,
    )


def notes_of(job: Job, outcome: Outcome) -> tuple[str, ...]:
    """What a reader must know to read the record right."""
    notes = []
    if job.image_size != job.protocol.image_size:
        size = job.image_size
        notes.append(f"views are {size} x {size}, the only size of {job.backbone.info.spec}")
    if reason := refusal(outcome.model):
        notes.append(f"not merged: {reason}")
    return tuple(notes)
