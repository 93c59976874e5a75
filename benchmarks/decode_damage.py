"""How much damage to a video file is noticed: flip bytes at random, decode, compare.

Each clip is damaged with 1, 8, 64 or 512 changed bytes, equally often, and decoded in a process
that is killed when it does not answer. Prints a Markdown table; a cell counts the four numbers of
bytes apart.

    python benchmarks/decode_damage.py                 # 100 mutations of four synthetic clips
    python benchmarks/decode_damage.py --clip real.avi # of a file of your own
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np

from zeroi2v_bench.data.killable import map_killable
from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode import decode_all

FLIPS = (1, 8, 64, 512)
SEED = 20261122
LIMIT_S = 30.0
OUTCOMES = ("raised", "reported damaged", "silent difference", "identical", "crash", "hang")
ENCODERS = {
    "H.264": ("libx264", ".mp4", {"x264-params": "no-mbtree=1"}),  # else files differ
    "MPEG-4 (XviD)": ("mpeg4", ".avi", {"bf": "2", "g": "12", "vtag": "XVID"}),
    "VP9": ("libvpx-vp9", ".webm", {"deadline": "realtime", "cpu-used": "8"}),
    "HEVC": ("libx265", ".mp4", {"x265-params": "log-level=none", "preset": "ultrafast"}),
}


def scene(num_frames: int, height: int, width: int) -> np.ndarray:
    """(T, H, W, C) uint8: a smooth texture that drifts, with a brighter square crossing it."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    waves = rng.uniform(0.02, 0.3, (12, 2)), rng.uniform(0, 6, (12, 3))
    frames = []
    for time in range(num_frames):
        phase = rows * waves[0][:, :1, None] + (columns + 2 * time) * waves[0][:, 1:, None]
        colour = [np.sin(phase + waves[1][:, c, None, None]).sum(0) for c in range(3)]
        frame = 128 + 14 * np.stack(colour, -1)
        left = 3 * time % (width - 40)
        frame[40:80, left : left + 40] += 60
        frames.append(frame.clip(0, 255))
    return np.array(frames, dtype=np.uint8)


def encode(path: Path, codec: str, options: dict[str, str], frames: np.ndarray) -> None:
    """Write a clip of 25 frames a second."""
    with av.open(str(path), "w") as container:
        options = dict(options)
        tag = options.pop("vtag", None)
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if tag is not None:
            stream.codec_context.codec_tag = tag
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())


def synthetic_clips(folder: Path) -> dict[str, Path]:
    """One clip per codec."""
    clips = {}
    for name, (codec, suffix, options) in ENCODERS.items():
        clips[name] = folder / f"{codec}{suffix}"
        encode(clips[name], codec, options, scene(60, 240, 320))
    return clips


def mutated(data: bytes, flips: int, rng: np.random.Generator) -> bytes:
    """The file with that many bytes replaced by others, anywhere."""
    damaged = np.frombuffer(data, dtype=np.uint8).copy()
    places = rng.choice(len(damaged), size=min(flips, len(damaged)), replace=False)
    damaged[places] ^= rng.integers(1, 256, len(places), dtype=np.uint8)
    return damaged.tobytes()


def outcome(path: str) -> str:
    """What a reader of the damaged clip is told, and whether it is true."""
    try:
        frames, info = decode_all(path)
    except DecodeError:
        return "raised"
    if info.damaged:
        return "reported damaged"
    clean = np.load(Path(path).with_name("clean.npy"))
    return "identical" if np.array_equal(frames, clean) else "silent difference"


def measure(clip: Path, mutations: int, folder: Path) -> Counter[tuple[str, int]]:
    """How often each outcome came of each number of changed bytes."""
    clean, info = decode_all(clip)
    if info.damaged:
        raise SystemExit(f"{clip} is damaged to begin with: {info.damage}")
    np.save(folder / "clean.npy", clean)
    data, rng = clip.read_bytes(), np.random.default_rng(SEED)
    flips = {}
    for number in range(mutations):
        path = folder / f"{number}{clip.suffix}"
        flips[str(path)] = FLIPS[number % len(FLIPS)]
        path.write_bytes(mutated(data, flips[str(path)], rng))
    counts: Counter[tuple[str, int]] = Counter()
    for answer in map_killable(outcome, flips, workers=2, limit_s=LIMIT_S):
        stopped = "hang" if answer.failure.startswith("no answer") else "crash"
        counts[answer.value or stopped, flips[answer.task]] += 1
    return counts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument("--mutations", type=int, default=100)
    arguments = parser.parse_args()
    print(f"| clip | {' | '.join(OUTCOMES)} |\n| --- |{' --- |' * len(OUTCOMES)}")
    with tempfile.TemporaryDirectory() as folder:
        clips = {path.name: path for path in arguments.clip} or synthetic_clips(Path(folder))
        for number, (name, clip) in enumerate(clips.items()):
            mutations = Path(folder) / str(number)
            mutations.mkdir()
            counts = measure(clip, arguments.mutations, mutations)
            cells = [" + ".join(str(counts[kind, flips]) for flips in FLIPS) for kind in OUTCOMES]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
