"""Latency, throughput and memory of several models on the same videos, in one process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch

from zeroi2v_bench.costs.cost_records import Timing
from zeroi2v_bench.costs.timing import (
    MIN_ROUNDS,
    largest_batch,
    median_interval,
    peak_memory_mb,
    quartiles,
    take_turns,
)
from zeroi2v_bench.data.data_index import ClipInfo
from zeroi2v_bench.data.loader import read_test_views
from zeroi2v_bench.data.reader import FrameReader
from zeroi2v_bench.environment import require_device
from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.protocol import Sampling
from zeroi2v_bench.types import Clip
from zeroi2v_bench.video.decode import probe_video
from zeroi2v_bench.video.transforms import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
    from zeroi2v_bench.protocol import Views

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
THROUGHPUT_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How times are taken.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        precision: Of weights and activations; models are merged in float32 and cast afterwards.
        compiled: Run the models through ``torch.compile``.
        rounds: Rounds of latency, 6 at least; in each, every model has its turn.
        batch: Videos in the fixed batch of the throughput.
        max_batch: Cap of the largest batch that fits.
        video: A file that is read for every video, as part of the time: its frames are decoded,
            cropped and normalised in this process, then the network runs. None times the network
            alone, on noise.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False
    rounds: int = 9
    batch: int = 2
    max_batch: int = 2
    video: Path | None = None

    def __post_init__(self) -> None:
        if self.rounds < MIN_ROUNDS:
            raise BenchError(f"{self.rounds} rounds; the interval of a median needs {MIN_ROUNDS}")
        if self.max_batch < self.batch:
            raise BenchError(
                f"the largest batch, {self.max_batch}, is below the {self.batch} fixed"
            )
        require_device(self.device)


class SideBySide:
    """Models on a device, and the videos that they are timed on.

    Raises:
        DecodeError: The plan's video cannot be read.
    """

    def __init__(
        self,
        models: Sequence[VideoViT],
        *,
        num_frames: int,
        views: Views,
        plan: Plan,
        report: Callable[[str], None],
    ) -> None:
        self.shape = (views.clips * views.crops, 3, num_frames)
        self.configs = [model.config for model in models]
        self.sides = [config.image_size for config in self.configs]
        self.plan, self.report = plan, report
        self.source = plan.video and Source(plan.video, num_frames, views)
        self.dtype = DTYPES[plan.precision]
        device = torch.empty(0, device=plan.device).device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # the clock waits for this one
        self.models: list[nn.Module] = [m.to(plan.device, self.dtype) for m in models]
        self.memory_mb = [
            peak_memory_mb(m, self.videos(s, 1))
            for m, s in zip(self.models, self.sides, strict=True)
        ]
        if plan.compiled:
            # All models share the code of one class, of which only so many versions are compiled;
            # past that, fullgraph makes an error of what would run uncompiled.
            torch._dynamo.config.recompile_limit = 8 + 4 * len(models)
            self.models = [torch.compile(m, fullgraph=True) for m in self.models]  # type: ignore[misc]

    def videos(self, side: int, batch: int) -> Tensor:
        """A batch of videos, all their views in one: (batch * V, 3, T, side, side)."""
        views, *rest = self.shape
        return torch.randn(
            (batch * views, *rest, side, side), device=self.plan.device, dtype=self.dtype
        )

    def seconds(self, batches: Sequence[int], rounds: int) -> list[list[float]]:
        """For each model, seconds for its batch in each round.

        Raises:
            BenchError: A batch does not fit into memory.
        """
        try:
            return take_turns(self._calls(batches), rounds=rounds, report=self.report)
        except torch.OutOfMemoryError as error:
            raise BenchError(
                f"{max(batches)} videos do not fit beside the models into the memory of "
                f"{self.plan.device}; use a smaller --batch or fewer methods at once"
            ) from error

    def _calls(self, batches: Sequence[int]) -> list[Callable[[], object]]:
        """One batch through each model, read from the file where there is one."""
        if self.source:
            return [
                partial(self._read_and_run, self.source, *each)
                for each in zip(self.models, self.configs, batches, strict=True)
            ]
        keys = list(zip(self.sides, batches, strict=True))
        inputs = {key: self.videos(*key) for key in set(keys)}
        return [partial(m, inputs[key]) for m, key in zip(self.models, keys, strict=True)]

    def _read_and_run(
        self, source: Source, model: nn.Module, config: ViTConfig, batch: int
    ) -> object:
        pixels = torch.cat([source.read(config.image_size) for _ in range(batch)])
        video = normalise(pixels.to(self.plan.device), config.mean, config.std)
        return model(video.to(self.dtype))

    def fits(self, index: int, batch: int) -> bool:
        """Whether a batch goes through a model, beside all the others."""
        if self.plan.device == "cpu":
            return batch * self.memory_mb[index] * 1e6 < 0.8 * free_memory()
        try:
            with torch.inference_mode():
                self.models[index](self.videos(self.sides[index], batch))
        except RuntimeError as error:  # out of memory, or more rows than a kernel's grid has
            full = isinstance(error, torch.OutOfMemoryError)
            if not full and "invalid configuration" not in str(error):
                raise
            torch.cuda.empty_cache()
            return False
        return True

    def best_batches(self) -> list[int]:
        """For each model, the largest batch that fits."""
        start, cap = self.plan.batch, self.plan.max_batch
        return [
            largest_batch(lambda batch, i=i: self.fits(i, batch), start=start, cap=cap)  # type: ignore[misc]
            for i in range(len(self.models))
        ]


class Source:
    """A file as the views of a video: T uniform frames in each clip, then the crops.

    Raises:
        DecodeError: It cannot be read.
    """

    def __init__(self, path: Path, num_frames: int, views: Views) -> None:
        found, info = path.stat(), probe_video(path)
        known = ClipInfo(
            str(path), found.st_size, found.st_mtime_ns, "ok", num_frames=info.num_frames
        )
        self.reader = FrameReader(index={str(path): known})
        self.clip = Clip(id=path.name, path=str(path), label=0)
        self.sampling, self.views = Sampling(kind="uniform", num_frames=num_frames), views

    def read(self, image_size: int) -> Tensor:
        """(V, C, T, S, S) uint8."""
        return read_test_views(self.reader, self.clip, self.sampling, self.views, image_size)[0]


def describe_video(path: Path) -> str:
    """Name, codec, size and length of a file."""
    info = probe_video(path)
    return f"{path.name} ({info.codec}, {info.width} x {info.height}, {info.num_frames} frames)"


def free_memory() -> float:
    """Bytes of main memory that nothing uses; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def time_models(contest: SideBySide, plain: Sequence[int]) -> list[Timing]:
    """Time all models: all latencies interleaved, then all throughputs.

    Args:
        contest: The models.
        plain: For each model, the index of the plain one that its latency is compared with.
    """
    plan, report = contest.plan, contest.report
    report("latency of one video")
    latency = contest.seconds([1] * len(plain), plan.rounds)
    fixed = [plan.batch] * len(plain)
    at_fixed = latency  # which is that of a batch of one
    if plan.batch > 1:
        report(f"throughput at {plan.batch} videos")
        at_fixed = contest.seconds(fixed, THROUGHPUT_ROUNDS)
    best = contest.best_batches()
    if best != fixed:
        report(f"throughput at up to {max(best)} videos")
    at_best = at_fixed if best == fixed else contest.seconds(best, THROUGHPUT_ROUNDS)
    return [
        Timing(
            latency_ms=quartiles([1e3 * s for s in latency[i]]),
            latency_ratio=median_interval(
                [own / base for own, base in zip(latency[i], latency[plain[i]], strict=True)]
            ),
            batch=plan.batch,
            videos_per_s=quartiles([plan.batch / s for s in at_fixed[i]]),
            best_batch=best[i],
            best_videos_per_s=quartiles([best[i] / s for s in at_best[i]]),
            peak_memory_mb=contest.memory_mb[i],
        )
        for i in range(len(plain))
    ]
