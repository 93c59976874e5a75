"""Draw one test clip of every moving_digits class, frame by frame, for the README.

python benchmarks/contact_sheet.py [--output FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from zeroi2v_bench.datasets.moving_digits import CLASS_NAMES, NUM_FRAMES, Spec, draw_clip


def main() -> None:
    """Eight rows, one a class; eight columns, one a frame."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("results/moving_digits.png"))
    output: Path = parser.parse_args().output
    rows = [np.concatenate(list(draw_clip(Spec("test", k, 3, False))), 1) for k in range(8)]
    side = rows[0].shape[0]
    figure, axes = plt.subplots(figsize=(7, 6.2), layout="constrained")
    axes.imshow(np.concatenate(rows), cmap="gray", vmin=0, vmax=255)
    axes.set_yticks([side * (k + 0.5) for k in range(8)], CLASS_NAMES)
    axes.set_xticks([side * (t + 0.5) for t in range(NUM_FRAMES)], map(str, range(NUM_FRAMES)))
    axes.set_xlabel("frame")
    for line in range(1, 8):
        axes.axhline(side * line - 0.5, color="white", linewidth=2)
        axes.axvline(side * line - 0.5, color="white", linewidth=0.7)
    axes.tick_params(length=0)
    figure.savefig(output, dpi=100)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
