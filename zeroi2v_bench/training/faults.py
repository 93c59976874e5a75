"""Faults of the machine as one clear line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import distributed

from zeroi2v_bench.distributed import group_size
from zeroi2v_bench.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def clear_faults() -> Iterator[None]:
    """Say what a full device or a broken group of processes means.

    Raises:
        TrainError: Either of the two.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainError(
            "the device's memory is full; in training a smaller --micro-batch helps"
        ) from error
    except (RuntimeError, distributed.DistError) as error:
        if group_size() == 1:
            raise
        reason = " ".join(str(error).split())[:200]
        raise TrainError(f"the group of processes broke up ({reason})") from error
