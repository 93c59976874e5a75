"""Several processes on one run, started by torchrun. Without torchrun all of this is a no-op.

Gradients are averaged by DistributedDataParallel. Sharding weights (FSDP) would save nothing: the
backbone is frozen and has neither gradients nor optimiser state, and the 14 to 50 million trained
parameters of a method, with both AdamW moments in float32, take 0.2 to 0.8 GB per device.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from zeroi2v_bench.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, as while the first one writes a checkpoint."""


def rank() -> int:
    """Number of this process within the group; 0 where there is none."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def group_size() -> int:
    """Processes in the group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return rank() == 0


@contextmanager
def joined_group(device: str) -> Iterator[str]:
    """Join the group that torchrun started, if it did, and leave it at the end.

    Args:
        device: "cpu", "cuda" or "cuda:N".

    Yields:
        The device of this process: of several on CUDA, each takes the one of its local number.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
        distributed.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
    else:
        distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def wrap(model: nn.Module, trained: nn.Module) -> nn.Module:
    """The model with synchronised gradients; itself where there is one process.

    Frozen tensors are neither sent nor compared: every process has read the same ones, see
    `require_agreement`.

    Args:
        model: What is called, maybe compiled.
        trained: The model inside, whose tensors say what is frozen.
    """
    if group_size() == 1:
        return model
    device = next(trained.parameters()).device
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        init_sync=False,
    )


def add_up(values: Sequence[float]) -> list[float]:
    """The sums over all processes."""
    if group_size() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(total)
    return total.tolist()


def gather(value: T) -> list[T]:
    """The values of all processes, in the order of their ranks, on every one of them."""
    if group_size() == 1:
        return [value]
    values: list[Any] = [None] * group_size()
    distributed.all_gather_object(values, value)
    return values


def require_agreement(key: str) -> None:
    """Check that all processes work on the same run, weights and clips included.

    Args:
        key: Of the run; it covers the hashes of weights and splits.

    Raises:
        TrainError: They differ.
    """
    if len(keys := set(gather(key))) > 1:
        raise TrainError(
            f"the {group_size()} processes found {len(keys)} different runs: their data folders "
            "or weights differ"
        )
