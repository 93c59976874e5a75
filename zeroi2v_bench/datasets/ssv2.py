"""Something-Something V2: 174 classes of hand actions, 168,913 training, 24,777 validation clips.

Goyal et al., The "something something" video database, ICCV 2017. The validation set is tested
on; labels of the test set are not public.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.datasets import _lists
from zeroi2v_bench.datasets._media import Entry, Lists, find_lists
from zeroi2v_bench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zeroi2v_bench.protocol import SplitSpec
    from zeroi2v_bench.types import Splits

SPLITS = ("default",)
NUM_CLASSES = 174
COUNTS = {"default": (168_913, 24_777)}
FLIP_PAIRS: Mapping[int, int] = {86: 87, 87: 86, 93: 94, 94: 93, 166: 167, 167: 166}
"""Pulling, pushing and turning the camera from left to right, and from right to left."""
TREE = """\
  DIR/[labels/]labels.json, train.json, validation.json
      (or something-something-v2-{labels,train,validation}.json)
  DIR/20bn-something-something-v2/ID.webm   (or ID.mp4, or extracted frames ID/img_00001.jpg)
Data: https://www.qualcomm.com/developer/software/something-something-v-2-dataset"""

FOLDERS = ("", "labels/", "annotations/")
PREFIXES = ("something-something-v2-", "")


def load(root: Path | None, spec: SplitSpec) -> Splits:
    """The clips of the training and the validation set; classes as ``labels.json`` numbers them.

    Raises:
        DataError: Missing or malformed files.
    """
    places = [f"{folder}{prefix}labels.json" for folder in FOLDERS for prefix in PREFIXES]
    base, path = find_lists(root, "ssv2", TREE, places)
    names = _lists.check_classes(read_classes(path), NUM_CLASSES, path)
    labels = {name: label for label, name in enumerate(names)}
    lists = Lists(
        dataset="ssv2",
        root=base,
        class_names=names,
        train=read_side(_beside(path, "train"), labels),
        test=read_side(_beside(path, "validation"), labels),
    )
    return _lists.apply_lists(lists, spec)


def _beside(labels: Path, side: str) -> Path:
    return labels.with_name(f"{labels.name.removesuffix('labels.json')}{side}.json")


def read_json(path: Path, kind: type) -> Any:
    """The content of a JSON file, a list or a dict.

    Raises:
        DataError: It cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, kind):
        raise DataError(f"{path}: expected a {kind.__name__}, got {type(content).__name__}")
    return content


def read_classes(path: Path) -> list[str]:
    """Class names in label order, from ``{"name": "index"}``.

    Raises:
        DataError: Indices that are not 0 to K - 1.
    """
    try:
        order = {int(index): name for name, index in read_json(path, dict).items()}
        return [order[label] for label in range(len(order))]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected names with the indices 0, 1, 2, ...") from error


def read_side(path: Path, labels: Mapping[str, int]) -> list[Entry]:
    """The clips of ``{"id", "template", ...}`` objects; brackets in templates are dropped.

    Raises:
        DataError: An object without id or template, or a template that is no class.
    """
    entries = []
    for item in read_json(path, list):
        try:
            clip_id = _lists.check_local(str(item["id"]), path)
            name = item["template"].replace("[", "").replace("]", "")
            entries.append(
                Entry(clip_id, labels[name], f"20bn-something-something-v2/{clip_id}.webm")
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{path}: {item!r:.120} has no id or no known template") from error
    return entries
