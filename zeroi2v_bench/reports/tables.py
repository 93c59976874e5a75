"""Tables out of records: rows, columns and footnotes as a table's definition asks.

Neither torch nor pandas is imported for a report; pandas only where a ``DataFrame`` is asked for.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.reports.columns import BEHIND, COLUMNS, GAPS, MEASURED, RELATIVE, Column, signed
from zeroi2v_bench.reports.comparison import (
    check_columns,
    compare_rows,
    cost_rows,
    is_chosen,
    sort_rows,
)
from zeroi2v_bench.reports.cost_cases import cost_cases
from zeroi2v_bench.reports.measured import Group, group_runs
from zeroi2v_bench.reports.orderings import ordering_rows
from zeroi2v_bench.reports.published import load_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pandas import DataFrame

    from zeroi2v_bench.costs.cost_records import CostRecord
    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.reports.comparison import Cells
    from zeroi2v_bench.reports.published import PublishedRow, TableSpec


Columns = dict[str, list[Any]]
"""A table's values by column name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table ready to be printed.

    Attributes:
        name: As asked for.
        title: Heading.
        about: A sentence under the heading.
        columns: Values of each column, named as in the definition; raw, None where there is none.
        marks: For each row, the numbers of its footnotes, from 1.
        footnotes: Their texts.
        on_request: Shown only where it is asked for by name.
        num_measured: Rows in which something was measured.
        run_ids: For each row, the records behind it, as ``folder/run id``.
    """

    name: str
    title: str
    about: str
    columns: Columns
    marks: tuple[tuple[int, ...], ...]
    footnotes: tuple[str, ...]
    on_request: bool
    num_measured: int
    run_ids: tuple[tuple[str, ...], ...]

    @property
    def frame(self) -> DataFrame:
        """The columns as a pandas frame."""
        return data_frame(self.columns)

    @property
    def num_rows(self) -> int:
        """Rows, measured or not."""
        return len(self.marks)


def latest(records: Iterable[RunRecord]) -> tuple[list[RunRecord], list[str]]:
    """The newest record of each key, oldest first, and one line for each key with older ones."""
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda r: (r.created, r.run_id)):
        groups.setdefault(record.key, []).append(record)
    kept = sorted((g[-1] for g in groups.values()), key=lambda r: (r.created, r.run_id))
    lines = [
        f"{g[-1].protocol}/{g[-1].run_id}: the newest of {len(g)} records of this run is shown"
        for g in groups.values()
        if len(g) > 1
    ]
    return kept, lines


def runs_table(records: Sequence[RunRecord]) -> DataFrame:
    """The default table of `run` and `report`: one row per run.

    Protocol, backbone and seed are shown where they differ between rows, the origin of the
    weights where any are random, and the clips counted where any are missing.

    Returns:
        Columns named as in `columns.COLUMNS`, raw values (per cent, parameters, GMACs, seconds).
    """
    return build_table("runs", records).frame


def full_table(records: Sequence[RunRecord]) -> Columns:
    """Every column of every run that needs no statistics, for machines."""
    names = [name for name in COLUMNS if name != "wilson"]
    return {name: [COLUMNS[name].read(record) for record in records] for name in names}


def build_table(
    name: str,
    records: Sequence[RunRecord],
    costs: Sequence[CostRecord] = (),
    *,
    only_measured_datasets: bool = False,
) -> Table:
    """A table by its name, or by the path of its definition, from the records.

    Args:
        name: One of `published.table_names`, or a path ending in ``.yaml``.
        records: Newest of each run, as `latest` gives them.
        costs: Cost records.
        only_measured_datasets: Leave out published rows of datasets on which nothing of this
            table was measured.

    Raises:
        UnknownNameError: No such table.
        TableError: A definition that cannot be parsed or names an unknown column.
    """
    spec, published = load_table(name)
    check_columns(name, spec, published)
    rows = _rows_of(spec, published, records, costs)
    if only_measured_datasets:
        measured = {row.get("dataset") for row in rows if _is_measured(row)}
        rows = [row for row in rows if row.get("dataset") in measured]
    marks, footnotes = _footnotes(spec, rows)
    return Table(
        name=name,
        title=spec.title,
        about=spec.about,
        columns=_columns(rows, spec.columns),
        marks=marks,
        footnotes=footnotes,
        on_request=spec.on_request,
        num_measured=sum(_is_measured(row) for row in rows),
        run_ids=tuple(row.get("run_ids", ()) for row in rows),
    )


def _is_measured(row: Cells) -> bool:
    return "run_ids" in row


def _rows_of(
    spec: TableSpec,
    published: Sequence[PublishedRow],
    records: Sequence[RunRecord],
    costs: Sequence[CostRecord],
) -> list[Cells]:
    if spec.rows == "runs":
        return _run_rows(spec, records)
    if spec.rows == "costs":
        return cost_rows(spec, cost_cases(costs, timed=True))
    cases = [] if spec.costs == "none" else cost_cases(costs, timed=spec.costs == "times")
    groups = group_runs(records)[0]
    if spec.rows == "orderings":
        return ordering_rows(spec, published, groups)
    return compare_rows(spec, published, groups, cases)


def _run_rows(spec: TableSpec, records: Sequence[RunRecord]) -> list[Cells]:
    wanted = [column.removesuffix("?") for column in (*spec.columns, *spec.sort)]
    chosen = [r for r in records if is_chosen(Group(runs=(r,)).facts(), spec.where)]
    rows = [{**_run_cells(r, wanted), "run_ids": (f"{r.protocol}/{r.run_id}",)} for r in chosen]
    return sort_rows(rows, spec.sort)


def _run_cells(record: RunRecord, names: Iterable[str]) -> Cells:
    return {name: COLUMNS[name].read(record) for name in names}


def _footnotes(
    spec: TableSpec, rows: Sequence[Cells]
) -> tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]:
    ids = [str(row.get("id") or "") for row in rows]
    used = [note for note in spec.footnotes if any(note.concerns(i) for i in ids)]
    marks = tuple(tuple(k for k, n in enumerate(used, start=1) if n.concerns(i)) for i in ids)
    return marks, tuple(note.text for note in used)


def _columns(rows: Sequence[Cells], columns: Sequence[str]) -> Columns:
    found = {column: [row.get(column.removesuffix("?")) for row in rows] for column in columns}
    return {c.removesuffix("?"): values for c, values in found.items() if _is_shown(c, values)}


def data_frame(columns: Columns) -> DataFrame:
    """Columns as a pandas frame; every cell keeps its type."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})


