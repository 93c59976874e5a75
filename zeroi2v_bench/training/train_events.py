"""What a training tells while it runs, for a bar, a log or a test."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEvent:
    """One moment of a training.

    Attributes:
        kind: "step", "epoch", "resumed" or "saved".
        epoch: Epochs done, of ``epochs``.
        step: Steps done, of ``steps``.
        loss: Mean over the clips of the step or of the epoch; NaN where there was none.
        lr: The highest learning rate of all groups.
        clips_per_s: Over all processes, since the last event of the same kind.
        wait_share: Share of that time in which this process waited for clips.
        holdout_top1: Per cent at the end of an epoch, where clips are held out.
    """

    kind: Literal["step", "epoch", "resumed", "saved"]
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    clips_per_s: float
    wait_share: float
    holdout_top1: float | None = None


class Meter:
    """Clips per second, and the share of the time spent waiting for them."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin again."""
        self._since = time.perf_counter()
        self._clips, self._waited_s = 0, 0.0

    def add(self, clips: int, waited_s: float) -> None:
        """Count clips, and the time that was waited for them."""
        self._clips += clips
        self._waited_s += waited_s

    def read(self) -> tuple[float, float]:
        """Clips per second and the waiting share since the start."""
        seconds = max(time.perf_counter() - self._since, 1e-9)
        return self._clips / seconds, self._waited_s / seconds
