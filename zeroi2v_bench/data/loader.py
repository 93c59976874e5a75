"""From clips to batches: read, sample, transform, collate; the same numbers with any workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from zeroi2v_bench.data.reader_watch import CLIP_LIMIT_S, ReadingBoard, start_worker
from zeroi2v_bench.distributed import group_size, rank
from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.sampling import test_indices, train_indices
from zeroi2v_bench.video.transforms import test_views, train_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zeroi2v_bench.data.reader import FrameReader
    from zeroi2v_bench.protocol import Protocol, Sampling, Views
    from zeroi2v_bench.types import Clip

Key = tuple[int, int]
"""Epoch and row of a clip: together with the seed, all that a training view depends on."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip: video (V, C, T, H, W) uint8, or the reason why there is none."""

    row: int
    label: int
    video: Tensor | None
    status: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The readable clips of a batch, and what became of each of its rows.

    Attributes:
        video: (B, V, C, T, H, W) uint8; B may be smaller than the number of rows.
        labels: (B,) int64; a flip may have changed them.
        rows: (B,) int64, places in the list of clips.
        status: Row to "ok", "damaged" or the reason why the clip is missing from the batch.
    """

    video: Tensor
    labels: Tensor
    rows: Tensor
    status: Mapping[int, str]

    def pin_memory(self) -> Batch:
        """The same in page-locked memory; a loader asks for it by this name."""
        return replace(self, video=self.video.pin_memory(), labels=self.labels.pin_memory())


class ClipViews(Dataset[Sample]):
    """Training views or test views of a list of clips."""

    def __init__(
        self,
        clips: Sequence[Clip],
        protocol: Protocol,
        reader: FrameReader,
        *,
        image_size: int,
        seed: int | None,
        flip_pairs: Mapping[int, int],
        workers: int,
    ) -> None:
        self.board = ReadingBoard(workers)
        self.clips = clips
        self.protocol = protocol
        self.reader = reader
        self.image_size = image_size
        self.seed = seed
        self.flip_pairs = flip_pairs

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __getitem__(self, key: Key) -> Sample:
        """The view or views of one clip; a clip that cannot be read says so in its status."""
        epoch, row = key
        clip = self.clips[row]
        try:
            with self.board.reading(row):
                if self.seed is None:
                    return self._test_sample(row, clip)
                return self._train_sample(row, clip, np.random.default_rng([self.seed, epoch, row]))
        except DecodeError as error:
            return Sample(row, clip.label, None, f"unreadable: {error}")

    def _train_sample(self, row: int, clip: Clip, rng: np.random.Generator) -> Sample:
        sampling, augment = self.protocol.sampling, self.protocol.augment
        frames, damaged = self.reader.read(
            clip, lambda length: train_indices(length, sampling, rng), augment.short_side
        )
        if damaged:
            return Sample(row, clip.label, None, "damaged")
        view, label = train_view(
            frames, augment, self.image_size, rng, self.flip_pairs, clip.label
        )  # (T, C, H, W)
        return Sample(row, label, view.transpose(0, 1)[None], "ok")

    def _test_sample(self, row: int, clip: Clip) -> Sample:
        sampling, views = self.protocol.sampling, self.protocol.views
        video, damaged = read_test_views(self.reader, clip, sampling, views, self.image_size)
        return Sample(row, clip.label, video, "damaged" if damaged else "ok")


def read_test_views(
    reader: FrameReader, clip: Clip, sampling: Sampling, views: Views, image_size: int
) -> tuple[Tensor, bool]:
    """All test views of a clip, which is decoded once: (V, C, T, S, S) uint8, and if damaged.

    Raises:
        DecodeError: The clip cannot be read.
    """
    frames, damaged = reader.read(
        clip,
        lambda length: test_indices(length, sampling, views.clips).reshape(-1),
        views.short_side or image_size,
        fixed=f"{sampling.kind} {sampling.num_frames}x{sampling.stride} in {views.clips}",
    )
    crops = test_views(frames, image_size, views)  # (crops, clips * T, C, S, S)
    return crops.unflatten(1, (views.clips, -1)).flatten(0, 1).transpose(1, 2), damaged


class EvalBatches(Sampler[list[Key]]):
    """All clips in order; of W processes, number r takes batches r, r + W, ...; nothing is padded.

    The batches are the same ones with any number of processes, and so are their scores.
    """

    def __init__(self, num_clips: int, batch_size: int, *, divided: bool) -> None:
        starts = range(0, num_clips, batch_size)
        if divided:
            starts = starts[rank() :: group_size()]
        self.batches = [
            [(0, row) for row in range(start, min(start + batch_size, num_clips))]
            for start in starts
        ]

    def __len__(self) -> int:
        """Batches of this process."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Key]]:
        """The batches of this process."""
        return iter(self.batches)


