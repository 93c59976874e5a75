"""Moving digits: real handwritten digits in motion, as real H.264 files, built on first use.

Eight classes in four pairs that are each other's time reversal. The state of the motion at frame t
is (phase + speed * t) mod 1 with a uniformly random phase, so that a single frame, even with its
time index, carries no information about which class of a pair it is: only the relation between
frames does. Every test clip is there twice, as it is and reversed (labelled with the partner
class), both coded without loss: a model that does not care about the order of the frames gives
both the same answer, and its top-1 cannot exceed 50 %.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from filelock import FileLock

from zeroi2v_bench.datasets import _digit_scenes as scenes
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.types import Clip, Splits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zeroi2v_bench.protocol import SplitSpec

SPLITS = ("default",)
CLASS_NAMES = (
    "moves left",
    "moves right",
    "moves up",
    "moves down",
    "grows",
    "shrinks",
    "turns left",
    "turns right",
)
"""A class and its time reversal differ in the last bit of the label."""
NUM_CLASSES = len(CLASS_NAMES)
FLIP_PAIRS: Mapping[int, int] = {0: 1, 1: 0, 6: 7, 7: 6}
NUM_FRAMES = 8
TRAIN_PER_CLASS, TEST_PER_CLASS = 100, 25
COUNTS = {"default": (NUM_CLASSES * TRAIN_PER_CLASS, 2 * NUM_CLASSES * TEST_PER_CLASS)}
SPEEDS = (0.12, 0.22)
"""Smallest and largest change of the state per frame, in cycles."""
STILL = (0.3, 0.7)
"""Range of the coordinates that do not move; the one that moves runs over all of 0 to 1."""
VERSION = 1
"""Part of the folder's name and of every clip's id: a change of the pictures is a new dataset."""
TREE = "moving_digits needs no files: it is built into the cache folder on first use"

MOVING = ("x", "y", "size", "angle")
BOTH = (False, True)
DIRECTIONS = (-1, 1, -1, 1, 1, -1, 1, -1)


class Spec(NamedTuple):
    """One clip to draw; a reversed clip has the specification of its original."""

    side: str
    label: int
    number: int
    reversed: bool

    @property
    def clip_id(self) -> str:
        """Unique name, and the file's place in the dataset's folder without its ending."""
        shown = self.label ^ 1 if self.reversed else self.label
        name = CLASS_NAMES[shown].replace(" ", "_")
        tail = "_reversed" if self.reversed else ""
        return f"{self.side}/{name}/{self.number:03d}{tail}"

    def to_clip(self, root: Path) -> Clip:
        """The clip with its path and its label as shown."""
        label = self.label ^ 1 if self.reversed else self.label
        source = f"{self.side}/{self.label}/{self.number}"
        path = str(root / f"{self.clip_id}.mp4")
        return Clip(id=f"v{VERSION}/{self.clip_id}", path=path, label=label, group=source)


def all_specs() -> list[Spec]:
    """Every clip of the dataset, training side first."""
    labels = range(NUM_CLASSES)
    train = [Spec("train", k, i, False) for k in labels for i in range(TRAIN_PER_CLASS)]
    test = [
        Spec("test", k, i, r) for k in labels for i in range(TEST_PER_CLASS) for r in (False, True)
    ]
    return train + test


def draw_clip(spec: Spec) -> np.ndarray:
    """The frames of a clip: (T, S, S) uint8 brightness; the same on every platform."""
    rng = np.random.default_rng([VERSION, spec.side == "test", spec.label, spec.number])
    glyphs, _ = scenes.digit_images(spec.side)
    glyph = glyphs[rng.integers(len(glyphs))]
    still = dict(zip((*MOVING, "ink"), rng.uniform(*STILL, size=5), strict=True))
    values = {name: np.full(NUM_FRAMES, value) for name, value in still.items()}
    step = DIRECTIONS[spec.label] * rng.uniform(*SPEEDS)
    values[MOVING[spec.label // 2]] = (rng.uniform() + step * np.arange(NUM_FRAMES)) % 1
    background = scenes.draw_background(rng)
    picture = scenes.draw(
        scenes.Scenes(
            glyphs=np.broadcast_to(glyph, (NUM_FRAMES, 8, 8)),
            backgrounds=np.broadcast_to(background, (NUM_FRAMES, *background.shape)),
            **values,
        )
    )
    noise = rng.normal(scale=0.02, size=picture.shape)
    frames = (255 * np.clip(picture + noise, 0, 1)).round().astype(np.uint8)
    return frames[::-1] if spec.reversed else frames


def write_clip(frames: np.ndarray, path: Path) -> None:
    """Code (T, S, S) uint8 brightness as lossless H.264 (qp 0)."""
    import av

    with av.open(str(path), "w") as container:
        options = {"qp": "0", "preset": "ultrafast", "threads": "1"}
        stream = container.add_stream("libx264", rate=8, options=options)
        stream.width = stream.height = frames.shape[1]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def cache_folder() -> Path:
    """Where built data lies: ZEROI2V_BENCH_CACHE, else ``zeroi2v_bench`` in the XDG cache."""
    if own := os.environ.get("ZEROI2V_BENCH_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "zeroi2v_bench"


def build(root: Path, advance: Callable[[], None] | None = None) -> None:
    """Build the dataset in ``root`` unless it is there; atomic, and safe for two at once.

    Args:
        root: The dataset's own folder; it appears complete or not at all.
        advance: Called once per clip written.

    Raises:
        DataError: The folder cannot be written, or holds a damaged copy.
    """
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.parent / f".{root.name}.lock"):
            if not root.exists():
                _build_into(root, advance)
    except OSError as error:
        raise DataError(f"cannot build moving_digits in {root}: {error.strerror}") from error


def _build_into(root: Path, advance: Callable[[], None] | None) -> None:
    for stale in root.parent.glob(f".{root.name}.part-*"):  # of a build that was killed
        shutil.rmtree(stale)
    partial = Path(tempfile.mkdtemp(prefix=f".{root.name}.part-", dir=root.parent))
    sizes = {}
    for spec in all_specs():
        path = partial / f"{spec.clip_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(draw_clip(spec), path)
        sizes[spec.clip_id] = path.stat().st_size
        if advance is not None:
            advance()
    (partial / "manifest.json").write_text(json.dumps(sizes, indent=0))
    partial.chmod(0o755)
    partial.replace(root)


def check(root: Path) -> None:
    """Compare the files with the manifest that was written with them.

    Raises:
        DataError: A file is missing or has another size.
    """
    try:
        sizes = json.loads((root / "manifest.json").read_text())
        damaged = [
            name for name, size in sizes.items() if (root / f"{name}.mp4").stat().st_size != size
        ]
    except (OSError, ValueError) as error:
        raise DataError(f"{root} is damaged ({error}); delete it to have it built again") from error
    if damaged:
        raise DataError(f"{root} is damaged ({damaged[0]}.mp4); delete it to have it built again")


def load(root: Path | None, spec: SplitSpec) -> Splits:
    """All clips; builds the dataset with a progress bar where it is not there yet.

    Raises:
        DataError: Not writable, damaged, a folder of something else, or list files were given.
    """
    if spec.train_list or spec.test_list:
        raise DataError(
            "moving_digits takes no list files; leave splits.train_list and splits.test_list out"
        )
    if root is not None and root.exists() and not (root / "manifest.json").is_file():
        raise DataError(
            f"{root} is no moving_digits folder; leave --data-root out, or name a new folder"
        )
    root = root or cache_folder() / f"moving_digits-v{VERSION}"
    if not root.exists():
        _build_with_progress(root)
    check(root)
    sides: dict[str, list[Clip]] = {"train": [], "test": []}
    for one in all_specs():
        sides[one.side].append(one.to_clip(root))
    train, test = (tuple(sides[side]) for side in ("train", "test"))
    return Splits(train=train, test=test, class_names=CLASS_NAMES)


def _build_with_progress(root: Path) -> None:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("building moving_digits", total=len(all_specs()))
        build(root, lambda: progress.advance(task))
