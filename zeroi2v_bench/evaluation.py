"""Score models on every expected clip; a clip without a score is wrong, never left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zeroi2v_bench.distributed import gather
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.records import Accuracy
from zeroi2v_bench.types import Predictions
from zeroi2v_bench.video.transforms import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zeroi2v_bench.data.loader import Batch
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Clip


def view_scores(model: VideoViT, video: Tensor) -> Tensor:
    """(B, V, C, T, H, W) normalised -> (B, K): softmax of each view, then the mean over views."""
    logits = model(video.flatten(0, 1))
    return logits.float().softmax(-1).unflatten(0, video.shape[:2]).mean(1)  # type: ignore[no-any-return]


@dataclass(slots=True)
class Share:
    """What one process scored: clip ids, what became of each, and (M, K) scores of each model."""

    ids: list[str]
    status: list[str]
    scores: list[np.ndarray]


def evaluate(
    models: Sequence[VideoViT],
    batches: Iterable[Batch],
    clips: Sequence[Clip],
    *,
    num_classes: int,
    device: str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> list[Predictions]:
    """Score several models on the same clips, each clip read once and scored by one process.

    Args:
        models: Models of the same input, in eval mode, on the device.
        batches: Test views of all clips; of several processes, each brings its own share.
        clips: The expected clips; rows of the result.
        num_classes: K; columns of the scores.
        device: Where the models are.
        advance: Called with the number of clips done.

    Raises:
        DataError: The shares leave a clip out, or hold one twice.
    """
    own = score(models, batches, clips, num_classes, device, advance)
    shares = gather(own)
    place = {clip_id: row for row, clip_id in enumerate(i for share in shares for i in share.ids)}
    ids = tuple(clip.id for clip in clips)
    total = sum(len(share.ids) for share in shares)
    if total != len(ids) or set(place) != set(ids):
        missing = len(set(ids) - set(place))
        raise DataError(f"{total} clips were scored of {len(ids)} expected, {missing} are missing")
    rows = [place[clip_id] for clip_id in ids]
    status = [what for share in shares for what in share.status]
    labels = np.array([clip.label for clip in clips], dtype=np.int64)
    return [
        Predictions(
            clip_ids=ids,
            labels=labels,
            scores=np.concatenate([share.scores[number] for share in shares])[rows],
            status=tuple(status[row] for row in rows),
        )
        for number in range(len(models))
    ]


@torch.inference_mode()
def score(
    models: Sequence[VideoViT],
    batches: Iterable[Batch],
    clips: Sequence[Clip],
    num_classes: int,
    device: str,
    advance: Callable[[int], None] | None,
) -> Share:
    """The share of this process; a clip without a score has NaN."""
    share = Share([], [], [np.empty((0, num_classes), np.float32) for _ in models])
    found: list[list[np.ndarray]] = [[table] for table in share.scores]
    for batch in batches:
        share.ids += [clips[row].id for row in batch.status]
        share.status += batch.status.values()
        place = {row: number for number, row in enumerate(batch.status)}
        readable = [place[row] for row in batch.rows.tolist()]
        video = batch.video.to(device, non_blocking=True)
        for model, tables in zip(models, found, strict=True):
            table = np.full((len(place), num_classes), np.nan, dtype=np.float32)
            if readable:
                views = normalise(video, model.config.mean, model.config.std)
                table[readable] = view_scores(model, views).cpu().numpy()
            tables.append(table)
        if advance is not None:
            advance(len(place))
    share.scores = [np.concatenate(tables) for tables in found]
    return share


def accuracy_of(predictions: Predictions, *, bad_clips: str = "wrong") -> Accuracy:
    """Top-1 and top-5 in per cent of the expected clips.

    Of classes with equal scores the first one counts as better. With ``bad_clips="excluded"``
    clips that are unreadable or damaged leave the denominator; ``num_expected`` says so.
    """
    status = np.array([s.split(":")[0] for s in predictions.status])
    scored = ~np.isnan(predictions.scores).any(axis=1)
    good = scored & (status == "ok")
    order = (-predictions.scores).argsort(axis=1, kind="stable")
    hit = (order == predictions.labels[:, None]) & good[:, None]
    expected = int((status == "ok").sum()) if bad_clips == "excluded" else len(status)
    return Accuracy(
        top1=100 * float(hit[:, :1].sum()) / max(expected, 1),
        top5=100 * float(hit[:, :5].sum()) / max(expected, 1),
        num_clips=int(good.sum()),
        num_expected=expected,
        num_unreadable=int((status == "unreadable").sum()),
        num_damaged=int((status == "damaged").sum()),
    )
