"""One self-contained HTML page: charts, sortable tables, and the provenance of every run.

Nothing is loaded from anywhere: style, script and pictures are in the file, and a content
security policy lets nothing else run. All text goes through `markup.tag`, which escapes it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.reports.columns import BEHIND, GAPS, MEASURED
from zeroi2v_bench.reports.figures import few_shot_curves, throughputs, trade_offs
from zeroi2v_bench.reports.markup import Markup, join, tag
from zeroi2v_bench.reports.tables import column_of, is_numeric, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.costs.cost_records import CostRecord
    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.reports.figures import Figure
    from zeroi2v_bench.reports.tables import Table

FOLDER = Path(__file__).resolve().parent / "page"
MOST_NAMES = 12
"""Values of a list up to which the provenance shows all of them."""
FILTERED_FROM = 12
"""Rows from which a table has a field to filter them by."""


def html_page(
    tables: Sequence[Table], runs: Sequence[RunRecord], costs: Sequence[CostRecord]
) -> str:
    """The page.

    Args:
        tables: In the order in which they are shown.
        runs: Newest of each run; charts and provenance are made of them.
        costs: Cost records, likewise.
    """
    style = (FOLDER / "report.css").read_text(encoding="utf-8")
    script = (FOLDER / "report.js").read_text(encoding="utf-8")
    anchors = {name: f"record-{k}" for k, name in enumerate(_names(runs, costs))}
    charts = [*trade_offs(runs, costs), *few_shot_curves(runs), *throughputs(costs)]
    main = tag(
        "main",
        _figures(charts),
        *(_table_section(table, anchors) for table in tables),
        _provenance([*runs, *costs], anchors),
    )
    body = tag("body", _header(tables, runs, costs), main, _dialog(), _script(script))
    head = tag("head", *_meta(script), tag("style", Markup(style)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _names(runs: Sequence[RunRecord], costs: Sequence[CostRecord]) -> list[str]:
    return [*(f"{r.protocol}/{r.run_id}" for r in runs), *(f"costs/{c.run_id}" for c in costs)]


def _meta(script: str) -> list[Markup]:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return [
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", "ZeroI2V benchmark report"),
    ]


def _script(script: str) -> Markup:
    return tag("script", Markup(script))


def _header(
    tables: Sequence[Table], runs: Sequence[RunRecord], costs: Sequence[CostRecord]
) -> Markup:
    methods = len({run.method for run in runs})
    counted = f"{len(runs)} runs of {methods} methods, {len(costs)} cost measurements."
    links = [tag("a", table.title, href=f"#table-{table.name}") for table in tables]
    legend = tag(
        "p",
        tag("span", "published, as printed in the source of its row", class_="key published"),
        tag("span", "measured with this suite", class_="key measured"),
        class_="legend",
    )
    nav = tag("nav", tag("a", "Figures", href="#figures"), *links, aria_label="Contents")
    return tag("header", tag("h1", "ZeroI2V benchmark report"), tag("p", counted), legend, nav)


def _figures(figures: Sequence[Figure]) -> Markup:
    panels = [tag("figure", tag("figcaption", f.caption), f.picture, _note(f)) for f in figures]
    return tag("section", tag("h2", "Figures"), tag("div", *panels, class_="panels"), id="figures")


def _note(figure: Figure) -> Markup | None:
    return tag("p", figure.note, class_="about-figure") if figure.note else None


def _table_section(table: Table, anchors: dict[str, str]) -> Markup:
    label = f"table-{table.name}"
    notes = [tag("li", text, id=f"{label}-note-{k}") for k, text in enumerate(table.footnotes, 1)]
    empty = None if table.num_measured else "Nothing of this table has been measured yet."
    return tag(
        "section",
        tag("h2", table.title),
        tag("p", table.about) if table.about else None,
        tag("p", empty, class_="empty") if empty else None,
        _filter(table),
        tag(
            "div",
            _table(table, anchors),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label=table.title,
        ),
        tag("ol", *notes, class_="notes") if notes else None,
        id=label,
    )


def _filter(table: Table) -> Markup | None:
    if table.num_rows < FILTERED_FROM:
        return None
    field = Markup('<input type="search" class="filter">')
    return tag("label", "Show rows with ", field, class_="filtering")


def _table(table: Table, anchors: dict[str, str]) -> Markup:
    names = list(table.columns)
    numeric = {name: is_numeric(values) for name, values in table.columns.items()}
    heads = [_head(name, names, numeric[name]) for name in names]
    if linked := any(table.run_ids):
        heads.append(tag("th", "records", scope="col"))
    mixed = 0 < table.num_measured < table.num_rows
    rows = []
    for k, values in enumerate(zip(*table.columns.values(), strict=True)):
        links = _notes(table, table.marks[k])
        cells = [
            _cell(n, v, names, numeric[n], links if n == _pinned(names) else None)
            for n, v in zip(names, values, strict=True)
        ]
        if linked:
            cells.append(tag("td", *_links(table.run_ids[k], anchors), class_="records"))
        rows.append(
            tag("tr", *cells, class_="has-measured" if mixed and table.run_ids[k] else None)
        )
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))


def _head(name: str, names: Sequence[str], numeric: bool) -> Markup:
    kind, label = _kind(name, names)
    origin = tag("span", kind, class_=f"origin {kind}") if kind else None
    button = tag("button", origin, label, type="button")
    classes = _classes(numeric and "number", name == _pinned(names) and "pin")
    return tag("th", button, scope="col", class_=classes, aria_sort="none")


def _kind(name: str, names: Sequence[str]) -> tuple[str | None, str]:
    """Whether a column is published, measured or a difference, and its title without that.

    What is behind the figures needs no such word, unless another column has the same title.
    """
    prefix, dot, figure = name.partition(".")
    if not dot or (figure in BEHIND and figure not in names):
        return None, column_of(name).title
    if prefix == "difference":
        return "difference", column_of(name).title.replace(" difference", "")
    known = {**MEASURED, **GAPS}
    return prefix, known[figure].title if figure in known else figure.replace("_", " ")


def _cell(
    name: str, value: Any, names: Sequence[str], numeric: bool, links: Markup | None
) -> Markup:
    kind, _ = _kind(name, names)
    classes = _classes(kind, numeric and "number", name == _pinned(names) and "pin")
    ordering = repr(value) if isinstance(value, int | float) else None
    return tag("td", shown(name, value), links, class_=classes, data_value=ordering)


def _classes(*names: str | bool | None) -> str | None:
    return " ".join(name for name in names if isinstance(name, str)) or None


def _pinned(names: Sequence[str]) -> str:
    """The column that says whose figures a row has: it stays in sight and carries the notes."""
    return next((name for name in ("method", "setting", "higher") if name in names), names[0])


def _notes(table: Table, marks: Sequence[int]) -> Markup | None:
    links = [tag("a", str(k), href=f"#table-{table.name}-note-{k}") for k in marks]
    return tag("sup", *links) if links else None


def _links(run_ids: Sequence[str], anchors: dict[str, str]) -> list[Markup]:
    return [
        tag("a", str(k), href=f"#{anchors[run_id]}", title=run_id, class_="record")
        for k, run_id in enumerate(run_ids, start=1)
        if run_id in anchors
    ]


def _provenance(records: Sequence[RunRecord | CostRecord], anchors: dict[str, str]) -> Markup:
    entries = [
        tag("details", tag("summary", name), _facts(record), id=anchor)
        for (name, anchor), record in zip(anchors.items(), records, strict=True)
    ]
    about = "Everything that is on record of each run, except its class names and losses."
    return tag("section", tag("h2", "Records"), tag("p", about), *entries, id="records")


def _facts(record: RunRecord | CostRecord) -> Markup:
    pairs = flatten(record.model_dump(mode="json"))
    rows = [join(tag("dt", name), tag("dd", value)) for name, value in pairs]
    return tag("dl", *rows)


def flatten(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted names and texts; a long list is its length."""
    if isinstance(value, dict):
        return [
            pair
            for key, inner in value.items()
            for pair in flatten(inner, f"{name}.{key}" if name else key)
        ]
    if isinstance(value, list):
        if any(isinstance(item, dict) for item in value):
            return flatten({str(k): item for k, item in enumerate(value)}, name)
        listed = ", ".join(map(str, value))
        return [(name, listed if len(value) <= MOST_NAMES else f"{len(value)} values")]
    return [(name, "" if value is None else str(value))]


def _dialog() -> Markup:
    close = tag("button", "Close", type="button", class_="close")
    return tag("dialog", tag("h2", ""), close, tag("div", class_="content"))
