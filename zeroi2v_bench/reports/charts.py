"""The report's charts: accuracy against extra cost, throughput bars, few-shot curves.

Published marks are hollow, measured ones solid, in every chart.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroi2v_bench.reports.labels import Mark, place_labels
from zeroi2v_bench.reports.markup import Markup, join, tag
from zeroi2v_bench.reports.svg_axes import (
    BOLD_LETTER,
    HEIGHT,
    LETTER,
    LINE,
    WIDTH,
    Frame,
    axes,
    chart,
    line,
    linear,
    round_ticks,
    spread_out,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zeroi2v_bench.reports.svg_axes import Box

OURS = "zeroi2v"
NUM_COLOURS = 8
LEAST_RADIUS, MOST_RADIUS = 4.5, 20.0
ROUNDING = 1e-9
"""GFLOPs below which a difference is one of rounding only."""
MOST_LETTERS = 24
"""Letters up to which a label is shown whole."""
WIDE_FONT = 1.15
"""Room for fonts that are wider than the average one, where a label ends at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A bubble: x extra GFLOPs, y top-1 (%), size in millions of new parameters."""

    x: float
    y: float
    size: float
    method: str
    label: str
    frames: str = ""
    detail: str
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: videos per second."""

    method: str
    label: str
    value: float
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One method's top-1 (%) over K: (K, mean, low, high); low and high are None without seeds.

    Curves of one method differ in their labels, and have colours of their own.
    """

    label: str
    measured: bool
    points: tuple[tuple[int, float, float | None, float | None], ...]


def colours(methods: Iterable[str]) -> dict[str, str]:
    """A colour class for each method, whatever its spelling; ZeroI2V shares its with no other."""
    others = sorted({spelling(m) for m in methods} - {OURS})
    return {OURS: "s0"} | {m: f"s{1 + k % (NUM_COLOURS - 1)}" for k, m in enumerate(others)}


def spelling(method: str) -> str:
    """A method's name without case and punctuation: "ST-Adapter" and st_adapter are one."""
    return re.sub(r"[^a-z0-9]", "", method.lower())


def kind(measured: bool) -> str:
    """Class and word of a mark."""
    return "measured" if measured else "published"


def bubbles(points: Sequence[Point], palette: dict[str, str], name: str) -> Markup:
    """Top-1 against extra GFLOPs; the area of a bubble grows with its new parameters."""
    place_x, x_ticks = _stretched([p.x for p in points], 56, WIDTH - 34)
    y_ticks = round_ticks(min(p.y for p in points), max(p.y for p in points))
    frame = Frame(
        left=46,
        right=WIDTH - 12,
        top=40,
        bottom=HEIGHT - 44,
        place_x=place_x,
        place_y=linear(y_ticks[0], y_ticks[-1], HEIGHT - 50, 46),
    )
    largest = max((p.size for p in points), default=0) or 1
    ordered = sorted(points, key=lambda p: -p.size)
    radii = [_radius(p.size, largest) for p in ordered]
    places = [(frame.place_x(p.x), frame.place_y(p.y)) for p in ordered]
    marks = [
        _bubble(p, x, y, r, palette) for p, (x, y), r in zip(ordered, places, radii, strict=True)
    ]
    labels = _bubble_labels(ordered, places, radii, frame)
    lines = axes(frame, x_ticks, y_ticks, "extra GFLOPs at inference", "top-1 (%)")
    return chart(name, _describe(points), join(lines, *marks, *labels))


def _radius(size: float, largest: float) -> float:
    return LEAST_RADIUS + (MOST_RADIUS - LEAST_RADIUS) * math.sqrt(max(size, 0) / largest)


def _bubble(point: Point, x: float, y: float, radius: float, palette: dict[str, str]) -> Markup:
    classes = f"mark {kind(point.measured)} {palette[spelling(point.method)]}"
    return tag("circle", tag("title", point.detail), cx=x, cy=y, r=radius, class_=classes)


def _describe(points: Sequence[Point]) -> str:
    return "; ".join(point.detail for point in points)


def _bubble_labels(
    points: Sequence[Point],
    places: Sequence[tuple[float, float]],
    radii: Sequence[float],
    frame: Frame,
) -> list[Markup]:
    """A label for every point; those of points above each other stand in a column."""
    words = [_cut(point.label, MOST_LETTERS) for point in points]
    wide = [_wide(name, point.measured) for name, point in zip(words, points, strict=True)]
    marks = [Mark(x, y, r, w) for (x, y), r, w in zip(places, radii, wide, strict=True)]
    boxes = place_labels(marks, frame)
    labels = []
    for mark, name, point, box in zip(marks, words, points, boxes, strict=True):
        if mark.needs_leader(box):
            labels.append(_leader(mark, box))
        classes = f"label {kind(point.measured)}"
        labels.append(text(box.left + 1, box.bottom - 3, name, class_=classes))
    return labels


def _wide(words: str, bold: bool) -> float:
    """About how wide a text is."""
    return (BOLD_LETTER if bold else LETTER) * len(words)


