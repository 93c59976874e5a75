"""Train what a method left trainable with AdamW; a killed training goes on where it was saved.

A step is one global batch of the protocol, on however many processes and in however many
micro-batches: its gradient is that of the sum of the clips' losses over their number.
"""

from __future__ import annotations

import math
import time
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from zeroi2v_bench.data.reader_watch import batches_of, clear_reader_faults
from zeroi2v_bench.distributed import add_up, gather, group_size, is_first, rank, wrap
from zeroi2v_bench.errors import Interrupted, TrainError
from zeroi2v_bench.records import FitReport
from zeroi2v_bench.training.interruption import StopRequest
from zeroi2v_bench.training.optimiser import make_scheduler, parameter_groups
from zeroi2v_bench.training.train_events import Meter, TrainEvent
from zeroi2v_bench.training.train_loss import precision_on, summed_loss
from zeroi2v_bench.training.train_state import TrainState, put_tensors, seed_draws, trained_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch.utils.data import DataLoader

    from zeroi2v_bench.data.loader import Batch, Sample, TrainBatches
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.protocol import Optim
    from zeroi2v_bench.training.train_state import Checkpoint
    from zeroi2v_bench.types import Clip


def fit(
    model: VideoViT,
    loader: DataLoader[Sample],
    optim: Optim,
    clips: Sequence[Clip],
    *,
    device: str = "cpu",
    seed: int,
    checkpoint: Checkpoint | None = None,
    judge: Callable[[VideoViT], float] | None = None,
    compiled: bool = False,
    watch: Callable[[TrainEvent], None] = lambda event: None,
) -> FitReport:
    """Train in place with AdamW. The last epoch is the result, unless a judge chooses one.

    Args:
        model: On the device; what requires a gradient is trained.
        loader: Training views, from `build_loader`.
        optim: Optimiser settings.
        clips: What the loader reads, to name a clip in a report.
        device: Where the model is.
        seed: Seeds dropout.
        checkpoint: Gone on from, if it is there, and written from time to time and at the end.
        judge: Top-1 of a model on held-out clips; the first of the best epochs is the result.
        compiled: Train through ``torch.compile``.
        watch: Called after each step and epoch, and when the state is restored or saved.

    Raises:
        TrainError: The loss is not finite; names the step and its clips.
        DataError: The data vanished, or a process that reads it hangs or died.
        Interrupted: SIGTERM or Ctrl-C came; the checkpoint is written first.
        RecordError: The checkpoint cannot be written; the one before it stays.
    """
    if not optim.epochs or not trained_tensors(model):
        return FitReport(solver="none")
    network = wrap(torch.compile(model) if compiled else model, model)  # type: ignore[arg-type]
    training = Training(model, network, loader, optim, clips, device, seed)
    training.checkpoint, training.judge, training.watch = checkpoint, judge, watch
    with clear_reader_faults(loader), StopRequest() as training.stop:
        training.run()
    return training.report()