def _is_shown(column: str, values: Sequence[Any]) -> bool:
    name = column.removesuffix("?")
    distinct = set(values) - {None, ""}
    if name == column:
        return bool(distinct) or not column.startswith(("measured.", "difference."))
    usual = column_of(name.removeprefix("measured.")).usual
    return any(not usual(v) for v in distinct) if usual else len(distinct) > 1


def column_of(name: str) -> Column:
    """How a column of any table is titled and printed."""
    prefix, dot, figure = name.partition(".")
    if not dot:
        return COLUMNS.get(name, Column(name.replace("_", " ")))
    known = {**MEASURED, **GAPS}.get(figure, Column(figure.replace("_", " ")))
    if prefix == "difference":
        unit = "%" if figure in RELATIVE else "points"
        base = known.title.partition(" (")[0]
        return Column(f"{base} difference ({unit})", signed)
    if prefix == "published":
        return Column(f"published {known.title}", known.show)
    return Column(known.title if figure in BEHIND else f"measured {known.title}", known.show)


def shown(name: str, value: Any) -> str:
    """A cell as a reader sees it: unit-aware digits, empty where there is nothing."""
    if value is None or value != value:  # None or NaN
        return ""
    return value if isinstance(value, str) else column_of(name).show(value)


def render(columns: Columns | DataFrame, fmt: str) -> str:
    """A table as text.

    Args:
        columns: Named as in `columns.COLUMNS` or in a table's definition.
        fmt: "markdown" for readers (titles with units, thousands separators) or "csv" for
            machines (column names, unrounded numbers).
    """
    names = [str(name) for name in columns]
    values = [list(columns[name]) for name in names]
    if fmt == "csv":
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows([names, *zip(*values, strict=True)])
        return text.getvalue()
    shown_values = [[plain(shown(n, v)) for v in of] for n, of in zip(names, values, strict=True)]
    titles = [plain(column_of(name).title) for name in names]
    return markdown(titles, list(zip(*shown_values, strict=True)), [is_numeric(v) for v in values])


def is_numeric(values: Iterable[Any]) -> bool:
    """Whether a column holds numbers, also those that are kept as printed."""
    present = [v for v in values if v is not None]
    return all(_is_number(v) for v in present) and bool(present)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


_ESCAPED = {"\\": "\\\\", "|": "\\|", "<": "&lt;", "*": "\\*", "`": "\\`", "](": "]\\("}


def plain(text: str) -> str:
    """Text that cannot break a Markdown row, start a tag, a link or emphasis or steer a terminal.

    A bracket alone starts nothing, so that footnote numbers stay readable.
    """
    for old, new in _ESCAPED.items():
        text = text.replace(old, new)
    text = " ".join(text.split())
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())


def markdown(titles: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """An aligned Markdown table; columns marked ``right`` are right-aligned."""
    widths = [max([3, len(t), *(len(row[i]) for row in cells)]) for i, t in enumerate(titles)]

    def line(row: Sequence[str]) -> str:
        padded = (
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (w - 1) + ":") if r else "-" * w for w, r in zip(widths, right, strict=True)]
    return "\n".join([line(titles), line(rule), *(line(row) for row in cells)]) + "\n"
