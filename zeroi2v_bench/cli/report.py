"""`zeroi2v-bench report`: tables and a page from the records alone."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zeroi2v_bench.costs.cost_records import load_costs
from zeroi2v_bench.errors import BenchError, RecordError, UnknownNameError
from zeroi2v_bench.records import load_records, write_atomically
from zeroi2v_bench.reports.measured import group_runs
from zeroi2v_bench.reports.published import TableError, table_names
from zeroi2v_bench.reports.tables import Table, build_table, latest
from zeroi2v_bench.reports.text_report import to_csv, to_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.costs.cost_records import CostRecord
    from zeroi2v_bench.records import RunRecord

ALL = "all"
SUFFIX = {"markdown": ".md", "csv": ".csv", "html": ".html"}


def results_option(function: click.decorators.FC) -> click.decorators.FC:
    """``--results DIR``, as all verbs that read records have it."""
    return click.option(
        "--results",
        "results",
        multiple=True,
        type=click.Path(path_type=Path),
        default=(Path("results/local"),),
        show_default="results/local",
        help="Folder of records; may be given several times.",
    )(function)


@click.command()
@results_option
@click.option(
    "--table",
    "names",
    multiple=True,
    help=f"{', '.join(table_names())}, all, or the path of a table's own .yaml file; may be given "
    "several times. Default: all in which something was measured, for the datasets measured.",
)
@click.option(
    "--format", "fmt", type=click.Choice(list(SUFFIX)), default="markdown", show_default=True
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write; a folder (a name without a suffix) gets one file per table.",
)
@click.option("--protocol", "protocols", multiple=True, help="Only runs of these (* allowed).")
@click.option("--method", "methods", multiple=True, help="Only runs of these (* allowed).")
@click.option("--backbone", "backbones", multiple=True, help="Only runs on these (* allowed).")
@click.option("--classes", metavar="RUN", help="Instead: this run by class, and its confusions.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="With --classes: confusion matrix to draw (.png, .svg, .pdf).",
)
def report_command(
    results: tuple[Path, ...],
    names: tuple[str, ...],
    fmt: str,
    output: Path | None,
    protocols: tuple[str, ...],
    methods: tuple[str, ...],
    backbones: tuple[str, ...],
    classes: str | None,
    picture: Path | None,
) -> None:
    """Print the tables that the records under --results give, beside the published figures.

    --protocol, --method and --backbone choose among runs; costs are shown whole.
    """
    _refuse_unheard(names, fmt, classes, picture)
    costs = read_costs(results)
    records = read_records(results)
    if not records and not costs:
        click.echo(f"no records under {', '.join(map(str, results))}", err=True)
    records = [
        record
        for record in records
        if _fits(record.protocol, protocols)
        and _fits(record.method, methods)
        and _fits(record.backbone.spec, backbones)
    ]
    if classes:
        write({"classes": one_run(classes, records, results, picture)}, fmt, output)
        return
    tables, problems = build_tables(_wanted(names, fmt), records, costs)
    if fmt == "html":
        from zeroi2v_bench.reports.html_report import html_page

        texts = {"report": html_page([t for t in tables if t.num_rows], records, costs)}
    else:
        texts = {table.name: _text(table, records, fmt) for table in tables}
    if tables or not problems:
        write(texts, fmt, output)
    if problems:
        sys.exit(1)


def _refuse_unheard(
    names: Sequence[str], fmt: str, classes: str | None, picture: Path | None
) -> None:
    if picture and not classes:
        raise BenchError("--picture draws one run's confusion matrix: give --classes RUN too")
    if classes and (names or fmt != "markdown"):
        raise BenchError("--classes prints one run as Markdown: leave out --table and --format")


def _wanted(names: Sequence[str], fmt: str) -> list[str]:
    """The tables asked for, each once; a page has all."""
    asked = names or ([ALL] if fmt == "html" else [])
    each = (table_names() if name == ALL else [name] for name in asked)
    return list(dict.fromkeys(chain.from_iterable(each)))


def read_records(results: Sequence[Path]) -> list[RunRecord]:
    """The newest record of each run; what is left out, and why, is said on stderr."""
    records, problems = load_records(results)
    kept, doubled = latest(records)
    for line in [*problems, *doubled, *group_runs(kept)[1]]:
        click.echo(f"left out: {line}", err=True)
    return kept


def read_costs(results: Sequence[Path]) -> list[CostRecord]:
    """All cost measurements; files that cannot be read are said on stderr."""
    costs, problems = load_costs(results)
    for line in problems:
        click.echo(f"left out: {line}", err=True)
    return costs


def _fits(value: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


def build_tables(
    names: Sequence[str], records: Sequence[RunRecord], costs: Sequence[CostRecord]
) -> tuple[list[Table], list[BenchError]]:
    """The tables asked for, or all with something measured; those that fail are said on stderr.

    Returns:
        The tables, and what was wrong with the others.
    """
    tables: list[Table] = []
    problems: list[BenchError] = []
    for name in names or table_names(on_request=False):
        try:
            tables.append(build_table(name, records, costs, only_measured_datasets=not names))
        except (TableError, UnknownNameError) as error:
            problems.append(error)
            click.echo(f"error: {error}", err=True)
    return (tables if names else [t for t in tables if t.num_measured]), problems


def write(texts: dict[str, str], fmt: str, output: Path | None) -> None:
    """Print, or write one file, or one file per table into a folder.

    Several CSV tables in one file have their names on lines of their own.
    """
    if output is not None and (output.is_dir() or not output.suffix):
        for name, text in texts.items():
            write_atomically(output / f"{Path(name).stem}{SUFFIX[fmt]}", text.encode())
        return
    if fmt == "csv" and len(texts) > 1:
        texts = {name: f"# {name}\n{text}" for name, text in texts.items()}
    whole = "\n".join(texts.values())
    if output is None:
        click.echo(whole, nl=False)
    else:
        write_atomically(output, whole.encode())


def one_run(
    name: str, records: Sequence[RunRecord], results: Sequence[Path], picture: Path | None
) -> str:
    """One run by class; its confusion matrix goes to ``picture``.

    Raises:
        RecordError: No such run, several, or no predictions beside it.
    """
    from zeroi2v_bench.reports.class_report import class_report
    from zeroi2v_bench.reports.predictions import confusion_counts, find_runs, predictions_of

    found = find_runs(name, records)
    if len(found) > 1:
        raise RecordError(f"{name!r} is {len(found)} runs: {', '.join(r.run_id for r in found)}")
    (record,) = found
    clips = predictions_of(record, results)
    if picture:
        from zeroi2v_bench.reports.plots import confusion_picture

        title = f"{record.method}, {record.protocol}, seed {record.seed}"
        drawn = confusion_picture(
            confusion_counts(clips), record.class_names, title=title, suffix=picture.suffix
        )
        write_atomically(picture, drawn)
    return class_report(record, clips)


def _text(table: Table, records: list[RunRecord], fmt: str) -> str:
    return to_csv(table, records) if fmt == "csv" else to_markdown(table)
