"""The known answer of moving_digits: what each method may reach, and what it reached.

    python benchmarks/digits_laws.py [--results DIR]

Runs linear probe, adapters alone, adapters with temporal embedding and ZeroI2V on `full_digits`
with all its seeds (recorded runs are not repeated), loads the saved models, scores the test clips
again and prints for each: top-1; how often reversing a clip turns the prediction into the
partner class; and the cross-entropy within the true pair in nats, which is at least ln 2 = 0.693
for every model whose frames do not exchange information. About 8 minutes on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from zeroi2v_bench.checkpoints.saved import load_model
from zeroi2v_bench.data.frame_cache import open_cache
from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader import FrameReader
from zeroi2v_bench.data.splits import load_splits
from zeroi2v_bench.evaluation import evaluate
from zeroi2v_bench.protocol import load_protocol
from zeroi2v_bench.runner import run

METHODS = ("linear_probe", "adapters_only", "adapters_temporal_embedding", "zeroi2v")


def reversal_share(answers: np.ndarray) -> float:
    """Share of clips whose prediction becomes the partner's when the clip is reversed.

    A clip and its reversal are neighbours in the test list.
    """
    return float((answers[1::2] == answers[::2] ^ 1).mean())


def pair_cross_entropy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log(score of the true class / score of its pair), in nats."""
    rows = np.arange(len(labels))
    true, partner = scores[rows, labels], scores[rows, labels ^ 1]
    return float(np.mean(np.log1p(partner / true)))


def main() -> None:
    """Run what is not recorded yet, then print one row per method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/reference"))
    results: Path = parser.parse_args().results
    protocol, cache = load_protocol("full_digits"), open_cache("ram")
    test = load_splits(protocol, None, 0).test
    loader = build_loader(test, protocol, FrameReader(cache), image_size=32, batch_size=64)
    print("| method | top-1 (%) by seed | mean | turned by reversal (%) | pair entropy (nats) |")
    print("| --- | --- | ---: | ---: | ---: |")
    for method in METHODS:
        top1, turned, entropy = [], [], []
        for seed in protocol.seeds:
            record = run(protocol, method=method, seed=seed, results=results, cache=cache)
            path = results / record.protocol / f"{record.run_id}.safetensors"
            if not path.is_file():
                sys.exit(f"{path} is missing; run this with a --results folder of your own")
            (scored,) = evaluate([load_model(path)], loader, test, num_classes=8)
            top1.append(100 * float((scored.scores.argmax(1) == scored.labels).mean()))
            turned.append(100 * reversal_share(scored.scores.argmax(1)))
            entropy.append(pair_cross_entropy(scored.scores, scored.labels))
        each = " / ".join(f"{value:.1f}" for value in top1)
        print(
            f"| {method} | {each} | {np.mean(top1):.1f} | {np.mean(turned):.1f} "
            f"| {np.mean(entropy):.3f} |",
            flush=True,
        )
    print(f"\nln 2 = {math.log(2):.3f}; an order-invariant model cannot exceed 50.0 % top-1")


if __name__ == "__main__":
    main()
