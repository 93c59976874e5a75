"""One run from a protocol to its record. The story reads top to bottom."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zeroi2v_bench.backbones.base import load_backbone
from zeroi2v_bench.checkpoints.saved import save_model
from zeroi2v_bench.checkpoints.trained_model import check_fit, load_trained, plain_model_of
from zeroi2v_bench.data.data_index import load_index
from zeroi2v_bench.data.frame_cache import open_cache
from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader import FrameReader
from zeroi2v_bench.data.reader_watch import batches_of
from zeroi2v_bench.data.splits import load_splits
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.distributed import gather, is_first, require_agreement
from zeroi2v_bench.evaluation import accuracy_of, evaluate
from zeroi2v_bench.merging import (
    compare_predictions,
    count_adapted,
    full_float32,
    merge,
    refusal,
    verify_merge,
)
from zeroi2v_bench.methods.base import adapt, parse_params
from zeroi2v_bench.recording import Job, Outcome, key_of, make_record, record_path
from zeroi2v_bench.records import (
    FitReport,
    MergeReport,
    RunRecord,
    append_record,
    read_record,
    write_predictions,
)
from zeroi2v_bench.training.execution import IN_THIS_PROCESS, Execution, default_workers
from zeroi2v_bench.training.faults import clear_faults
from zeroi2v_bench.training.probe import fit_head, only_head_trains
from zeroi2v_bench.training.progress import clip_bar, watching
from zeroi2v_bench.training.run_lock import sole_run
from zeroi2v_bench.training.train import fit
from zeroi2v_bench.training.train_state import Checkpoint
from zeroi2v_bench.types import Task
from zeroi2v_bench.video.transforms import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from torch.utils.data import DataLoader

    from zeroi2v_bench.data.data_index import ClipInfo
    from zeroi2v_bench.data.frame_cache import FrameCache
    from zeroi2v_bench.data.loader import Sample
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.types import Clip, Predictions

VERIFIED_CLIPS = 64
"""Test clips on which the logits before and after merging are compared, in float32 and float64."""
VERIFIED_FRAMES = 64
"""Frames at once there: attention in float64 takes memory that evaluation does not."""
EVAL_FRAMES = 512
"""Frames per batch of test views: as many clips as fit, at least one."""


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
    execution: Execution = IN_THIS_PROCESS,
    cache: FrameCache | None = None,
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
        execution: Devices, processes, checkpoints, decoder and cache.
        cache: Of decoded frames; share one between runs. None opens one of ``execution.cache``.
        force: Run again even if the same run is recorded.
        report: Called with a line for every step.

    Raises:
        BenchError: Bad input, a training that fails, or a merge past tolerance. Nothing is
            recorded then; a training that was begun goes on from its checkpoint next time.
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
        reader=make_reader(execution, cache, load_index(results, protocol.dataset, data_root)),
        execution=execution,
        report=report,
    )
    key = key_of(job)
    require_agreement(key)
    path = record_path(job, key, results)
    with sole_run(path), clear_faults():
        if gather(path.is_file())[0] and not force:
            report(f"already recorded: {path}")
            return read_record(path)
        while path.exists():  # forced: the earlier record stays
            path = path.with_name(f"{path.stem}+.json")
        return perform(job, key, path, trained)


def make_reader(
    execution: Execution, cache: FrameCache | None, index: Mapping[str, ClipInfo]
) -> FrameReader:
    """A reader with the cache, in which what no run has used since may now make room."""
    if cache is None:
        cache = open_cache(execution.cache, execution.cache_gb)
    else:
        cache.begin_run()
    return FrameReader(cache, index, execution.decoder)


@full_float32()
def perform(job: Job, key: str, path: Path, trained: VideoViT | None) -> RunRecord:
    """Do what is not recorded yet, and write the record last; only the first process writes."""
    started = time.perf_counter()
    checkpoint = checkpoint_of(job, key, path)
    if trained is not None:
        check_fit(job, trained)
        model, fitted = trained.to(job.device), FitReport(solver="none")
    else:
        model = adapt_to_task(job)
        with job.timed("fit"):
            fitted = train(job, model, checkpoint)
        # What earlier attempts of a resumed training took counts too.
        earlier = max(0.0, fitted.details.get("seconds", 0.0) - job.seconds["fit"])
        started -= earlier
        job.seconds["fit"] = round(job.seconds["fit"] + earlier, 2)
        if fitted.left_out:
            job.report(f"training clips that could not be read: {', '.join(fitted.left_out)}")
    merged = None if refusal(model) or not count_adapted(model) else merge(model)
    with job.timed("evaluate"):
        predictions = predict(job, [model] if merged is None else [model, merged])
    with job.timed("verify"):
        checked = None if merged is None else check_merge(job, model, merged, predictions)
    job.seconds["total"] = round(time.perf_counter() - started, 2)
    outcome = Outcome(
        model=model,
        given=trained is not None,
        merged=merged,
        fitted=fitted,
        checked=checked,
        predictions=predictions,
    )
    record = make_record(job, key, path.stem, outcome)
    if is_first():
        write_predictions(predictions[-1], path)
        if trained is not None or fitted.solver != "none":
            save_model(merged or model, path.with_suffix(".safetensors"))
        append_record(record, path.parents[1])
        checkpoint.remove()
    return record


def checkpoint_of(job: Job, key: str, path: Path) -> Checkpoint:
    """Where the training of a run is kept until its record is written."""
    return Checkpoint(
        path.with_suffix(".checkpoint"),
        key,
        every_s=60 * job.execution.save_minutes,
        every_steps=job.execution.save_steps,
    )


def adapt_to_task(job: Job) -> VideoViT:
    """The adapted model, on the device, in eval mode; new parameters are drawn by the seed."""
    task = Task(num_frames=job.protocol.sampling.num_frames, class_names=job.splits.class_names)
    module, spec = job.protocol.module_of(job.method), job.protocol.spec_of(job.method)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = adapt(module, job.backbone, task, spec.params)
    if job.execution.channels_last:
        model.patch_embed.to(memory_format=torch.channels_last)
    return model.to(job.device).eval()


def train(job: Job, model: VideoViT, checkpoint: Checkpoint | None = None) -> FitReport:
    """Train what the method left trainable."""
    clips, optim = job.splits.train, job.protocol.optim_of(job.method)
    if only_head_trains(model):
        return fit_head(model, batches_of(loader_of(job, clips)), clips, device=job.device)
    loader = build_loader(
        clips,
        job.protocol,
        job.reader,
        image_size=job.image_size,
        batch_size=optim.batch_size,
        seed=job.seed,
        micro_batch=job.execution.micro_batch,
        flip_pairs=find_dataset(job.protocol.dataset).FLIP_PAIRS,
        workers=workers_of(job, clips),
        pin_memory=job.execution.on_cuda,
    )
    path, board = checkpoint.path if checkpoint else None, job.execution.tensorboard
    with watching(path, job.method, job.report, tensorboard=board) as watch:
        return fit(
            model,
            loader,
            optim,
            clips,
            device=job.device,
            seed=job.seed,
            checkpoint=checkpoint,
            judge=judge_of(job) if job.splits.holdout else None,
            compiled=job.execution.compiled,
            watch=watch,
        )


def judge_of(job: Job) -> Callable[[VideoViT], float]:
    """Top-1 on the held-out clips, which chooses the epoch."""

    def top1(model: VideoViT) -> float:
        (predictions,) = score_clips(job, [model], job.splits.holdout)
        return accuracy_of(predictions, bad_clips=job.protocol.splits.bad_clips).top1

    return top1


def workers_of(job: Job, clips: tuple[Clip, ...]) -> int:
    """Processes that read the clips."""
    wanted = job.execution.workers
    return default_workers(clips) if wanted is None else wanted


def loader_of(job: Job, clips: tuple[Clip, ...], *, divided: bool = True) -> DataLoader[Sample]:
    """Test views of the clips, in order."""
    views = job.protocol.views
    frames = job.protocol.sampling.num_frames * views.clips * views.crops
    return build_loader(
        clips,
        job.protocol,
        job.reader,
        image_size=job.image_size,
        batch_size=max(1, EVAL_FRAMES // frames),
        divided=divided,
        workers=workers_of(job, clips),
        pin_memory=job.execution.on_cuda,
    )


def predict(job: Job, models: list[VideoViT]) -> list[Predictions]:
    """Scores of all models on every test clip, each read once."""
    with clip_bar("evaluate", len(job.splits.test)) as advance:
        return score_clips(job, models, job.splits.test, advance)


def score_clips(
    job: Job,
    models: list[VideoViT],
    clips: tuple[Clip, ...],
    advance: Callable[[int], None] | None = None,
) -> list[Predictions]:
    """Scores of all models on the clips."""
    return evaluate(
        models,
        batches_of(loader_of(job, clips)),
        clips,
        num_classes=len(job.splits.class_names),
        device=job.device,
        advance=advance,
    )


def check_merge(
    job: Job, model: VideoViT, merged: VideoViT, predictions: list[Predictions]
) -> MergeReport:
    """Logits on the first test clips, top-1 on all of them.

    Raises:
        MergeError: Past tolerance, or a clip changed its top-1.
    """
    loader = loader_of(job, job.splits.test[:VERIFIED_CLIPS], divided=False)
    most = max(1, VERIFIED_FRAMES // job.protocol.sampling.num_frames)
    batches = (
        normalise(part.to(job.device), model.config.mean, model.config.std)
        for batch in batches_of(loader)
        if len(batch.rows)
        for part in batch.video.flatten(0, 1).split(most)
    )
    checked = verify_merge(model, merged, batches)
    ties = compare_predictions(*predictions)
    return checked.model_copy(update={"num_clips": len(job.splits.test), "ties": ties})
