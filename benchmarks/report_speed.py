"""Time reading and tabulating many records: 10,000 must take 5 s at most.

    python benchmarks/report_speed.py [--records 10000]

Records as a long campaign leaves them: 20 protocols, 50 methods, 10 seeds, 400 class names each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from zeroi2v_bench.records import load_records
from zeroi2v_bench.reports.tables import build_table, latest, render

CLASS_NAMES = [f"class number {k}" for k in range(400)]
HASH = "0" * 64


def write_records(root: Path, count: int) -> None:
    """Records that differ in protocol, method, seed and accuracy, made up for timing alone."""
    for number in range(count):
        protocol, method, seed = number % 20, number // 20 % 50, number // 1000
        name = f"run{number:06d}"
        folder = root / f"protocol{protocol}"
        folder.mkdir(exist_ok=True)
        text = json.dumps(one_record(name, folder.name, f"method{method}", seed), indent=2)
        (folder / f"{name}.json").write_text(text)


def one_record(name: str, protocol: str, method: str, seed: int) -> dict[str, object]:
    """One record as plain JSON values."""
    costs = {"params": 86_000_000, "tunable_params": 14_201_856, "new_params": 6_144}
    efficiency = costs | {"gmacs_per_view": 140.7, "gmacs_per_video": 422.0}
    return {
        "run_id": name,
        "key": name,
        "created": f"2026-01-01T00:00:{seed:02d}+00:00",
        "protocol": protocol,
        "protocol_version": 1,
        "protocol_hash": HASH,
        "recipe": "ours",
        "dataset": "kinetics400",
        "split": "default",
        "shots": None,
        "seed": seed,
        "views": "8x1x3",
        "method": method,
        "module": "zeroi2v",
        "params": {"temporal_heads": {"-1": 1, "1": 1}, "adapter_scale": 0.5},
        "optim": {"epochs": 40, "batch_size": 64, "lr": 3e-4, "betas": [0.9, 0.999]},
        "backbone": {"spec": "openclip:ViT-B-16-quickgelu/openai", "weights_hash": HASH},
        "splits_fingerprint": HASH,
        "class_names_hash": HASH,
        "class_names": CLASS_NAMES,
        "num_train": 240_000,
        "num_test": 19_800,
        "accuracy": {
            "top1": 50.0 + seed,
            "top5": 80.0,
            "num_clips": 19_800,
            "num_expected": 19_800,
        },
        "efficiency": efficiency,
        "fit": {"solver": "adamw", "losses": [4.0] * 40},
        "decoder": "pyav",
        "environment": {
            "package": "0",
            "python": "3",
            "platform": "Linux",
            "device": "cpu",
            "threads": 2,
            "libraries": {"torch": "2"},
        },
        "seconds": {"total": 3600.0},
    }


def main() -> None:
    """Print the seconds of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        write_records(Path(folder), count)
        start, cpu = time.perf_counter(), time.process_time()
        records, problems = load_records([Path(folder)])
        read = time.perf_counter()
        kept, _ = latest(records)
        lines = sum(
            len(render(build_table(name, kept).columns, "markdown").splitlines())
            for name in ("runs", "seeds", "table3_k400")
        )
        done = time.perf_counter()
    assert len(records) == count
    assert not problems
    print(f"{count} records: read in {read - start:.2f} s, {lines} lines in {done - read:.2f} s")
    print(f"total {done - start:.2f} s, {time.process_time() - cpu:.2f} s of it processor time")


if __name__ == "__main__":
    main()
