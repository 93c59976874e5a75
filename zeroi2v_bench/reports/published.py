"""Published figures, each with its source, and the definitions of the tables that show them.

``published/*.csv`` holds the figures as they are printed; a cell nobody has seen is empty.
``published/tables/*.yaml`` says which columns a table has: data only, one file per table, so that
a table is added without code. A path to such a file works wherever a table's name does.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from zeroi2v_bench.errors import BenchError, UnknownNameError
from zeroi2v_bench.strict import Frozen, Positive, first_problem

FOLDER = Path(__file__).resolve().parents[1] / "published"
Fact = Literal[
    "method",
    "backbone",
    "views",
    "num_frames",
    "num_views",
    "dataset",
    "setting",
    "shots",
    "protocol",
    "recipe",
]
PRIORITY = ("runs", "seeds", "fewshot", "costs", "table3_k400", "table4_ssv2", "table5_latency")


class TableError(BenchError):
    """A table definition or a file of published figures that cannot be used."""


class Footnote(Frozen):
    """A known fault of published figures, and the rows it is attached to.

    Attributes:
        rows: Ids of published rows; ``*`` stands for anything.
        text: What a reader must know before comparing.
    """

    rows: tuple[str, ...]
    text: str

    def concerns(self, row_id: str) -> bool:
        """Whether the row carries this footnote."""
        return bool(row_id) and any(fnmatchcase(row_id, pattern) for pattern in self.rows)


class MethodChoice(Frozen):
    """A method, and the parameters that differ from its defaults."""

    method: str
    params: dict[str, Any] = Field(default_factory=dict)


class CostStep(Frozen):
    """Costs to measure, on random weights, once for each number of frames.

    Attributes:
        times: Also latency and throughput on the device at hand, not counts alone.
    """

    frames: tuple[Positive, ...]
    crops: Literal[1, 3]
    clips: Positive
    classes: Positive
    methods: tuple[MethodChoice, ...]
    backbones: tuple[str, ...]
    times: bool = False


class RunStep(Frozen):
    """Runs of a protocol, with all its seeds; without methods, its default ones."""

    protocol: str
    methods: tuple[str, ...] = ()


class Reproduction(Frozen):
    """What `zeroi2v-bench reproduce` does for a table: data only.

    Attributes:
        tables: Further tables to show at the end.
    """

    measure: tuple[CostStep, ...] = ()
    run: tuple[RunStep, ...] = ()
    tables: tuple[str, ...] = ()


class TableSpec(Frozen):
    """One table as data.

    Attributes:
        title: Heading.
        about: A sentence under the heading.
        rows: "runs", one row per run; "costs", one per cost measurement; "compared", one per
            published row and what was measured of it, then what has no published counterpart;
            "orderings", one per pair of published rows and whether their order was measured.
        costs: Whether cost measurements may stand beside published rows: "counts" where there is
            no run, the newest of each model; "times" instead of runs, one for each device.
        published: A CSV file of published figures: its name in this package, or a path relative
            to the definition.
        where: Field of a measurement to the values it may have; others are left out.
        match: Fields in which a measurement must agree with a published row to stand beside it.
        within: For orderings: published columns in which both rows of a pair must agree.
        others: Also show what was measured of the kind that no published row is about.
        min_seeds: Groups of fewer seeds are left out.
        on_request: Shown only where it is asked for by name.
        columns: Names, in order: plain ones describe the row, the others start with
            ``published.``, ``measured.`` or ``difference.``. A name that ends in ``?`` is shown
            only where it tells something (its values vary, or are not the usual one); so are
            ``measured.`` and ``difference.`` ones, where there is anything in them.
        sort: Columns to sort by; without it, the published order.
        footnotes: Faults of the published figures.
        reproduce: How to measure what the table shows; None where nothing is known.
    """

    title: str
    about: str = ""
    rows: Literal["runs", "costs", "compared", "orderings"] = "compared"
    costs: Literal["none", "counts", "times"] = "none"
    published: str | None = None
    where: dict[Fact, tuple[Any, ...]] = Field(default_factory=dict)
    match: tuple[Fact, ...] = ("method", "backbone", "views", "dataset", "setting", "shots")
    within: tuple[str, ...] = ()
    others: bool = True
    min_seeds: int = 1
    on_request: bool = False
    columns: tuple[str, ...] = Field(min_length=1)
    sort: tuple[str, ...] = ()
    footnotes: tuple[Footnote, ...] = ()
    reproduce: Reproduction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One published row.

    Attributes:
        cells: Texts exactly as printed, "" where nothing is known.
        variant: The method's parameters that the row names, out of its cell ``runs_with``.
    """

    id: str
    cells: dict[str, str]
    variant: dict[str, Any]

    def number(self, name: str) -> float | None:
        """A cell as a number, or None where it is empty, missing or no number."""
        try:
            return float(self.cells.get(name, ""))
        except ValueError:
            return None

    @property
    def views(self) -> str:
        """Frames x crops x clips as far as they are known, e.g. "8x1x3" or "32"."""
        known = [self.cells.get(name, "") for name in ("frames", "crops", "clips")]
        if all(known):
            return "x".join(known)
        views = self.cells.get("num_views", "")
        return f"{known[0]}x{views} views" if known[0] and views else known[0]


