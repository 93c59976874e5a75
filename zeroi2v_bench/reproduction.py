"""Measure what a table shows, as its definition says, on the machine at hand. Imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroi2v_bench.costs.cost_records import append_costs
from zeroi2v_bench.costs.measuring import Case, measure
from zeroi2v_bench.protocol import load_protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from zeroi2v_bench.costs.side_by_side import Plan
    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.reports.published import CostStep, RunStep

NEEDS_NO_DATA = {"moving_digits"}


def measure_costs(
    steps: Iterable[CostStep], *, plan: Plan, results: Path, report: Callable[[str], None]
) -> None:
    """Measure and record costs on random weights: counts always, times where the step asks."""
    for step in steps:
        for num_frames in step.frames:
            case = Case(
                num_frames=num_frames,
                crops=step.crops,
                clips=step.clips,
                num_classes=step.classes,
            )
            report(f"costs of {case.num_frames} frames x {case.crops} x {case.clips}")
            record = measure(
                [(choice.method, choice.params) for choice in step.methods],
                step.backbones,
                case=case,
                plan=plan if step.times else None,
                random_weights=True,
                report=report,
            )
            report(f"recorded: {append_costs(record, results)}")


def jobs_of(
    steps: Iterable[RunStep], *, data_root: Path | None, report: Callable[[str], None]
) -> list[tuple[Protocol, str, int]]:
    """Protocol, method and seed of every run that this machine has the data for.

    Args:
        steps: What the table asks for.
        data_root: The dataset's folder; without one, only embedded datasets are run.
        report: Told of every protocol that is left out.
    """
    jobs = []
    for step in steps:
        protocol = load_protocol(step.protocol)
        if data_root is None and protocol.dataset not in NEEDS_NO_DATA:
            report(f"left out: {protocol.name} needs --data-root ({protocol.dataset})")
            continue
        methods = step.methods or protocol.default_methods or tuple(protocol.methods)
        jobs += [(protocol, method, seed) for seed in protocol.seeds for method in methods]
    return jobs
