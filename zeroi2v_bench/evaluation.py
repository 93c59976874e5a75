"""Score models on every expected clip; a clip without a score is wrong, never left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zeroi2v_bench.records import Accuracy
from zeroi2v_bench.transforms import normalise
from zeroi2v_bench.types import Predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zeroi2v_bench.loader import Batch
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Clip


def view_scores(model: VideoViT, video: Tensor) -> Tensor:
    """(B, V, C, T, H, W) normalised -> (B, K): softmax of each view, then the mean over views."""
    logits = model(video.flatten(0, 1))
    return logits.float().softmax(-1).unflatten(0, video.shape[:2]).mean(1)  # type: ignore[no-any-return]


@torch.inference_mode()
def evaluate(
    models: Sequence[VideoViT],
    loader: Iterable[Batch],
    clips: Sequence[Clip],
    *,
    num_classes: int,
    device: str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> list[Predictions]:
    """Score several models on the same clips, each read once.

    Args:
        models: Models of the same input, in eval mode, on the device.
        loader: Test views of all clips.
        clips: The expected clips; rows of the result.
        num_classes: K; columns of the scores.
        device: Where the models are.
        advance: Called with the number of clips done.
    """
    status = ["unreadable"] * len(clips)
    scores = [np.full((len(clips), num_classes), np.nan, dtype=np.float32) for _ in models]
    for batch in loader:
        for row, what in batch.status.items():
            status[row] = what
        if len(batch.rows):
            for model, table in zip(models, scores, strict=True):
                video = normalise(batch.video.to(device), model.config.mean, model.config.std)
                table[batch.rows.numpy()] = view_scores(model, video).cpu().numpy()
        if advance is not None:
            advance(len(batch.status))
    ids = tuple(clip.id for clip in clips)
    labels = np.array([clip.label for clip in clips], dtype=np.int64)
    return [
        Predictions(clip_ids=ids, labels=labels, scores=table, status=tuple(status))
        for table in scores
    ]


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
    expected = int(good.sum()) if bad_clips == "excluded" else len(status)
    return Accuracy(
        top1=100 * float(hit[:, :1].sum()) / max(expected, 1),
        top5=100 * float(hit[:, :5].sum()) / max(expected, 1),
        num_clips=int(good.sum()),
        num_expected=expected,
        num_unreadable=int((status == "unreadable").sum()),
        num_damaged=int((status == "damaged").sum()),
    )
