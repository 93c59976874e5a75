"""`zeroi2v-bench report`: tables from the records alone."""

from __future__ import annotations

from pathlib import Path

import click

from zeroi2v_bench.records import load_records
from zeroi2v_bench.tables import full_table, latest, render, runs_table


@click.command()
@click.option(
    "--results",
    "results",
    multiple=True,
    type=click.Path(path_type=Path),
    default=(Path("results/local"),),
    show_default="results/local",
    help="Folder of records; may be given several times.",
)
@click.option(
    "--format", "fmt", type=click.Choice(["markdown", "csv"]), default="markdown", show_default=True
)
def report_command(results: tuple[Path, ...], fmt: str) -> None:
    """Print the tables that the records under --results give."""
    records, problems = load_records(results)
    kept, doubled = latest(records)
    for line in [*problems, *doubled]:
        click.echo(f"note: {line}", err=True)
    frame = full_table(kept) if fmt == "csv" else runs_table(kept)
    click.echo(render(frame, fmt), nl=False)
