"""Many runs, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.data.frame_cache import open_cache
from zeroi2v_bench.distributed import group_size
from zeroi2v_bench.errors import BenchError, Interrupted
from zeroi2v_bench.runner import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.training.execution import Execution

    RunSpec = tuple[Protocol, str, int]
    """Protocol, method and seed."""


def name_of(spec: RunSpec) -> str:
    """A run as it is called in messages."""
    protocol, method, seed = spec
    return f"{protocol.name}, {method}, seed {seed}"


def sweep(
    specs: Iterable[RunSpec],
    execution: Execution,
    *,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> tuple[list[RunRecord], list[str]]:
    """Do every run; one that fails is listed and the rest goes on.

    Args:
        specs: Protocol, method and seed of each.
        execution: How to carry them out.
        report: Called with a line for every step.
        options: Further arguments of `runner.run`.

    Returns:
        The records, of runs that were there before too, and one line per failed run.

    Raises:
        Interrupted: SIGTERM or Ctrl-C came; the runs after it are not begun.
    """
    cache = open_cache(execution.cache, execution.cache_gb)
    records: list[RunRecord] = []
    failed: list[str] = []
    for spec in specs:
        protocol, method, seed = spec
        report(name_of(spec))
        try:
            record = run(
                protocol,
                method=method,
                seed=seed,
                cache=cache,
                execution=execution,
                report=lambda line: report(f"  {line}"),
                **options,
            )
        except Interrupted as error:
            raise Interrupted(f"{name_of(spec)}: {error}") from error
        except BenchError as error:
            if group_size() > 1:  # the others may not have failed: the group is out of step
                raise
            failed.append(f"{name_of(spec)}: {error}")
        else:
            records.append(record)
    return records, failed
