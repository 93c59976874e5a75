"""Many runs, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.errors import BenchError, Interrupted
from zeroi2v_bench.frame_cache import open_cache
from zeroi2v_bench.runner import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zeroi2v_bench.execution import Execution
    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.records import RunRecord


def sweep(
    jobs: Iterable[tuple[Protocol, str, int]],
    execution: Execution,
    *,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> tuple[list[RunRecord], list[str]]:
    """Run every job; one that fails is listed and the rest goes on.

    Args:
        jobs: Protocol, method and seed of each.
        execution: How to carry them out.
        report: Called with a line for every step.
        options: Further arguments of `runner.run`.

    Returns:
        The records, of runs that were there before too, and one line per failed job.

    Raises:
        Interrupted: SIGTERM or Ctrl-C came; the jobs after it are not begun.
    """
    cache = open_cache(execution.cache, execution.cache_gb)
    records, failed = [], []
    for protocol, method, seed in jobs:
        name = f"{protocol.name}, {method}, seed {seed}"
        report(name)
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
            raise Interrupted(f"{name}: {error}") from error
        except BenchError as error:
            failed.append(f"{name}: {error}")
        else:
            records.append(record)
    return records, failed