class Training:
    """A model in training, its optimiser and schedule, and how far it is."""

    def __init__(
        self,
        model: VideoViT,
        network: nn.Module,
        loader: DataLoader[Sample],
        optim: Optim,
        clips: Sequence[Clip],
        device: str,
        seed: int,
    ) -> None:
        self.model, self.network, self.loader, self.clips = model, network, loader, clips
        self.optim, self.device, self.seed = optim, device, seed
        self.batches: TrainBatches = loader.batch_sampler  # type: ignore[assignment]
        self.epoch_steps = self.batches.num_steps
        self.steps = optim.epochs * self.epoch_steps
        self.optimiser = torch.optim.AdamW(parameter_groups(model, optim), betas=optim.betas)
        self.scheduler = make_scheduler(self.optimiser, optim, self.epoch_steps)
        scaled = precision_on(device, optim.precision) == "fp16"
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=scaled)
        self.state = TrainState()
        self.stop = StopRequest()
        self.checkpoint: Checkpoint | None = None
        self.judge: Callable[[VideoViT], float] | None = None
        self.watch: Callable[[TrainEvent], None] = lambda event: None
        self.meters = {"step": Meter(), "epoch": Meter()}

    def run(self) -> None:
        """All steps that are left."""
        self.restore()
        started = time.perf_counter() - self.state.seconds
        self.model.train()
        for epoch in range(self.state.step // self.epoch_steps, self.optim.epochs):
            first = self.state.step % self.epoch_steps
            self.batches.start(epoch, first)
            source = batches_of(self.loader)
            for number in range(first, self.epoch_steps):
                save, stop = self.step(number, source)
                if number + 1 == self.epoch_steps:
                    self.end_epoch()
                self.state.seconds = time.perf_counter() - started
                if save or stop or self.state.step == self.steps:
                    self.save()
                if stop:
                    raise Interrupted(self.farewell())
        self.model.eval()
        put_tensors(self.model, self.state.chosen)

    def step(self, number: int, source: Iterator[Batch]) -> tuple[bool, bool]:
        """One global batch.

        Args:
            number: Of the step within its epoch.
            source: Gives the micro-batches of this process.

        Returns:
            Whether it is time to save, and whether to stop: the same on all processes.
        """
        rows = self.batches.batch(number)
        own_loss, own_seen = self.backward(source, self.batches.num_micro(number), len(rows))
        due = is_first() and self.checkpoint is not None and self.checkpoint.due(self.state.step)
        loss, seen, save, stop = add_up([own_loss, own_seen, due, bool(self.stop.name)])
        if not math.isfinite(loss):
            names = ", ".join(self.clips[row].id for row in rows)
            raise TrainError(f"the loss is {loss} at step {self.state.step} (clips: {names})")
        self.update(int(seen), len(rows))
        self.state.step += 1
        self.state.loss_sum += loss
        self.state.num_seen += int(seen)
        for meter in self.meters.values():
            meter.add(int(seen), 0.0)
        self.tell("step", loss / seen if seen else math.nan)
        return bool(save), bool(stop)

    def backward(
        self, source: Iterator[Batch], num_micro: int, num_clips: int
    ) -> tuple[float, int]:
        """Gradients of the step; the sum of this process's losses and the number of its clips."""
        total, seen = torch.zeros((), device=self.device), 0
        for micro in range(num_micro):
            batch = self.take(source)
            seed_draws(self.seed, self.state.step, rank(), micro)
            self.state.left_out |= {row for row, what in batch.status.items() if what != "ok"}
            if not len(batch.rows) and group_size() == 1:
                continue
            with nullcontext() if micro + 1 == num_micro else self.unsynchronised():
                loss = summed_loss(self.model, self.network, batch, self.optim, self.device)
                # Processes average their gradients; the step is the sum over all of them.
                self.scaler.scale(loss * (group_size() / num_clips)).backward()
            total += loss.detach()
            seen += len(batch.rows)
        return total.item(), seen

    def take(self, source: Iterator[Batch]) -> Batch:
        """The next micro-batch; the time until it is there counts as waiting."""
        start = time.perf_counter()
        batch = next(source)
        for meter in self.meters.values():
            meter.add(0, time.perf_counter() - start)
        return batch

    def unsynchronised(self) -> Any:
        """Keeps gradients on this process until the last micro-batch of a step."""
        return nullcontext() if group_size() == 1 else self.network.no_sync()  # type: ignore[operator]

    def update(self, seen: int, expected: int) -> None:
        """Move the weights by the gradients of ``seen`` clips, which were divided by expected."""
        if not seen:
            self.optimiser.zero_grad(set_to_none=True)
            self.optimiser.step()  # without gradients nothing moves, but the schedule does
        else:
            for parameter in self.model.parameters() if seen < expected else ():
                if parameter.grad is not None:
                    parameter.grad.mul_(expected / seen)
            if self.optim.grad_clip is not None:
                self.scaler.unscale_(self.optimiser)
                nn.utils.clip_grad_norm_(self.model.parameters(), self.optim.grad_clip)
            self.scaler.step(self.optimiser)
            self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        with warnings.catch_warnings():  # the scaler may skip the very first step
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self.scheduler.step()

    def end_epoch(self) -> None:
        """Close the books of the epoch, and let the judge see the model."""
        state = self.state
        if not state.num_seen:
            raise TrainError("no training clip can be used; `zeroi2v-bench data index` says why")
        state.losses.append(state.loss_sum / state.num_seen)
        state.loss_sum, state.num_seen = 0.0, 0
        if self.judge is not None:
            top1 = self.judge(self.model.eval())
            self.model.train()
            if top1 > max(state.holdout_top1, default=-1.0):
                state.chosen = {k: v.clone() for k, v in trained_tensors(self.model).items()}
            state.holdout_top1.append(top1)
        self.tell("epoch", state.losses[-1])

    def tell(self, kind: Literal["step", "epoch", "resumed", "saved"], loss: float) -> None:
        """Give the watcher an event."""
        meter = self.meters.get(kind, Meter())
        clips_per_s, wait_share = meter.read()
        meter.start()
        held = self.state.holdout_top1
        event = TrainEvent(
            kind=kind,
            epoch=self.state.step // self.epoch_steps,
            epochs=self.optim.epochs,
            step=self.state.step,
            steps=self.steps,
            loss=loss,
            lr=max(group["lr"] for group in self.optimiser.param_groups),
            clips_per_s=clips_per_s,
            wait_share=wait_share,
            holdout_top1=held[-1] if kind == "epoch" and held else None,
        )
        self.watch(event)

    @property
    def parts(self) -> dict[str, Any]:
        """What has a state beside the model."""
        return {"optimiser": self.optimiser, "scheduler": self.scheduler, "scaler": self.scaler}

    def save(self) -> None:
        """Write the checkpoint."""
        self.state.left_out = set().union(*gather(self.state.left_out))
        if self.checkpoint is not None:
            parts = {name: part.state_dict() for name, part in self.parts.items()}
            self.checkpoint.save(self.state, {"weights": trained_tensors(self.model), **parts})
            self.tell("saved", math.nan)

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = self.checkpoint.load() if self.checkpoint is not None else None
        if found is not None:
            self.state, saved = found
            put_tensors(self.model, saved["weights"])
            for name, part in self.parts.items():
                if saved[name]:  # a scaler that was off has nothing to restore
                    part.load_state_dict(saved[name])
            self.tell("resumed", math.nan)
        if len(set(gather(self.state.step))) > 1:
            raise TrainError("the processes see different checkpoints: share the results folder")

    def farewell(self) -> str:
        """What is said on the way out."""
        signal = self.stop.name or "a signal to another process"
        kept = "nothing was kept" if self.checkpoint is None else "saved: the same command goes on"
        return f"stopped by {signal} after step {self.state.step} of {self.steps}; {kept}"

    def report(self) -> FitReport:
        """How it went."""
        state = self.state
        details: dict[str, Any] = {"seconds": round(state.seconds, 2)}
        if state.holdout_top1:
            best = state.holdout_top1.index(max(state.holdout_top1))
            details |= {"chosen_epoch": best + 1, "holdout_top1": state.holdout_top1}
        return FitReport(
            solver="adamw",
            epochs=self.optim.epochs,
            steps=state.step,
            losses=tuple(state.losses),
            num_clips=len(self.clips),
            left_out=tuple(sorted(self.clips[row].id for row in state.left_out)),
            details=details,
        )
