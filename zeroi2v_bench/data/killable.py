"""Call a function in processes that can be killed: a call that hangs or dies costs itself alone."""

from __future__ import annotations

import multiprocessing
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zeroi2v_bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

START_LIMIT_S = 120.0
"""How long a process may take to import what it needs."""
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What came of one call: a value, or the reason why there is none."""

    task: str
    value: R | None
    failure: str = ""


class _Worker(Generic[R]):
    """One process; it is idle, or busy with a task until a deadline."""

    def __init__(self, function: Callable[[str], R]) -> None:
        context = multiprocessing.get_context("spawn")
        self.channel, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.task: str | None = None
        self.ready = False
        self.limit_s = START_LIMIT_S
        self.deadline = time.monotonic() + START_LIMIT_S

    def give(self, task: str, limit_s: float) -> None:
        self.task, self.limit_s = task, limit_s
        self.deadline = time.monotonic() + limit_s
        with suppress(OSError):  # it died while idle: reading its answer will show that
            self.channel.send(task)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.channel.close()

    def take(self) -> Answer[R] | None:
        """The answer that lies ready; None if the process only says that it has started."""
        try:
            value, failure = self.channel.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return self.failed(f"its reader died ({how})")
        if not self.ready:
            self.ready = True
            return None
        answer = Answer(self.task or "", value, failure)
        self.task = None
        return answer

    def failed(self, failure: str) -> Answer[R]:
        """The answer of a process that gives none.

        Raises:
            BenchError: It never started.
        """
        if self.task is None:
            raise BenchError(f"a worker process could not start: {failure}")
        return Answer(self.task, None, failure)


def _serve(channel: connection.Connection, function: Callable[[str], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    channel.send((None, ""))
    with suppress(EOFError, OSError):  # the parent has gone
        while True:
            task = channel.recv()
            try:
                answer = (function(task), "")
            except Exception as error:
                answer = (None, f"{type(error).__name__}: {error}")
            channel.send(answer)


def map_killable(
    function: Callable[[str], R], tasks: Iterable[str], *, workers: int, limit_s: float
) -> Iterator[Answer[R]]:
    """One answer per task, as they come.

    Args:
        function: Of a module's top level; an exception in it is a failure of that task.
        tasks: What it is called with.
        workers: Processes, at most; they start by import, not by fork.
        limit_s: A call that takes longer is killed, and its process replaced.

    Raises:
        BenchError: A process cannot be started.
    """
    waiting = list(reversed(list(tasks)))
    pool = [_Worker(function) for _ in range(min(workers, len(waiting)))]
    try:
        while pool:
            soonest = min(worker.deadline for worker in pool)
            timeout = max(0.0, soonest - time.monotonic())
            connection.wait([worker.channel for worker in pool], timeout)
            for worker in list(pool):
                if worker.channel.poll():
                    answer = worker.take()
                elif time.monotonic() > worker.deadline:
                    answer = worker.failed(f"no answer within {worker.limit_s:g} s")
                else:
                    continue
                if answer is not None:
                    yield answer
                _next(worker, pool, waiting, function, limit_s)
    finally:
        for worker in pool:
            worker.end()


def _next(
    worker: _Worker[R],
    pool: list[_Worker[R]],
    waiting: list[str],
    function: Callable[[str], R],
    limit_s: float,
) -> None:
    """Give the worker its next task; end it if none is left, replace it if it failed."""
    failed = worker.task is not None
    if failed or not waiting:
        worker.end()
        pool.remove(worker)
        if waiting:
            pool.append(_Worker(function))
    else:
        worker.give(waiting.pop(), limit_s)
