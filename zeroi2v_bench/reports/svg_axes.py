"""Scales, axes and labels for charts drawn as SVG.

Charts are small panels (460 units wide, 12-unit text), so that they stay readable on a phone.
Colours are classes of the page's style sheet and follow its light and dark theme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroi2v_bench.reports.markup import Markup, join, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH = 460.0
HEIGHT = 340.0
LETTER = 6.4
"""Width of an average letter at the charts' text size."""
BOLD_LETTER = 7.2
LINE = 13.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The plot area of a panel, and how values become positions in it."""

    left: float
    right: float
    top: float
    bottom: float
    place_x: Callable[[float], float]
    place_y: Callable[[float], float]


def linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Values from ``low`` to ``high`` become positions from ``start`` to ``end``."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers that enclose the range.

    >>> round_ticks(76.9, 87.5)
    [75.0, 77.5, 80.0, 82.5, 85.0, 87.5]
    """
    if high - low < 1e-6 * max(1.0, abs(high)):
        low, high = low - 1, high + 1
    span = high - low
    unit = 10 ** math.floor(math.log10(span / count))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k * count >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def short(value: float) -> str:
    """A tick's number without needless digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "") -> Markup:
    """A line of text."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_ or None)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def axes(
    frame: Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], x_title: str, y_title: str
) -> Markup:
    """Grid, ticks and titles."""
    parts = []
    for tick in y_ticks:
        y = frame.place_y(tick)
        parts.append(line(frame.left, y, frame.right, y, "grid"))
        parts.append(text(frame.left - 6, y + 4, short(tick), anchor="end", class_="tick"))
    for tick in x_ticks:
        x = frame.place_x(tick)
        parts.append(line(x, frame.bottom, x, frame.bottom + 4, "axis"))
        parts.append(text(x, frame.bottom + 17, short(tick), anchor="middle", class_="tick"))
    middle = (frame.left + frame.right) / 2
    parts.append(line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    parts.append(text(middle, frame.bottom + 35, x_title, anchor="middle", class_="title"))
    parts.append(text(4, frame.top - 14, y_title, class_="title"))
    return join(*parts)


def chart(name: str, description: str, content: Markup, height: float = HEIGHT) -> Markup:
    """The whole picture with its accessible name and description."""
    return tag(
        "svg",
        tag("title", name),
        tag("desc", description),
        content,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
    )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that a label may not cover."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def place_label(
    wide: float, x: float, y: float, radius: float, taken: Sequence[Box], frame: Frame
) -> tuple[float, float, Box] | None:
    """Where a label of that width fits: beside its point, above or below, or nowhere.

    Returns:
        Left end of its base line, and the rectangle that it takes; None where nothing is free.
    """
    gap = radius + 4
    right, left = x + gap, x - gap - wide
    around = [
        (x_at, y + dy)
        for dy in (4, -LINE, LINE + 7, -2 * LINE, 2 * LINE + 7)
        for x_at in (right, left)
    ]
    around += [(x - wide / 2, y - gap), (x - wide / 2, y + gap + 10)]
    for x_at, base in around:
        box = Box(x_at - 1, base - 10, x_at + wide + 1, base + 3)
        inside = frame.left <= box.left and box.right <= WIDTH and frame.top - 8 <= box.top
        if inside and box.bottom <= frame.bottom and not any(box.overlaps(b) for b in taken):
            return x_at, base, box
    return None


def spread_out(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved apart to at least ``gap``, in the same order; if too many, past ``low``.

    >>> spread_out([10, 11, 40], 5, 0, 50)
    [10, 15, 40]
    """
    order = sorted(range(len(positions)), key=lambda k: positions[k])
    moved = list(positions)
    least = low
    for k in order:
        moved[k] = max(moved[k], least)
        least = moved[k] + gap
    most = high
    for k in reversed(order):
        moved[k] = min(moved[k], most)
        most = moved[k] - gap
    return moved