class TrainBatches(Sampler[list[Key]]):
    """The global batches of an epoch, dealt to the processes and cut into micro-batches.

    A global batch is one optimiser step. It holds the same clips on any number of processes; the
    last one of an epoch may be smaller, and none is thrown away. Every process has the same number
    of micro-batches in a step, of which some may be empty.

    Args:
        num_clips: Clips of the training set.
        batch_size: Global, as the protocol says.
        seed: Shuffles, together with the epoch.
        micro_batch: Most clips that one process takes at once; None takes its whole share.
    """

    def __init__(
        self, num_clips: int, batch_size: int, seed: int, micro_batch: int | None = None
    ) -> None:
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.seed = seed
        self.micro_batch = micro_batch or batch_size
        self.num_steps = -(-num_clips // batch_size)
        self.start(0, 0)

    def start(self, epoch: int, step: int) -> None:
        """Let the next iteration begin with that step of that epoch."""
        self.epoch, self.first = epoch, step
        self.rows = np.random.default_rng([self.seed, epoch]).permutation(self.num_clips)

    def batch(self, step: int) -> np.ndarray:
        """Rows of the global batch of a step."""
        return self.rows[step * self.batch_size : (step + 1) * self.batch_size]

    def num_micro(self, step: int) -> int:
        """Micro-batches of every process in a step."""
        return -(-len(self.batch(step)[:: group_size()]) // self.micro_batch)

    def __len__(self) -> int:
        """Micro-batches of this process in a whole epoch."""
        return sum(self.num_micro(step) for step in range(self.num_steps))

    def __iter__(self) -> Iterator[list[Key]]:
        """The micro-batches of this process, from the step that was set on."""
        for step in range(self.first, self.num_steps):
            own = self.batch(step)[rank() :: group_size()]
            for micro in range(self.num_micro(step)):
                rows = own[micro * self.micro_batch : (micro + 1) * self.micro_batch]
                yield [(self.epoch, int(row)) for row in rows]


def collate(samples: list[Sample]) -> Batch:
    """Stack the readable samples; the others stay in ``status``."""
    readable = [sample for sample in samples if sample.video is not None]
    videos = [sample.video for sample in readable if sample.video is not None]
    return Batch(
        video=torch.stack(videos) if videos else torch.empty(0, dtype=torch.uint8),
        labels=torch.tensor([sample.label for sample in readable], dtype=torch.int64),
        rows=torch.tensor([sample.row for sample in readable], dtype=torch.int64),
        status={sample.row: sample.status for sample in samples},
    )


def build_loader(
    clips: Sequence[Clip],
    protocol: Protocol,
    reader: FrameReader,
    *,
    image_size: int,
    batch_size: int,
    seed: int | None = None,
    micro_batch: int | None = None,
    flip_pairs: Mapping[int, int] | None = None,
    workers: int = 0,
    pin_memory: bool = False,
    divided: bool = True,
) -> DataLoader[Sample]:
    """A loader of `Batch`, for `batches_of`.

    Args:
        clips: What to read, in the order of the split.
        protocol: Sampling, augmentation and test views.
        reader: Reads frames, from file or cache.
        image_size: Side of the views in pixels.
        batch_size: Clips per batch, over all processes in training; the last batch may be
            smaller, no clip is left out.
        seed: Draws training views and shuffles; None gives the test views in order.
        micro_batch: Most clips at once on one process, in training.
        flip_pairs: Label to label under a horizontal flip, for training.
        workers: Processes that read; 0 reads in this one. They start by fork where the system
            has it, and open every file themselves.
        pin_memory: For copies to a CUDA device that overlap its work.
        divided: Each of several processes reads its share of the test views; else all of them.
    """
    views = ClipViews(
        clips,
        protocol,
        reader,
        image_size=image_size,
        seed=seed,
        flip_pairs=flip_pairs or {},
        workers=workers,
    )
    return DataLoader(
        views,
        batch_sampler=EvalBatches(len(clips), batch_size, divided=divided)
        if seed is None
        else TrainBatches(len(clips), batch_size, seed, micro_batch),
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        worker_init_fn=start_worker,
        timeout=CLIP_LIMIT_S if workers else 0,
        pin_memory=pin_memory,
    )
