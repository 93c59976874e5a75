"""Published rows with what was measured of them: published and measured never share a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.columns import MEASURED, RELATIVE
from zeroi2v_bench.published import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zeroi2v_bench.measured import Group
    from zeroi2v_bench.published import PublishedRow, TableSpec

Cells = dict[str, Any]
DESCRIBING = ("id", "method", "backbone", "dataset", "setting", "shots", "views", "source")
HERE = "measured here"


def compare_rows(
    spec: TableSpec, published: Sequence[PublishedRow], groups: Iterable[Group]
) -> list[Cells]:
    """Published rows, each with every group measured of it, then the groups without one.

    Returns:
        Rows of plain cells (what the row is about) and of ``published.*``, ``measured.*`` and
        ``difference.*`` ones. A measured accuracy on random weights is never among them.
    """
    chosen = [
        g for g in groups if len(g.runs) >= spec.min_seeds and is_chosen(g.facts(), spec.where)
    ]
    rows: list[Cells] = []
    used: set[int] = set()
    for line in published:
        partners = [g for g in chosen if matches(spec, line, g.facts())]
        used.update(id(g) for g in partners)
        rows += [joined(spec, line, group) for group in partners] or [published_cells(line)]
    if spec.others:
        rows += [measured_cells(spec, group) for group in chosen if id(group) not in used]
    return sort_rows(rows, spec.sort)


def is_chosen(facts: Cells, where: dict[Any, tuple[Any, ...]]) -> bool:
    """Whether a measurement has one of the values that the table asks for."""
    return all(facts[name] in values for name, values in where.items())


def matches(spec: TableSpec, line: PublishedRow, facts: Cells) -> bool:
    """Whether a measurement is of what the published row is about."""
    for name in spec.match:
        if name == "method":
            if facts["method"] not in line.cells.get("runs_as", "").split():
                return False
        elif fact_of(line, name) != str(facts[name] if facts[name] is not None else ""):
            return False
    return True


def fact_of(line: PublishedRow, name: str) -> str:
    """A published row's side of a fact."""
    if name == "views":
        return line.views
    return line.cells.get("frames" if name == "num_frames" else name, "")


def published_cells(line: PublishedRow) -> Cells:
    """A published row alone: its figures under ``published.``, as printed."""
    plain = {name: text or None for name, text in line.cells.items()}
    figures = {f"published.{name}": text or None for name, text in line.cells.items()}
    return {**plain, "views": line.views or None, **figures, "published.views": line.views or None}


def measured_cells(spec: TableSpec, group: Group) -> Cells:
    """A measured group alone."""
    facts = group.facts()
    plain = {name: facts[name] for name in DESCRIBING if name in facts}
    return {**plain, "source": HERE, **_measured(spec, group)}


def _measured(spec: TableSpec, group: Group) -> Cells:
    """The ``measured.`` cells that the table shows or subtracts; intervals cost an import."""
    used = {column.removesuffix("?").partition(".")[2] for column in (*spec.columns, *spec.sort)}
    return {f"measured.{n}": column.read(group) for n, column in MEASURED.items() if n in used}


def joined(spec: TableSpec, line: PublishedRow, group: Group) -> Cells:
    """A published row beside one measured group, with the differences where both have a number."""
    measured = _measured(spec, group)
    cells = {**published_cells(line), **measured}
    for dotted, ours in measured.items():
        name = dotted.removeprefix("measured.")
        theirs = line.number(name)
        if theirs is not None and isinstance(ours, int | float):
            relative = name in RELATIVE and theirs != 0
            gap = 100 * (ours - theirs) / theirs if relative else ours - theirs
            cells[f"difference.{name}"] = gap
    return cells


def sort_rows(rows: list[Cells], by: Sequence[str]) -> list[Cells]:
    """Stable sort; numbers by value, also where they are texts, and empty cells first."""

    def key(row: Cells) -> list[tuple[int, float, str]]:
        return [_sort_key(row.get(name)) for name in by]

    return sorted(rows, key=key) if by else rows


def _sort_key(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    try:
        return (1, float(value), "")
    except (TypeError, ValueError):
        return (2, 0.0, str(value))


def check_columns(name: str, spec: TableSpec, published: Sequence[PublishedRow]) -> None:
    """Every column of a definition exists.

    Raises:
        TableError: One does not; the message lists those that do.
    """
    header = list(published[0].cells) if published else []
    figures = [*header, *(["views"] if header else [])]
    known = [
        *dict.fromkeys([*DESCRIBING, *header]),
        *(f"published.{column}" for column in figures),
        *(f"measured.{column}" for column in MEASURED),
        *(f"difference.{column}" for column in MEASURED if column in header),
    ]
    for column in (*spec.columns, *spec.sort):
        if column.removesuffix("?") not in known:
            raise TableError(f"table {name}: unknown column {column!r}; known: {', '.join(known)}")