def table_names(*, on_request: bool = True) -> list[str]:
    """Names of the tables that come with the package, the most asked for first.

    Args:
        on_request: Also those that are shown only where they are asked for by name.
    """
    names = {path.stem for path in (FOLDER / "tables").glob("*.yaml")}
    ordered = [name for name in PRIORITY if name in names] + sorted(names - set(PRIORITY))
    return [name for name in ordered if on_request or not load_table(name)[0].on_request]


def load_table(name: str) -> tuple[TableSpec, list[PublishedRow]]:
    """A table's definition and its published rows.

    Args:
        name: One of `table_names`, or the path of a file ending in ``.yaml``.

    Raises:
        UnknownNameError: No such table.
        TableError: A file that cannot be read or parsed.
    """
    external = name.endswith((".yaml", ".yml"))
    path = Path(name) if external else FOLDER / "tables" / f"{name}.yaml"
    if not external and name not in table_names():
        raise UnknownNameError("table", name, table_names())
    spec = _read_spec(path)
    return spec, _read_rows(spec.published, path.parent) if spec.published else []


def _read_spec(path: Path) -> TableSpec:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TableSpec.model_validate(data)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise TableError(f"{path}: {first_problem(error)}") from error


def _read_rows(name: str, beside: Path) -> list[PublishedRow]:
    path = beside / name if name.endswith(".csv") else FOLDER / f"{name}.csv"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {error}") from error
    return parse_published(text, str(path))


def parse_published(text: str, where: str) -> list[PublishedRow]:
    """The rows of a CSV text of published figures.

    Raises:
        TableError: A row without id or source, an id given twice, a row of another length, or
            ``runs_with`` that is no JSON object.
    """
    rows = []
    seen: set[str] = set()
    for line, cells in enumerate(csv.DictReader(text.splitlines()), start=2):
        if None in cells or None in cells.values():
            raise TableError(f"{where}: row {line} has not as many cells as the header")
        variant = _variant(cells.get("runs_with") or "{}", f"{where}: row {line}")
        row = PublishedRow(id=cells.get("id", ""), cells=dict(cells), variant=variant)
        if not row.id or not cells.get("source"):
            raise TableError(f"{where}: row {line} needs an id and a source")
        if row.id in seen:
            raise TableError(f"{where}: row {line}: id {row.id!r} is given twice")
        seen.add(row.id)
        rows.append(row)
    return rows


def _variant(text: str, where: str) -> dict[str, Any]:
    try:
        variant = json.loads(text)
    except ValueError as error:
        raise TableError(f"{where}: runs_with is not JSON: {error}") from error
    if not isinstance(variant, dict):
        raise TableError(f"{where}: runs_with must be a JSON object, not {text}")
    return variant
