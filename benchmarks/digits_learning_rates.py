"""Choose each method's learning rate on moving_digits, inside the training set.

    python benchmarks/digits_learning_rates.py [--method M ...] [--rate R ...] [--epochs N]

Trains on 80 clips of each class of `full_digits` and scores the other 20; no test clip is read.
The rates that won stand in protocols/*_digits*.yaml.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from zeroi2v_bench.backbones.base import load_backbone
from zeroi2v_bench.data.frame_cache import open_cache
from zeroi2v_bench.data.reader import FrameReader
from zeroi2v_bench.data.splits import load_splits
from zeroi2v_bench.evaluation import accuracy_of
from zeroi2v_bench.protocol import load_protocol, override
from zeroi2v_bench.recording import Job
from zeroi2v_bench.runner import adapt_to_task, predict, train
from zeroi2v_bench.training.execution import IN_THIS_PROCESS
from zeroi2v_bench.types import Clip

METHODS = ("zeroi2v", "lora", "st_adapter", "aim", "full_finetune")
RATES = (3e-4, 1e-3, 3e-3)


def kept_out(clip: Clip) -> bool:
    """Whether a training clip is one of its class's last 20."""
    return int(clip.id[-3:]) >= 80


def main() -> None:
    """Print one line per method and rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--rate", action="append", type=float)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    reader, plain = FrameReader(open_cache("ram")), load_protocol("full_digits")
    splits = load_splits(plain, None, 0)
    inner = replace(
        splits,
        train=tuple(clip for clip in splits.train if not kept_out(clip)),
        test=tuple(clip for clip in splits.train if kept_out(clip)),
    )
    for method in arguments.method or METHODS:
        for rate in arguments.rate or RATES:
            job = Job(
                protocol=override(
                    plain, {f"methods.{method}.optim": {"lr": rate, "epochs": arguments.epochs}}
                ),
                method=method,
                seed=0,
                backbone=load_backbone("digits", image_size=32),
                splits=inner,
                reader=reader,
                execution=IN_THIS_PROCESS,
                report=lambda line: None,
            )
            model = adapt_to_task(job)
            fitted = train(job, model)
            accuracy = accuracy_of(predict(job, [model])[0])
            print(
                f"{method:14s} lr {rate:.0e}: held-out training clips {accuracy.top1:.1f} %, "
                f"last loss {fitted.losses[-1]:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
