"""Per-clip predictions read back: per-class accuracy, confusions, and pairs of runs."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.records import predictions_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zeroi2v_bench.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipResult:
    """What became of one expected test clip.

    Attributes:
        clip_id: The dataset's own name of it.
        label: Its true class.
        status: "ok", or why there is no prediction.
        top: The best classes, best first, five at most; none without a prediction.
    """

    clip_id: str
    label: int
    status: str
    top: tuple[int, ...]

    @property
    def correct(self) -> bool:
        """Whether the best class is the true one; a clip without a prediction is wrong."""
        return self.top[:1] == (self.label,)


_NOT_A_ROW = (KeyError, TypeError, AttributeError)
"""What a row with missing cells raises."""


def predictions_of(record: RunRecord, roots: Iterable[Path]) -> list[ClipResult]:
    """The predictions of a loaded record, checked against it.

    Raises:
        RecordError: Missing, damaged, or not those of the record's clips and classes.
    """
    path = record_file(record, roots)
    clips = read_predictions(path)
    if len(clips) != record.num_test:
        raise RecordError(
            f"{predictions_path(path)}: damaged predictions: {len(clips)} rows, but the record "
            f"has {record.num_test} test clips"
        )
    known = range(len(record.class_names))
    for clip in clips:
        if any(k not in known for k in (clip.label, *clip.top)):
            raise RecordError(
                f"{predictions_path(path)}: damaged predictions: {clip.clip_id} has a class "
                f"beyond the record's {len(known)}"
            )
    return clips


def read_predictions(record_path: Path) -> list[ClipResult]:
    """The predictions beside a record, one per expected clip, in the split's order.

    Raises:
        RecordError: The file is missing or damaged.
    """
    path = predictions_path(record_path)
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        return [_clip_result(row) for row in csv.DictReader(io.StringIO(text))]
    except FileNotFoundError as error:
        raise RecordError(f"{path}: no predictions beside the record") from error
    except (OSError, EOFError, zlib.error, csv.Error, ValueError, *_NOT_A_ROW) as error:
        raise RecordError(f"{path}: damaged predictions: {error}") from error


def _clip_result(row: dict[str, str]) -> ClipResult:
    top = tuple(int(k) for k in row["top"].split())
    return ClipResult(
        clip_id=row["clip_id"], label=int(row["label"]), status=row["status"], top=top
    )


def record_file(record: RunRecord, roots: Iterable[Path]) -> Path:
    """Where a loaded record lies.

    Raises:
        RecordError: In none of the folders.
    """
    for root in roots:
        path = root / record.protocol / f"{record.run_id}.json"
        if path.is_file():
            return path
    raise RecordError(f"{record.protocol}/{record.run_id}: its file is gone")


def find_runs(name: str, records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that a user means by a run id (its beginning suffices), a file or a method.

    Args:
        name: A run id, ``protocol/run id``, the path of a record, or a method: all its runs.
        records: Newest of each run.

    Raises:
        RecordError: None, or a beginning that several ids share.
    """
    bare = name.removesuffix(".json")
    exact = [r for r in records if r.run_id == Path(bare).name and _under(r, bare)]
    started = [r for r in records if f"{r.protocol}/{r.run_id}".startswith(bare)]
    started += [r for r in records if r.run_id.startswith(bare)]
    for found in (exact, [r for r in records if r.method == name], started):
        if found and (found is not started or len(found) == 1):
            return found
    if started:
        ids = ", ".join(sorted({r.run_id for r in started})[:5])
        raise RecordError(f"{name!r} may be any of {len(started)} runs ({ids}, ...); write more")
    methods = ", ".join(sorted({r.method for r in records})) or "none"
    raise RecordError(f"no run or method {name!r}; methods on record: {methods}")


def _under(record: RunRecord, bare: str) -> bool:
    return "/" not in bare or Path(bare).parent.name == record.protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """One class of a run: its clips, how many are right, and where the wrong ones went."""

    label: int
    num_clips: int
    num_correct: int
    taken_for: tuple[tuple[int, int], ...]
    """(class, clips), the most frequent first."""


def per_class(results: Sequence[ClipResult], num_classes: int) -> list[ClassResult]:
    """Accuracy and confusions of every class, in label order."""
    confusions = confusion_counts(results)
    rows = []
    for label in range(num_classes):
        own = [r for r in results if r.label == label]
        wrong = [(k, n) for (true, k), n in confusions.items() if true == label and k != label]
        rows.append(
            ClassResult(
                label=label,
                num_clips=len(own),
                num_correct=sum(r.correct for r in own),
                taken_for=tuple(sorted(wrong, key=lambda pair: (-pair[1], pair[0]))),
            )
        )
    return rows


def confusion_counts(results: Iterable[ClipResult]) -> Counter[tuple[int, int]]:
    """(true class, best class) to clips; clips without a prediction are not in it."""
    return Counter((r.label, r.top[0]) for r in results if r.top)


def most_confused(results: Iterable[ClipResult], count: int = 10) -> list[tuple[int, int, int]]:
    """(true class, predicted class, clips) of the wrong pairs, the most frequent first."""
    wrong = [(a, b, n) for (a, b), n in confusion_counts(results).items() if a != b]
    return sorted(wrong, key=lambda pair: (-pair[2], pair[0], pair[1]))[:count]
