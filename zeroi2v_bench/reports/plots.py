"""Pictures made with matplotlib, which is imported only here and only when one is asked for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from zeroi2v_bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_NAMED = 60
"""Classes up to which every row and column carries its name."""
MOST_COUNTED = 15
"""Classes up to which every cell carries its share."""
SUFFIXES = (".png", ".svg", ".pdf")


def confusion_picture(
    counts: Mapping[tuple[int, int], int], class_names: Sequence[str], *, title: str, suffix: str
) -> bytes:
    """Draw a confusion matrix: true classes in rows, each row in per cent of its clips.

    Args:
        counts: (true class, predicted class) to clips.
        class_names: K names in label order.
        title: Heading.
        suffix: ``.png``, ``.svg`` or ``.pdf``.

    Raises:
        BenchError: Another suffix.
    """
    if suffix not in SUFFIXES:
        raise BenchError(f"picture format {suffix or 'none'!r}; legal: {', '.join(SUFFIXES)}")
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    num = len(class_names)
    shares = np.zeros((num, num))
    for (true, predicted), clips in counts.items():
        shares[true, predicted] = clips
    shares = 100 * shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    side = min(4 + 0.3 * num, 16)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=100)
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    if num <= MOST_NAMED:
        axes.set_xticks(range(num), class_names, rotation=90)
        axes.set_yticks(range(num), class_names)
    if num <= MOST_COUNTED:
        for (row, column), share in np.ndenumerate(shares):
            colour = "black" if share > 55 else "white"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the true class (%)", shrink=0.8)
    file = io.BytesIO()
    figure.savefig(file, format=suffix[1:], dpi=150)
    return file.getvalue()
