"""Published rows with what was measured of them: published and measured never share a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.reports.columns import COLUMNS, MEASURED, RELATIVE
from zeroi2v_bench.reports.cost_cases import plain_gmacs
from zeroi2v_bench.reports.measured import ANY
from zeroi2v_bench.reports.published import TableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zeroi2v_bench.reports.cost_cases import CostCase, Measurement
    from zeroi2v_bench.reports.measured import Group
    from zeroi2v_bench.reports.published import PublishedRow, TableSpec

Cells = dict[str, Any]
PlainGmacs = dict[tuple[str, str], float]
ORDERING_COLUMNS = (
    "higher",
    "lower",
    "published.gap",
    "measured.gap",
    "measured.gap_interval",
    "measured.pairs",
    "measured.protocol",
    "measured.backbone",
    "verdict",
)
DESCRIBING = (
    "id",
    "method",
    "state",
    "backbone",
    "dataset",
    "setting",
    "shots",
    "views",
    "source",
)
HERE = "measured here"


def compare_rows(
    spec: TableSpec,
    published: Sequence[PublishedRow],
    groups: Sequence[Group],
    costs: Sequence[CostCase] = (),
) -> list[Cells]:
    """Published rows, each with all that was measured of it, then the rest of the groups.

    Returns:
        Rows of plain cells (what the row is about) and of ``published.*``, ``measured.*`` and
        ``difference.*`` ones. A measured accuracy on random weights is never among them.
    """
    plain = plain_gmacs([*groups, *costs])
    chosen = [
        g for g in groups if len(g.runs) >= spec.min_seeds and is_chosen(g.facts(), spec.where)
    ]
    rows: list[Cells] = []
    used: set[int] = set()
    for line in published:
        runs = [g for g in chosen if spec.costs != "times" and matches(spec, line, g.facts())]
        used.update(id(g) for g in runs)
        cases = [] if runs else _cases_of(spec, line, costs)
        partners: list[Measurement] = [*runs, *cases]
        rows += [joined(spec, line, m, plain) for m in partners] or [published_cells(line)]
    if spec.others:
        rows += [measured_cells(spec, g, plain) for g in chosen if id(g) not in used]
    return sort_rows(rows, spec.sort)


def cost_rows(spec: TableSpec, costs: Sequence[CostCase]) -> list[Cells]:
    """One row per cost measurement, plain and unmerged models included; methods by their label."""
    plain = plain_gmacs(costs)
    chosen = [case for case in costs if is_chosen(case.facts(), spec.where)]
    rows = [measured_cells(spec, case, plain) | {"method": case.row.label} for case in chosen]
    return sort_rows(rows, spec.sort)


def _cases_of(spec: TableSpec, line: PublishedRow, costs: Sequence[CostCase]) -> Sequence[CostCase]:
    """The deployed models that are the row's, under the first of its names that was measured.

    Parameters that were asked for and that the row does not name make another model.
    """
    found = [
        case
        for case in costs
        if case.row.state != "unmerged"
        and matches(spec, line, case.facts())
        and case.asked_for <= line.variant.keys()
    ]
    for name in line.cells.get("runs_as", "").split():
        if named := [case for case in found if case.row.method == name]:
            return named
    return []


def is_chosen(facts: Cells, where: Mapping[Any, tuple[Any, ...]]) -> bool:
    """Whether a measurement has one of the values that the table asks for."""
    return all(facts[name] is ANY or facts[name] in values for name, values in where.items())


def matches(spec: TableSpec, line: PublishedRow, facts: Cells) -> bool:
    """Whether a measurement is of what the published row is about."""
    if not _is_the_variant(line, facts["params"]):
        return False
    for name in spec.match:
        if name == "method":
            if facts["method"] not in line.cells.get("runs_as", "").split():
                return False
        elif facts[name] is not ANY and fact_of(line, name) != _text(facts[name]):
            return False
    return True


def _is_the_variant(line: PublishedRow, params: Cells) -> bool:
    """Whether the method's parameters are those that the row names, if it names any."""
    wanted = line.variant
    return all(_in_order(params.get(name)) == _in_order(wanted[name]) for name in wanted)


def _in_order(value: Any) -> Any:
    """Lists stand for sets: {"places": ["attn", "mlp"]} in any order."""
    return sorted(value) if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    return "" if value is None else str(value)


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


def measured_cells(spec: TableSpec, measurement: Measurement, plain: PlainGmacs) -> Cells:
    """A measurement alone."""
    facts = measurement.facts()
    about = {name: facts[name] for name in DESCRIBING if facts.get(name, ANY) is not ANY}
    return {**about, "source": HERE, **_measured(spec, measurement, plain)}


def _measured(spec: TableSpec, measurement: Measurement, plain: PlainGmacs) -> Cells:
    """The ``measured.`` cells that the table shows or subtracts; intervals cost an import."""
    used = {column.removesuffix("?").partition(".")[2] for column in (*spec.columns, *spec.sort)}
    cells = {n: column.read(measurement) for n, column in MEASURED.items() if n in used}
    if "extra_gflops" in used:
        facts = measurement.facts()
        base = plain.get((facts["backbone"], facts["views"]))
        ours = measurement.efficiency.gmacs_per_video
        cells["extra_gflops"] = None if base is None else ours - base
    dotted = {f"measured.{name}": value for name, value in cells.items()}
    return {**dotted, "run_ids": measurement.run_ids}


def joined(
    spec: TableSpec, line: PublishedRow, measurement: Measurement, plain: PlainGmacs
) -> Cells:
    """A published row beside a measurement, with the differences where both have a number.

    Accuracies are subtracted only where protocol and pretraining are those of the row.
    """
    measured = _measured(spec, measurement, plain)
    cells = {**published_cells(line), **measured}
    left_out = set() if _is_like(line, measurement.facts()) else {"top1", "top5"}
    for dotted, ours in measured.items():
        name = dotted.removeprefix("measured.")
        theirs = None if name in left_out else line.number(name)
        if theirs is not None and isinstance(ours, int | float):
            relative = name in RELATIVE and theirs != 0
            gap = 100 * (ours - theirs) / theirs if relative else ours - theirs
            cells[f"difference.{name}"] = gap
    return cells


def _is_like(line: PublishedRow, facts: Cells) -> bool:
    """Whether a run followed a protocol without overrides and began where the row did."""
    theirs, ours = line.cells.get("pretrain"), facts.get("pretrain", ANY)
    overridden = facts["protocol"] is not ANY and "+" in facts["protocol"]
    return not overridden and (not theirs or ours is ANY or ours == theirs)


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
    if spec.rows == "runs":
        _refuse_unknown(name, spec, list(COLUMNS))
        return
    header = list(published[0].cells) if published else []
    if spec.rows == "orderings":
        _refuse_unknown(name, spec, [*spec.within, *ORDERING_COLUMNS])
        return
    figures = [*header, *(["views"] if header else [])]
    known = [
        *dict.fromkeys([*DESCRIBING, *header]),
        *(f"published.{column}" for column in figures),
        *(f"measured.{column}" for column in MEASURED),
        *(f"difference.{column}" for column in MEASURED if column in header),
    ]
    _refuse_unknown(name, spec, known)


def _refuse_unknown(name: str, spec: TableSpec, known: Sequence[str]) -> None:
    for column in (*spec.columns, *spec.sort):
        if column.removesuffix("?") not in known:
            raise TableError(f"table {name}: unknown column {column!r}; known: {', '.join(known)}")
