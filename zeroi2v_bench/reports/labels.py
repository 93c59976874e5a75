"""Where the labels of a chart's points stand: every point has one, and none looks like another's.

Points above each other have their labels in one column, in the points' order, each at the end of
a line. Any other label stands nearer to its own point than to all others, or has a line too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroi2v_bench.reports.svg_axes import LINE, WIDTH, Box, place_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zeroi2v_bench.reports.svg_axes import Frame

SAME_X = 6.0
"""Points this close in x are above each other."""
AWAY = 14.0
"""From the widest point of a column to its labels."""
STEP = 2
LINE_STEP = math.ceil(LINE / STEP) * STEP
"""From a base line to the next one that is clear of it."""

Stack = tuple[float, tuple[Box, ...]]
"""How far labels above each other were moved, and where they are."""
NOWHERE: Stack = (math.inf, ())


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with its radius, and how wide its label is."""

    x: float
    y: float
    radius: float
    wide: float

    @property
    def box(self) -> Box:
        """What the point itself covers."""
        r = self.radius
        return Box(self.x - r, self.y - r, self.x + r, self.y + r)

    def nearest_of(self, box: Box) -> tuple[float, float]:
        """The place of a rectangle that is nearest to the point; its middle line where beside."""
        x = min(max(self.x, box.left), box.right)
        if x != self.x:
            return x, (box.top + box.bottom) / 2
        return x, min(max(self.y, box.top), box.bottom)

    def distance(self, box: Box) -> float:
        """From the edge of the point to a rectangle."""
        dx = max(box.left - self.x, 0.0, self.x - box.right)
        dy = max(box.top - self.y, 0.0, self.y - box.bottom)
        return math.hypot(dx, dy) - self.radius

    def needs_leader(self, box: Box) -> bool:
        """Whether a label is so far away that a line must say whose it is."""
        return self.distance(box) > LINE / 2


def place_labels(marks: Sequence[Mark], frame: Frame) -> list[Box]:
    """A rectangle for the label of each mark."""
    columns: dict[int, list[int]] = {}
    for k, mark in enumerate(marks):
        columns.setdefault(round(mark.x / SAME_X), []).append(k)
    taken = [mark.box for mark in marks]
    found: dict[int, Box] = {}
    for members in sorted(columns.values(), key=len, reverse=True):
        placed = _column(members, marks, taken, frame) if len(members) > 1 else None
        if placed is None:
            placed = {}
            for k in members:
                placed[k] = _beside(k, marks, [*taken, *placed.values()], frame)
        found |= placed
        taken += placed.values()
    return [found[k] for k in range(len(marks))]


def _label_box(left: float, base: float, wide: float) -> Box:
    return Box(left - 1, base - 10, left + wide + 1, base + 3)


def _is_free(box: Box, taken: Sequence[Box], frame: Frame) -> bool:
    inside = frame.left <= box.left and box.right <= WIDTH
    high = frame.top - 8 <= box.top and box.bottom <= frame.bottom
    return inside and high and not any(box.overlaps(other) for other in taken)


def _column(
    members: Sequence[int], marks: Sequence[Mark], taken: Sequence[Box], frame: Frame
) -> dict[int, Box] | None:
    """Labels beside the marks in their order, each as near as it can; None without room."""
    order = sorted(members, key=lambda k: marks[k].y)
    wide = max(marks[k].wide for k in order)
    left = max(marks[k].box.right for k in order) + AWAY
    if left + wide + 1 > WIDTH:
        left = min(marks[k].box.left for k in order) - AWAY - wide
    lines = _base_lines(frame)
    best: dict[int, Stack] = dict.fromkeys(lines, (0.0, ()))
    """By base line: the best places of the marks so far that leave it free and what is below."""
    for k in order:
        mark, after, least = marks[k], {}, NOWHERE
        for base in lines:
            box = _label_box(left, base, mark.wide)
            if base in best and _is_free(box, taken, frame):
                moved, boxes = best[base]
                stack = (moved + (base - 4 - mark.y) ** 2, (*boxes, box))
                least = min(least, stack, key=lambda stack: stack[0])
            if least is not NOWHERE:
                after[base + LINE_STEP] = least
        best = after
    if least is NOWHERE:
        return None
    return dict(zip(order, least[1], strict=True))


def _base_lines(frame: Frame) -> range:
    return range(int(frame.top), int(frame.bottom), STEP)


def _beside(k: int, marks: Sequence[Mark], taken: Sequence[Box], frame: Frame) -> Box:
    """A label right beside its mark, else the nearest free place with a line, else over others."""
    mark, refused = marks[k], list(taken)
    while found := place_label(mark.wide, mark.x, mark.y, mark.radius, refused, frame):
        box = found[2]
        if all(mark.distance(box) < other.distance(box) for other in marks if other is not mark):
            return box
        refused.append(box)
    distant = (box for box in _everywhere(mark.wide, frame) if mark.needs_leader(box))
    free = [box for box in distant if _is_free(box, taken, frame)]
    here = _label_box(min(mark.x, WIDTH - mark.wide - 2), mark.y, mark.wide)
    return min(free, key=mark.distance, default=here)


def _everywhere(wide: float, frame: Frame) -> Iterator[Box]:
    for left in range(int(frame.left) + 2, max(int(WIDTH - wide), int(frame.left) + 3), 8):
        for base in _base_lines(frame):
            yield _label_box(left, base, wide)
