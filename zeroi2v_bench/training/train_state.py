"""What a training needs to go on where it was, and the one file that keeps it.

Randomness needs no state of its own: the order of the clips and the augmentation follow from seed,
epoch and clip, and dropout is seeded anew for every micro-batch by its place. So the number of
steps done is the position of the sampler and the state of every generator, on any number of
processes. Frozen weights are not copied; the run's key holds their hash.
"""

from __future__ import annotations

import io
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zeroi2v_bench.distributed import is_first
from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.records import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

FORMAT = 1


@dataclass(kw_only=True)
class TrainState:
    """How far a training is, and what it has seen.

    Attributes:
        step: Optimiser steps done.
        loss_sum, num_seen: Over the clips of the epoch so far.
        losses: Mean loss of each epoch done.
        left_out: Rows of the clips that could not be used.
        holdout_top1: After each epoch done, on the held-out clips, if there are any.
        seconds: Spent so far, over all attempts.
        chosen: Trained tensors of the best epoch on the held-out clips.
    """

    step: int = 0
    loss_sum: float = 0.0
    num_seen: int = 0
    losses: list[float] = field(default_factory=list)
    left_out: set[int] = field(default_factory=set)
    holdout_top1: list[float] = field(default_factory=list)
    seconds: float = 0.0
    chosen: dict[str, Tensor] = field(default_factory=dict)


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that a training changes, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def put_tensors(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Overwrite tensors of a model.

    Raises:
        CheckpointError: A name or a shape that the model has not.
    """
    own = dict(model.named_parameters())
    wrong = [k for k, value in values.items() if k not in own or own[k].shape != value.shape]
    if wrong:
        raise CheckpointError(f"the model has no tensor like {wrong[0]} of the checkpoint")
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)


def seed_draws(*place: int) -> None:
    """Seed torch's generators for the place of a micro-batch: seed, step, rank and number."""
    drawn = np.random.SeedSequence(place).generate_state(2, np.uint32)
    torch.manual_seed(int(drawn[0]) << 32 | int(drawn[1]))


class Checkpoint:
    """The file that a killed run goes on from; it is complete or as it was before.

    Args:
        path: Beside the record to be.
        key: Of the run; a file of another run is refused.
        every_s: Seconds between two writes.
        every_steps: Write also after so many steps; None leaves it to the clock.
    """

    def __init__(
        self, path: Path, key: str, *, every_s: float = 300.0, every_steps: int | None = None
    ) -> None:
        self.path = path
        self.key = key
        self.every_s = every_s
        self.every_steps = every_steps
        self._last = time.monotonic()

    def due(self, step: int) -> bool:
        """Whether it is time to write after this step."""
        late = time.monotonic() - self._last >= self.every_s
        return late or bool(self.every_steps and step % self.every_steps == 0)

    def save(self, state: TrainState, parts: dict[str, Any]) -> None:
        """Write the state and the ``state_dict`` of every part; only the first process does.

        Raises:
            RecordError: The folder cannot be written, or the disk is full.
        """
        if is_first():
            buffer = io.BytesIO()
            kept = {**asdict(state), "left_out": sorted(state.left_out)}
            content = {"format": FORMAT, "key": self.key, "state": kept, **parts}
            torch.save(content, buffer)
            write_atomically(self.path, buffer.getvalue())
        self._last = time.monotonic()

    def load(self) -> tuple[TrainState, dict[str, Any]] | None:
        """What was saved last; None if nothing was.

        Raises:
            CheckpointError: Damaged, or of another run.
        """
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            same = content.pop("format") == FORMAT and content.pop("key") == self.key
            kept = content.pop("state")
            state = TrainState(**{**kept, "left_out": set(kept["left_out"])})
        except Exception as error:
            raise CheckpointError(
                f"{self.path}: damaged ({type(error).__name__}); delete it to start again"
            ) from error
        if not same:
            raise CheckpointError(f"{self.path}: of another run; delete it to start again")
        return state, content

    def remove(self) -> None:
        """Delete the file: the record is written."""
        if is_first():
            self.path.unlink(missing_ok=True)
