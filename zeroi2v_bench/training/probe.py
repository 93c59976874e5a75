"""Fit a classifier alone: logistic regression on features that are extracted once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from zeroi2v_bench.distributed import gather
from zeroi2v_bench.errors import TrainError
from zeroi2v_bench.records import FitReport
from zeroi2v_bench.video.transforms import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zeroi2v_bench.data.loader import Batch
    from zeroi2v_bench.nn.video_vit import VideoViT
    from zeroi2v_bench.types import Clip


def only_head_trains(model: VideoViT) -> bool:
    """Whether nothing but the classifier is trained, so that the features never change."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return bool(trained) and all(name.startswith("head.") for name in trained)


@torch.inference_mode()
def extract_features(
    model: VideoViT, batches: Iterable[Batch], device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Features of every readable clip, averaged over its views, read once by one process.

    Returns:
        Features (M, D) float32, labels (M,), and the rows of the clips that were left out.
    """
    features, labels, rows, left_out = [], [], [], set[int]()
    for batch in batches:
        left_out |= {row for row, what in batch.status.items() if what != "ok"}
        keep = torch.tensor([batch.status[row] == "ok" for row in batch.rows.tolist()])
        if not keep.any():
            continue
        video = batch.video[keep].to(device)
        clips = normalise(video.flatten(0, 1), model.config.mean, model.config.std)
        feature = model.features(clips).unflatten(0, video.shape[:2]).mean(1)
        features.append(feature.float().cpu().numpy())
        labels.append(batch.labels[keep].numpy())
        rows.append(batch.rows[keep].numpy())
    shares = gather((features, labels, rows, left_out))
    if not any(share[0] for share in shares):
        raise TrainError("no training clip could be read")
    all_features, all_labels, all_rows = (
        np.concatenate([array for share in shares for array in share[part]]) for part in range(3)
    )
    order = np.argsort(all_rows)
    return all_features[order], all_labels[order], set[int]().union(*(s[3] for s in shares))


def fit_head(
    model: VideoViT, batches: Iterable[Batch], clips: Sequence[Clip], *, device: str = "cpu"
) -> FitReport:
    """Fit the classifier in place by logistic regression on features that are extracted once.

    The strength of the regularisation is chosen by cross-validation inside the training set;
    with one clip in some class there is nothing to choose by, and C = 1. Standardisation of the
    features is folded into the weights.

    Raises:
        TrainError: No clip could be read, or a class has none.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    head = model.head
    if not isinstance(head, nn.Linear):
        raise TrainError(f"a {type(head).__name__} head cannot be fitted by logistic regression")
    features, labels, left_out = extract_features(model, batches, device)
    counts = np.bincount(labels, minlength=head.out_features)
    if counts.min() == 0:
        raise TrainError(f"class {int(counts.argmin())} has no readable training clip")
    mean, std = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / std
    folds = min(5, int(counts.min()))
    solver = LogisticRegression(max_iter=2000)
    with warnings.catch_warnings():
        # With one or two clips of each class scikit-learn asks whether labels are what was meant.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        if folds > 1:
            parts = StratifiedKFold(folds, shuffle=True, random_state=0)
            search = GridSearchCV(solver, {"C": np.logspace(-4, 2, 7).tolist()}, cv=parts)
            solver = search.fit(scaled, labels).best_estimator_
        else:
            solver.fit(scaled, labels)
    _set_head(head, solver.coef_ / std, solver.intercept_ - solver.coef_ @ (mean / std))
    return FitReport(
        solver="logistic_regression",
        num_clips=len(clips),
        left_out=tuple(sorted(clips[row].id for row in left_out)),
        details={"C": float(solver.C), "folds": folds},
    )


def _set_head(head: nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        if len(weight) == 1:  # two classes: scikit-learn keeps the second one's log-odds only
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