def _leader(mark: Mark, box: Box) -> Markup:
    """A thin line from the edge of a point to a label that is not right beside it."""
    x, y = mark.nearest_of(box)
    share = mark.radius / max(math.dist((x, y), (mark.x, mark.y)), mark.radius)
    start = mark.x + share * (x - mark.x), mark.y + share * (y - mark.y)
    return line(*start, x, y, "leader")


def _stretched(
    values: Sequence[float], start: float, end: float
) -> tuple[Callable[[float], float], list[float]]:
    """An axis from 0 that is linear near it and logarithmic beyond, and its ticks."""
    least, most = min([*values, 0.0]), max([*values, 0.0])
    size = max(-least, most)
    if size < ROUNDING:
        return linear(0, 1, start, end), [0.0]
    top = math.floor(math.log10(size))
    unit = 10.0 ** (top - 2) / 1.5
    place = linear(math.asinh(least / unit), math.asinh(most / unit), start, end)
    decades = [10.0**k for k in range(top - 2, top + 1)]
    return lambda value: place(math.asinh(value / unit)), [0.0, *(d for d in decades if d <= most)]


def bars(items: Sequence[Bar], palette: dict[str, str], name: str) -> Markup:
    """Horizontal bars with their values; each panel has one unit and one device."""
    row, top = 26.0, 24.0
    left = 8 + min(LETTER * max(len(bar.label) for bar in items), 190)
    place = linear(0, max(bar.value for bar in items), left, WIDTH - 64)
    parts = [text(4, 12, "videos/s", class_="title")]
    for k, bar in enumerate(items):
        y = top + row * k
        classes = f"bar {kind(bar.measured)} {palette[spelling(bar.method)]}"
        parts.append(text(left - 6, y + 14, _cut(bar.label, 29), anchor="end", class_="tick"))
        parts.append(
            tag(
                "rect",
                tag("title", f"{bar.label}: {bar.value:.3g} videos/s, {kind(bar.measured)}"),
                x=left,
                y=y + 2,
                width=max(place(bar.value) - left, 1.0),
                height=row - 9,
                rx=3,
                class_=classes,
            )
        )
        parts.append(text(place(bar.value) + 6, y + 14, f"{bar.value:.3g}", class_="label"))
    described = "; ".join(f"{bar.label} {bar.value:.3g}" for bar in items)
    return chart(name, described, join(*parts), top + row * len(items) + 8)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def curves(items: Sequence[Curve], palette: dict[str, str], name: str) -> Markup:
    """Top-1 over training clips per class; whiskers are 95 % intervals over seeds."""
    ks = sorted({point[0] for curve in items for point in curve.points})
    every = [v for curve in items for p in curve.points for v in p[1:] if v is not None]
    y_ticks = round_ticks(max(min(every), 0), min(max(every), 100))
    labels = [(_cut(curve.label, MOST_LETTERS), curve.measured) for curve in items]
    right = WIDTH - WIDE_FONT * max(_wide(words, bold) for words, bold in labels)
    frame = Frame(
        left=46,
        right=right,
        top=40,
        bottom=HEIGHT - 44,
        place_x=lambda k: linear(math.log2(ks[0]), math.log2(ks[-1]), 62, right - 16)(math.log2(k)),
        place_y=linear(y_ticks[0], y_ticks[-1], HEIGHT - 50, 46),
    )
    drawn = [_curve(curve, palette[spelling(curve.label)], frame) for curve in items]
    lines = axes(frame, ks, y_ticks, "training clips per class", "top-1 (%)")
    described = "; ".join(_curve_words(curve) for curve in items)
    return chart(name, described, join(lines, *drawn, *_end_labels(items, palette, frame)))


def _curve_words(curve: Curve) -> str:
    values = ", ".join(f"{k}: {mean:.1f}" for k, mean, _, _ in curve.points)
    return f"{curve.label} ({kind(curve.measured)}) {values}"


def _curve(curve: Curve, colour: str, frame: Frame) -> Markup:
    classes = f"{kind(curve.measured)} {colour}"
    places = [(frame.place_x(k), frame.place_y(mean)) for k, mean, _, _ in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [tag("polyline", points=path, class_=f"curve {classes}")]
    for (x, y), (k, mean, low, high) in zip(places, curve.points, strict=True):
        words = f"{curve.label}, {kind(curve.measured)}, K = {k}: {mean:.1f} %"
        if low is not None and high is not None:
            words += f" ({low:.1f} to {high:.1f})"
            bottom, top = (min(max(frame.place_y(v), frame.top), frame.bottom) for v in (low, high))
            parts.append(line(x, bottom, x, top, f"whisker {classes}"))
        parts.append(
            tag("circle", tag("title", words), cx=x, cy=y, r=4.0, class_=f"mark {classes}")
        )
    return join(*parts)


def _end_labels(items: Sequence[Curve], palette: dict[str, str], frame: Frame) -> list[Markup]:
    wanted = [frame.place_y(curve.points[-1][1]) + 4 for curve in items]
    found = spread_out(wanted, LINE, frame.top, frame.bottom)
    return [
        text(
            frame.right - 4,
            y,
            _cut(curve.label, MOST_LETTERS),
            class_=f"label {kind(curve.measured)}",
        )
        for curve, y in zip(items, found, strict=True)
    ]
