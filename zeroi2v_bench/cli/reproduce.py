"""`zeroi2v-bench reproduce`: measure what a table shows, then print it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zeroi2v_bench.cli.report import read_costs, read_records
from zeroi2v_bench.reports.published import TableError, load_table, table_names
from zeroi2v_bench.reports.tables import build_table
from zeroi2v_bench.reports.text_report import to_markdown

DIRECTORY = click.Path(file_okay=False, path_type=Path)


def reproducible() -> list[str]:
    """Names of the tables that say how they are reproduced."""
    return [name for name in table_names() if load_table(name)[0].reproduce]


@click.command()
@click.argument("table")
@click.option(
    "--data-root",
    type=DIRECTORY,
    envvar="ZEROI2V_BENCH_DATA_ROOT",
    help="The dataset's folder; without it accuracies of that dataset are left out.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--results", type=DIRECTORY, default=Path("results/local"), show_default=True)
def reproduce_command(table: str, data_root: Path | None, device: str, results: Path) -> None:
    """Run what can be run here for a paper's TABLE, then report it beside the published figures.

    TABLE is table1_ablation, table3_k400, table4_ssv2, table5_latency, or the .yaml file of a
    table of your own. Counts are always taken, times on the device at hand, accuracies where the
    data is. Runs that are on record are not repeated.
    """
    steps = load_table(table)[0].reproduce
    if steps is None:
        legal = ", ".join(reproducible())
        raise TableError(f"table {table} does not say how to reproduce it; known: {legal}")
    from zeroi2v_bench.cli.measure import make_plan
    from zeroi2v_bench.cli.run import run_all
    from zeroi2v_bench.reproduction import NEEDS_NO_DATA, jobs_of, measure_costs
    from zeroi2v_bench.training.execution import Execution

    plan = make_plan(device=device, threads=None, batch=None, max_batch=None)
    measure_costs(steps.measure, plan=plan, results=results, report=_say)
    jobs = jobs_of(steps.run, data_root=data_root, report=_say)
    failed: list[str] = []
    for embedded, root in ((True, None), (False, data_root)):
        part = [job for job in jobs if (job[0].dataset in NEEDS_NO_DATA) == embedded]
        if part:
            failed += run_all(part, Execution(device=device), results=results, data_root=root)[1]
    records, costs = read_records([results]), read_costs([results])
    for name in (table, *steps.tables):
        click.echo(to_markdown(build_table(name, records, costs)))
    for line in failed:
        click.echo(f"error: {line}", err=True)
    if failed:
        sys.exit(1)


def _say(line: str) -> None:
    click.echo(line, err=True)
