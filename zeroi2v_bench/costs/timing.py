"""Times taken side by side: every call has its turn in every round, and rounds are compared."""

from __future__ import annotations

import logging
import math
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from zeroi2v_bench.costs.cost_records import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MIN_ROUNDS = 6
"""Fewest rounds from which a median has a 95 % interval at all."""
TURN_S = 0.2
"""A turn repeats its call until it lasts about this long."""
WARM_UP_S = 0.5


def load_clock() -> Callable[[], float]:
    """The clock of torch.utils.benchmark, which waits for the device first.

    Imported here, as the import logs a warning where CUDA tools lie without a device.
    """
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from torch.utils.benchmark.utils.timer import timer
    finally:
        logger.setLevel(level)
    return timer


def take_turns(
    calls: Sequence[Callable[[], object]],
    *,
    rounds: int,
    report: Callable[[str], None] = lambda line: None,
) -> list[list[float]]:
    """Seconds of one call of each, round by round.

    The device is synchronised around every turn, by torch.utils.benchmark's timer. Every other
    round runs in reverse order, so that none always follows the same neighbour.

    Args:
        calls: What is timed.
        rounds: How often each has its turn.
        report: Called with a line for every round.

    Returns:
        For each call, its seconds in each round.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    clock = load_clock()
    with torch.inference_mode():
        repeats = [_warm_up(call, clock) for call in calls]
        for turn in range(rounds):
            order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
            for index in order:
                start = clock()
                for _ in range(repeats[index]):
                    calls[index]()
                seconds[index].append((clock() - start) / repeats[index])
            report(f"round {turn + 1}/{rounds}")
    return seconds


def _warm_up(call: Callable[[], object], clock: Callable[[], float]) -> int:
    """Call it until it is warm; returns how many calls make a turn."""
    call()  # the first call compiles, allocates and chooses kernels
    start, calls = clock(), 0
    while calls < 1 or clock() - start < WARM_UP_S:
        call()
        calls += 1
    return max(1, round(TURN_S * calls / (clock() - start)))


def quartiles(values: Sequence[float]) -> Spread:
    """The median between the quartiles."""
    low, median, high = quantiles(values, n=4, method="inclusive")
    return Spread(median=median, low=low, high=high)


def median_interval(values: Sequence[float]) -> Spread:
    """The median between the ends of its 95 % interval, from order statistics alone.

    The interval holds whatever the distribution is: the true median lies outside the k-th
    smallest and k-th largest value with the probability that a fair coin falls on one side
    fewer than k times.

    Raises:
        ValueError: Fewer than `MIN_ROUNDS` values.
    """
    n, ordered = len(values), sorted(values)
    if n < MIN_ROUNDS:
        raise ValueError(f"{n} values have no 95 % interval of the median; {MIN_ROUNDS} do")
    k, tail = 0, 0.0
    while tail + math.comb(n, k) / 2**n <= 0.025:
        tail += math.comb(n, k) / 2**n
        k += 1
    return Spread(median=quartiles(values).median, low=ordered[k - 1], high=ordered[n - k])


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that were there before and of those operations made, while in use.

    A storage counts once, however many views of it there are.
    """

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: WeakIdKeyDictionary = WeakIdKeyDictionary()
        for tensor in held:
            self._count(tensor)
        self.peak: int = sum(self.sizes.values())

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.sizes[storage] = storage.nbytes()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and note the storages of its results."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf)
        self.peak = max(self.peak, sum(self.sizes.values()))
        return result


@torch.inference_mode()
def peak_memory_mb(model: nn.Module, video: Tensor) -> float:
    """Weights, input and live activations of one forward pass at their highest, in MB (1e6).

    On a GPU this is what its allocator gave out. On a CPU it is the sum of the tensors alive.
    """
    live = LiveMemory((*model.parameters(), *model.buffers(), video))
    if video.is_cuda:
        torch.cuda.synchronize(video.device)
        torch.cuda.reset_peak_memory_stats(video.device)
        before = torch.cuda.memory_allocated(video.device)
        model(video)
        peak: int = torch.cuda.max_memory_allocated(video.device)
        return (live.peak + peak - before) / 1e6
    with live:
        model(video)
    return live.peak / 1e6


def largest_batch(fits: Callable[[int], bool], *, start: int, cap: int) -> int:
    """The largest of start, 2 start, 4 start, ... up to the cap that fits; at least ``start``."""
    batch = start
    while 2 * batch <= cap and fits(2 * batch):
        batch *= 2
    return batch
