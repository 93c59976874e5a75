"""From clips to batches: read, sample, transform, collate; the same numbers with any workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.sampling import test_indices, train_indices
from zeroi2v_bench.transforms import test_views, train_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.reader import FrameReader
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
    ) -> None:
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
        frames, damaged = self.reader.read(
            clip,
            lambda length: test_indices(length, sampling, views.clips).reshape(-1),
            views.short_side or self.image_size,
        )
        crops = test_views(frames, self.image_size, views)  # (crops, clips * T, C, S, S)
        video = crops.unflatten(1, (views.clips, -1)).flatten(0, 1).transpose(1, 2)
        return Sample(row, clip.label, video, "damaged" if damaged else "ok")


class EpochBatches(Sampler[list[Key]]):
    """Batches of (epoch, row); shuffled by seed and epoch, or in order where seed is None."""

    def __init__(self, num_clips: int, batch_size: int, seed: int | None) -> None:
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-self.num_clips // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        """The batches of the current epoch."""
        rows = np.arange(self.num_clips)
        if self.seed is not None:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_clips)
        for start in range(0, self.num_clips, self.batch_size):
            yield [(self.epoch, int(row)) for row in rows[start : start + self.batch_size]]


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
    flip_pairs: Mapping[int, int] | None = None,
    workers: int = 0,
) -> DataLoader[Sample]:
    """A loader of `Batch`.

    Args:
        clips: What to read, in the order of the split.
        protocol: Sampling, augmentation and test views.
        reader: Reads frames, from file or cache.
        image_size: Side of the views in pixels.
        batch_size: Clips per batch; the last batch may be smaller, no clip is left out.
        seed: Draws training views and shuffles; None gives the test views in order.
        flip_pairs: Label to label under a horizontal flip, for training.
        workers: Processes that read; 0 reads in this one.
    """
    views = ClipViews(
        clips,
        protocol,
        reader,
        image_size=image_size,
        seed=seed,
        flip_pairs=flip_pairs or {},
    )
    batches = EpochBatches(len(clips), batch_size, seed)
    return DataLoader(
        views,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
    )
