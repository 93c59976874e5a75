"""Where the progress of a run goes: a log beside the record, a bar on a terminal, TensorBoard."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.distributed import is_first
from zeroi2v_bench.errors import BenchError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zeroi2v_bench.training.train_events import TrainEvent

    Sink = Callable[[TrainEvent], None]

LOGGED_EVERY_S = 1.0
"""Steps that follow sooner are not logged one by one; epochs always are."""


@contextmanager
def watching(
    path: Path | None, title: str, report: Callable[[str], None], *, tensorboard: bool
) -> Iterator[Sink]:
    """A watcher for `fit`; silent on all processes but the first.

    Args:
        path: Any file of the run; the log is ``<run>.log.jsonl`` beside it, one JSON object per
            line, and goes on where a killed run left it. None keeps no log.
        title: Of the bar and the lines.
        report: Gets one line per epoch, whether or not there is a bar.
        tensorboard: Write ``<run>.tensorboard`` too.

    Raises:
        BenchError: TensorBoard is not installed.
        RecordError: The log cannot be written.
    """
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if is_first():
            sinks += [stack.enter_context(train_bar(title)), epoch_lines(title, report)]
        if is_first() and path is not None:
            sinks.append(stack.enter_context(json_log(path.with_suffix(".log.jsonl"))))
            if tensorboard:
                sinks.append(stack.enter_context(tensorboard_log(path.with_suffix(".tensorboard"))))

        def watch(event: TrainEvent) -> None:
            for sink in sinks:
                sink(event)

        yield watch


def epoch_lines(title: str, report: Callable[[str], None]) -> Sink:
    """One line per epoch, and one when a training goes on."""

    def sink(event: TrainEvent) -> None:
        if event.kind == "resumed":
            report(f"{title}: goes on after step {event.step} of {event.steps}")
        if event.kind == "epoch":
            held = "" if event.holdout_top1 is None else f", held-out {event.holdout_top1:.1f} %"
            report(
                f"{title}: epoch {event.epoch}/{event.epochs}, loss {event.loss:.3f}{held}, "
                f"{event.clips_per_s:.0f} clips/s, {event.wait_share:.0%} waiting for data"
            )

    return sink


@contextmanager
def json_log(path: Path) -> Iterator[Sink]:
    """Append every event, with its time, to a file; steps at most once a second.

    Raises:
        RecordError: The file cannot be written. Other errors pass.
    """
    last_s = -math.inf

    def sink(event: TrainEvent) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if event.kind == "step" and now_s - last_s < LOGGED_EVERY_S:
            return
        last_s = now_s if event.kind == "step" else last_s
        values = {k: v for k, v in asdict(event).items() if v == v and v is not None}
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise RecordError(f"cannot write {path}: {error.strerror}") from error

    try:
        with path.open("a", encoding="utf-8") as file:
            if file.tell() and not path.read_bytes().endswith(b"\n"):
                file.write("\n")  # ends the line that a killed run was writing
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from error
    yield sink


@contextmanager
def tensorboard_log(folder: Path) -> Iterator[Sink]:
    """Scalars over steps; epochs have tags of their own.

    Raises:
        BenchError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BenchError("--tensorboard: pip install 'zeroi2v-bench[tensorboard]'") from error

    def sink(event: TrainEvent) -> None:
        if event.kind in {"step", "epoch"}:
            for name in ("loss", "lr", "clips_per_s", "wait_share", "holdout_top1"):
                value = getattr(event, name)
                if value is not None and value == value:
                    writer.add_scalar(f"{event.kind}/{name}", value, event.step)

    with SummaryWriter(str(folder)) as writer:
        yield sink


@contextmanager
def train_bar(title: str) -> Iterator[Sink]:
    """A live bar on a terminal, with the time left; nothing in a pipe."""
    with _bar(title, "{task.fields[shown]}") as bar:
        task = bar.add_task(title, total=None, shown="") if bar else None

        def sink(event: TrainEvent) -> None:
            if bar is None or event.kind != "step":
                return
            shown = (
                f"loss {event.loss:.3f}, {event.clips_per_s:.0f} clips/s, "
                f"{event.wait_share:.0%} waiting for data"
            )
            bar.update(task, total=event.steps, completed=event.step, shown=shown)

        yield sink


@contextmanager
def clip_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A live bar of clips on a terminal; call it with the number of clips done."""
    with _bar(title, "{task.completed}/{task.total} clips") as bar:
        task = bar.add_task(title, total=total) if bar else None

        def advance(clips: int) -> None:
            if bar is not None:
                bar.update(task, advance=clips)

        yield advance


@contextmanager
def _bar(title: str, text: str) -> Iterator[Any]:
    """A bar that vanishes when it is done; None where nobody would see it."""
    if not sys.stderr.isatty() or not is_first():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(f"  {title}"), BarColumn(), TextColumn(text), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar
