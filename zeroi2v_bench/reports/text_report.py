"""A `Table` as Markdown for readers or CSV for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroi2v_bench.reports.tables import full_table, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.reports.tables import Columns, Table

MARKED = ("method", "setting")
"""Columns that carry the footnote numbers, the first that a table has."""


def to_markdown(table: Table) -> str:
    """Heading, sentence, table, footnotes."""
    notes = [f"{number}. {text}" for number, text in enumerate(table.footnotes, start=1)]
    if not table.num_measured:
        notes.insert(0, "Nothing of this table has been measured yet.\n")
    parts = [f"## {table.title}", table.about, render(_marked(table), "markdown").rstrip()]
    return "\n\n".join(part for part in [*parts, "\n".join(notes).rstrip()] if part) + "\n"


def to_csv(table: Table, records: Sequence[RunRecord] = ()) -> str:
    """Header and rows; the footnotes of a row are its last cell.

    Args:
        table: What to print.
        records: For the table of runs: all columns of these are printed, not only those that
            tell something.
    """
    if table.name == "runs":
        return render(full_table(records), "csv")
    texts = [" ".join(table.footnotes[k - 1] for k in marks) for marks in table.marks]
    notes = {"footnotes": texts} if any(texts) else {}
    return render({**table.columns, **notes}, "csv")


def _marked(table: Table) -> Columns:
    """The table's columns with footnote numbers behind the method's name."""
    where = next((name for name in MARKED if name in table.columns), None)
    if where is None or not table.footnotes:
        return table.columns
    cells = [
        f"{name} [{','.join(map(str, marks))}]" if marks else name
        for name, marks in zip(table.columns[where], table.marks, strict=True)
    ]
    return {**table.columns, where: cells}
