"""One run from a protocol to its record. The story reads top to bottom."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zeroi2v_bench.backbones.base import Backbone, hash_weights, load_backbone
from zeroi2v_bench.checkpoints import is_saved_model, load_model, save_model
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.evaluation import evaluate
from zeroi2v_bench.loader import build_loader
from zeroi2v_bench.merging import compare_predictions, count_adapted, merge, refusal, verify_merge
from zeroi2v_bench.methods.base import adapt, parse_params
from zeroi2v_bench.nn.video_vit import VideoViT
from zeroi2v_bench.official import load_official
from zeroi2v_bench.reader import FrameReader
from zeroi2v_bench.recording import Job, Outcome, key_of, make_record, record_path
from zeroi2v_bench.records import (
    BackboneInfo,
    FitReport,
    MergeReport,
    RunRecord,
    append_record,
    read_record,
    write_predictions,
)
from zeroi2v_bench.splits import load_splits
from zeroi2v_bench.train import fit, fit_head, only_head_trains
from zeroi2v_bench.transforms import normalise
from zeroi2v_bench.types import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.types import Clip, Predictions

VERIFIED_CLIPS = 64
"""Test clips on which the logits before and after merging are compared, in float32 and float64."""
EVAL_BATCH = 64


def run(
    protocol: Protocol,
    *,
    method: str,
    seed: int | None = None,
    backbone: str | None = None,
    results: Path = Path("results/local"),
    data_root: Path | None = None,
    random_weights: bool = False,
    checkpoint: Path | None = None,
    config: Mapping[str, Any] | None = None,
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
        checkpoint: A trained model, published or saved by this package, to evaluate instead of
            training one.
        config: For a published checkpoint, what its file does not say; see `load_official`.
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
    trained = None if checkpoint is None else load_trained(checkpoint, config)
    if trained is None:
        spec, size = backbone or protocol.backbone_of(method), protocol.image_size
        source = load_backbone(spec, image_size=size, random_weights=random_weights)
    else:
        source = plain_model_of(trained, checkpoint)
    job = Job(
        protocol=protocol,
        method=method,
        seed=seed,
        backbone=source,
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
    if trained is not None:
        check_fit(job, trained)
        model, fitted = trained.to(device), FitReport(solver="none")
    else:
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


def load_trained(checkpoint: Path, config: Mapping[str, Any] | None) -> VideoViT:
    """A model that this package saved, or a published checkpoint.

    Raises:
        CheckpointError: Neither, or a contradiction; see `load_official`.
    """
    if config is None and is_saved_model(checkpoint):
        return load_model(checkpoint)
    return load_official(checkpoint, config)


def plain_model_of(trained: VideoViT, checkpoint: Path | None) -> Backbone:
    """The image model that a trained one was made from, for counting; it has no weights."""
    with torch.device("meta"):
        plain = VideoViT(trained.config)
    spec = f"checkpoint:{checkpoint.name}" if checkpoint else "checkpoint"
    info = BackboneInfo(spec=spec, weights_hash=hash_weights(trained))
    return Backbone(model=plain, info=info)


def check_fit(job: Job, trained: VideoViT) -> None:
    """Refuse a trained model that was made for something else than the job.

    Raises:
        CheckpointError: Another method, number of frames or number of classes.
    """
    recipe = trained.recipe
    if recipe is None:
        raise CheckpointError("the checkpoint is a plain image model; train it with a method")
    wanted = (
        job.protocol.module_of(job.method),
        job.protocol.sampling.num_frames,
        len(job.splits.class_names),
    )
    found = (recipe.method, recipe.num_frames, len(recipe.class_names))
    if found != wanted:
        raise CheckpointError(
            "the checkpoint is {} for {} frames and {} classes".format(*found)
            + ", the protocol asks for {}, {} frames and {} classes".format(*wanted)
        )


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
