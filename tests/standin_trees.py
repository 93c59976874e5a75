"""Build stand-in datasets in the official layouts: real small video files under official names.

Files of one tree are hard links to a few encoded clips, so a tree of thousands takes a second.
"""

import csv
import gzip
import json
import os
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {
    ".avi": ("mpeg4", "yuv420p"),
    ".mp4": ("libx264", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
}
NASTY = ("#1 (a) & [b]", "x;y!z~w", "p+q@r.s", "plain")
"""Characters that real HMDB51 names are full of."""


def write_video(path: Path, *, num_frames: int = 12, side: int = 48, seed: int = 0) -> None:
    """A moving gradient, coded as the suffix says."""
    codec, pixels = CODECS[path.suffix]
    ramp = np.arange(side)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width = stream.height = side
        stream.pix_fmt = pixels
        for k in range(num_frames):
            plane = (ramp[:, None] * (1 + seed % 3) + ramp[None] * 2 + 9 * k + 31 * seed).astype(
                np.uint8
            )
            frame = av.VideoFrame.from_ndarray(np.stack([plane, plane.T, plane[::-1]], -1), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def fill(paths: list[Path], pool: Path, *, kinds: int = 4) -> None:
    """Make every path a link to one of a few clips, in turn."""
    pool.mkdir(parents=True, exist_ok=True)
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for suffix in sorted({path.suffix for path in paths}):
        sources = [pool / f"{k}{suffix}" for k in range(kinds)]
        for seed, source in enumerate(sources):
            write_video(source, seed=seed)
        for k, path in enumerate(p for p in paths if p.suffix == suffix):
            os.link(sources[k % kinds], path)


def hmdb51_lists(classes: int = 51, train: int = 4, test: int = 2, unused: int = 1) -> dict:
    """Class to rows of (name, side in each split), with names as nasty as the real ones."""
    names = ["climb", "climb_stairs", "kick", "kick_ball", "sword", "sword_exercise"]
    names += [f"other_{k:02d}" for k in range(classes)]
    sides = [1] * train + [2] * test + [0] * unused
    return {
        name: [
            (f"{NASTY[k % 4]}_{name}_{k}.avi", (sides[k], sides[k - 1], sides[k - 2]))
            for k in range(len(sides))
        ]
        for name in names[:classes]
    }


def hmdb51_tree(root: Path, lists: dict, *, videos: str = "") -> Path:
    folder = root / "testTrainMulti_7030_splits"
    folder.mkdir(parents=True)
    for name, rows in lists.items():
        for split in range(3):
            text = "".join(f"{file} {sides[split]} \r\n" for file, sides in rows)
            (folder / f"{name}_test_split{split + 1}.txt").write_text(text, newline="")
    base = root / videos
    paths = [base / name / file for name, rows in lists.items() for file, _ in rows]
    fill(paths, root / ".pool")
    return root


def ucf101_lists(classes: int = 101, groups: int = 5, clips: int = 2) -> dict:
    """Class names in the official kind of order, and {split: (train, test)} of relative names."""
    names = ["Hammering", "HammerThrow", "JumpingJack", "JumpRope"]
    names += [f"Sport{k:03d}" for k in range(classes)]
    names = names[:classes]
    splits = {}
    for split in (1, 2, 3):
        sides: tuple[list, list] = ([], [])
        for label, name in enumerate(names, 1):
            for group in range(1, groups + 1):
                for clip in range(1, clips + 1):
                    file = f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
                    sides[group == split].append((file, label))
        splits[split] = sides
    return {"names": names, "splits": splits}


def ucf101_tree(root: Path, lists: dict, *, flat: bool = False) -> Path:
    folder = root / "ucfTrainTestlist"
    folder.mkdir(parents=True)
    index = "".join(f"{k} {name}\r\n" for k, name in enumerate(lists["names"], 1))
    (folder / "classInd.txt").write_text(index, newline="")
    files = set()
    for split, (train, test) in lists["splits"].items():
        text = "".join(f"{file} {label}\r\n" for file, label in train)
        (folder / f"trainlist{split:02d}.txt").write_text(text, newline="")
        text = "".join(f"{file}\r\n" for file, _ in test)
        (folder / f"testlist{split:02d}.txt").write_text(text, newline="")
        files |= {file for file, _ in (*train, *test)}
    names = [Path(file).name if flat else file for file in sorted(files)]
    fill([root / "UCF-101" / name for name in names], root / ".pool")
    return root


def ssv2_lists(classes: int = 174, train: int = 3, test: int = 1) -> dict:
    """Templates with brackets, and (id, label) of both sides."""
    templates = [f"Putting [something {k:03d}] next to [something]" for k in range(classes)]
    ids = iter(range(1, 10**6))
    return {
        "templates": templates,
        "train": [(str(next(ids)), k) for k in range(classes) for _ in range(train)],
        "validation": [(str(next(ids)), k) for k in range(classes) for _ in range(test)],
    }


def ssv2_tree(root: Path, lists: dict, *, new_names: bool = False, suffix: str = ".webm") -> Path:
    folder = root / "labels" if new_names else root
    prefix = "" if new_names else "something-something-v2-"
    folder.mkdir(parents=True)
    plain = [t.replace("[", "").replace("]", "") for t in lists["templates"]]
    labels = {name: str(k) for k, name in enumerate(plain)}
    (folder / f"{prefix}labels.json").write_text(json.dumps(labels))
    for side in ("train", "validation"):
        items = [
            {"id": i, "label": "x", "template": lists["templates"][k], "placeholders": []}
            for i, k in lists[side]
        ]
        (folder / f"{prefix}{side}.json").write_text(json.dumps(items))
    ids = [i for side in ("train", "validation") for i, _ in lists[side]]
    base = root / "20bn-something-something-v2"
    fill([base / f"{i}{suffix}" for i in ids], root / ".pool")
    return root


def k400_lists(classes: int = 400, train: int = 3, test: int = 1) -> dict:
    """(label, YouTube id, start, end) of both sides."""
    names = ["massaging person's head", "petting animal (not cat)", "air drumming"]
    names += [f"sport {k:03d}" for k in range(classes)]

    def rows(side: str, count: int) -> list:
        return [
            (name, f"-{side}{k:04d}_{i:03d}x"[:11], 5 + i, 15 + i)
            for k, name in enumerate(names[:classes])
            for i in range(count)
        ]

    return {"train": rows("t", train), "val": rows("v", test)}


def k400_tree(root: Path, lists: dict, *, six_columns: bool = False) -> Path:
    folder = root / "annotations"
    folder.mkdir(parents=True)
    header = ["label", "youtube_id", "time_start", "time_end", "split"]
    for side, rows in lists.items():
        with (folder / f"{side}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header + ["is_cc"] * six_columns)
            for row in rows:
                writer.writerow([*row, side] + [0] * six_columns)
    paths = [
        root / side / f"{youtube}_{start:06d}_{end:06d}.mp4"
        for side, rows in lists.items()
        for _, youtube, start, end in rows
    ]
    fill(paths, root / ".pool")
    return root


def mmaction_tree(root: Path, lists: dict) -> Path:
    root.mkdir(parents=True)
    folders = sorted({label.replace(" ", "_") for label, *_ in lists["train"]})
    paths = []
    for side, rows in lists.items():
        lines = []
        for label, youtube, start, end in rows:
            name = f"{label.replace(' ', '_')}/{youtube}_{start:06d}_{end:06d}.mp4"
            lines.append(f"{name} {folders.index(label.replace(' ', '_'))}\n")
            paths.append(root / f"videos_{side}" / name)
        (root / f"kinetics400_{side}_list_videos.txt").write_text("".join(lines))
    fill(paths, root / ".pool")
    return root


def text_of(path: Path) -> str:
    """The text of a list file of the reference data, compressed or not."""
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def official_hmdb51(root: Path, reference: Path) -> Path:
    """Every official name of HMDB51 with the official lists."""
    archive = next((reference / "splits" / "hmdb51_from_text4vis").glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
    names = {
        f"{file.name.rpartition('_test_split')[0]}/{line.split()[0]}"
        for file in (root / "testTrainMulti_7030_splits").iterdir()
        for line in file.read_text().splitlines()
    }
    assert len(names) == 6766
    fill([root / "videos" / name for name in sorted(names)], root / ".pool")
    return root


def official_ucf101(root: Path, reference: Path) -> Path:
    """Every official name of UCF101 with the official lists."""
    folder = root / "ucfTrainTestlist"
    folder.mkdir()
    for path in (reference / "splits" / "ucfTrainTestlist").iterdir():
        (folder / path.name.removesuffix(".gz")).write_text(text_of(path), newline="")
    lists = [text_of(folder / f"{side}list01.txt") for side in ("train", "test")]
    files = [line.split()[0] for text in lists for line in text.splitlines()]
    assert len(files) == 13_320
    fill([root / "UCF-101" / file for file in files], root / ".pool")
    return root
