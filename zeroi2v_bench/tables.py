"""Tables out of records: one row per run, and their rendering. Never imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroi2v_bench.columns import COLUMNS, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pandas import DataFrame

    from zeroi2v_bench.records import RunRecord

CORE = (
    "method",
    "top1",
    "top5",
    "tunable_params",
    "new_params",
    "gmacs_before",
    "gmacs_after",
    "merge_error",
    "seconds",
)
"""What is always shown of a run."""

WHERE_THEY_VARY = ("protocol", "backbone", "seed")


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


def frame_of(records: Sequence[RunRecord], names: Sequence[str]) -> DataFrame:
    """One row per record with those columns (names of `columns.COLUMNS`), raw values."""
    import pandas as pd

    readers = [(name, read) for name in names if (read := COLUMNS[name].read)]
    return pd.DataFrame({name: _series([read(r) for r in records]) for name, read in readers})


def _series(values: list[Any]) -> Any:
    import pandas as pd

    return pd.Series(values, dtype=object)


def runs_table(records: Sequence[RunRecord]) -> DataFrame:
    """The default table of `run` and `report`: one row per run.

    Protocol, backbone and seed are shown where they differ between rows, the origin of the
    weights where any are random, and the clips counted where any are missing.

    Returns:
        Columns named as in `columns.COLUMNS`, raw values (per cent, parameters, GMACs, seconds).
    """
    varying = [name for name in WHERE_THEY_VARY if len(_values(records, name)) > 1]
    if any(r.backbone.random_weights for r in records):
        varying.append("weights")
    incomplete = any(r.accuracy.num_clips != r.accuracy.num_expected for r in records)
    behind = ["coverage"] if incomplete else []
    return frame_of(records, [*varying, *CORE, *behind])


def full_table(records: Sequence[RunRecord]) -> DataFrame:
    """Every column of every run, as the CSV of `--table runs` has them."""
    return frame_of(records, list(COLUMNS))


def _values(records: Iterable[RunRecord], name: str) -> set[Any]:
    read = COLUMNS[name].read
    return {read(record) for record in records} if read else set()


def shown(name: str, value: Any) -> str:
    """A cell as a reader sees it: unit-aware digits, empty where nothing was measured."""
    if value is None or value != value:  # None or NaN
        return ""
    if isinstance(value, str):
        return value
    return COLUMNS.get(name, Column(name)).show(value)


def title(name: str) -> str:
    """A column's title with its unit."""
    return COLUMNS[name].title if name in COLUMNS else name


def render(frame: DataFrame, fmt: str) -> str:
    """A table as text.

    Args:
        frame: Columns named as in `columns.COLUMNS`; other columns are shown as they are.
        fmt: "markdown" for readers (titles with units, thousands separators) or "csv" for
            machines (column names, unrounded numbers).
    """
    if fmt == "csv":
        return str(frame.to_csv(index=False, lineterminator="\n"))
    names = [str(name) for name in frame]
    cells = [[_plain(shown(n, v)) for n, v in zip(names, row, strict=True)] for row in _rows(frame)]
    right = [_is_numeric(frame[name]) for name in names]
    return markdown([_plain(title(n)) for n in names], cells, right)


def _rows(frame: DataFrame) -> Iterable[tuple[Any, ...]]:
    return frame.itertuples(index=False, name=None)


def _is_numeric(values: Iterable[Any]) -> bool:
    present = [v for v in values if v is not None]
    return all(isinstance(v, int | float) for v in present) and bool(present)


def _plain(text: str) -> str:
    """Text that cannot break a Markdown row."""
    return " ".join(text.replace("|", "\\|").split())


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
