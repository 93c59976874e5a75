"""Hand runs to SLURM through the submitit package; without SLURM they run on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.sweep import name_of, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.sweep import RunSpec
    from zeroi2v_bench.training.execution import Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedRun:
    """One run as a job. A job that SLURM ends for its time is queued again, and goes on."""

    spec: RunSpec
    execution: Execution
    options: Mapping[str, Any]

    def __call__(self) -> tuple[list[RunRecord], list[str]]:
        """As `sweep` of the one run."""
        return sweep([self.spec], self.execution, **self.options)

    def checkpoint(self) -> Any:
        """The same job again: the run resumes by itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(
    specs: Sequence[RunSpec],
    execution: Execution,
    *,
    results: Path,
    slurm: Mapping[str, Any],
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> tuple[list[RunRecord], list[str]]:
    """Submit every run as a job of its own, and wait for all of them.

    Args:
        specs: Protocol, method and seed of each.
        execution: How to carry them out.
        results: Folder of the records; the jobs' own logs go to its subfolder ``jobs``.
        slurm: Parameters of ``submitit.AutoExecutor``, e.g. ``timeout_min``, ``gpus_per_node``,
            ``slurm_partition``.
        report: Called with a line for every job.
        options: Further arguments of `runner.run`.

    Returns:
        The records, and one line per failed job.

    Raises:
        BenchError: submitit is not installed, or refuses a parameter.
    """
    try:
        import submitit
    except ImportError as error:
        raise BenchError("--launcher submitit: pip install 'zeroi2v-bench[slurm]'") from error
    executor = submitit.AutoExecutor(folder=results.absolute() / "jobs")
    try:
        executor.update_parameters(**{"name": "zeroi2v-bench", "timeout_min": 24 * 60, **slurm})
    except (NameError, TypeError, ValueError, AssertionError) as error:
        raise BenchError(f"--slurm: {' '.join(str(error).split())}") from error
    rest = {**options, "results": results.absolute()}
    runs = [SubmittedRun(spec=spec, execution=execution, options=rest) for spec in specs]
    jobs = [executor.submit(run) for run in runs]
    records: list[RunRecord] = []
    failed: list[str] = []
    for spec, job in zip(specs, jobs, strict=True):
        report(f"{name_of(spec)}: job {job.job_id}")
        try:
            done, lost = job.result()
        except Exception as error:  # whatever came back from the other process
            lines = str(error).strip().splitlines() or [type(error).__name__]
            done, lost = [], [f"{name_of(spec)}: job {job.job_id}: {lines[-1]}"]
        records += done
        failed += lost
    return records, failed
