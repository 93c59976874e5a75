"""A tiny run, repeated in forked children that are killed; run by test_kills.py on its own.

Forking after the import of torch makes a kill cost tenths of a second instead of seconds.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from zeroi2v_bench import records
from zeroi2v_bench.datasets import moving_digits
from zeroi2v_bench.protocol import load_protocol, override
from zeroi2v_bench.runner import run
from zeroi2v_bench.training.execution import Execution

torch.set_num_threads(1)
moving_digits.TRAIN_PER_CLASS, moving_digits.TEST_PER_CLASS = 3, 1
PROTOCOL = override(
    load_protocol("full_digits"),
    {"optim.epochs": 2, "optim.batch_size": 5, "splits.holdout": 0.3, "seeds": [0]},
)
SAVE_EVERY_STEP = Execution(save_steps=1)


def attempt(data: Path, results: Path, sabotage=None) -> int:
    """Run in a child; its pid."""
    if pid := os.fork():
        return pid
    try:
        if sabotage is not None:
            sabotage()
        run(
            PROTOCOL,
            method="zeroi2v",
            data_root=data,
            results=results,
            execution=SAVE_EVERY_STEP,
        )
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)


def outcome(pid: int) -> int:
    """Exit code of a child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_while_writing(number: int, moment: str):
    """Make the n-th write of a file the last: half-way, before it is renamed, or right after."""

    def sabotage():
        fsync, replace, seen = os.fsync, Path.replace, []

        def half(descriptor):
            seen.append(descriptor)
            if len(seen) == number:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(descriptor)

        def rename(self, target):
            seen.append(self)
            if len(seen) == number and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            moved = replace(self, target)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return moved

        if moment == "half":
            records.os.fsync = half
        else:
            Path.replace = rename

    return sabotage


def left_behind(results: Path) -> dict[str, bytes]:
    """What a finished run leaves: weights, predictions, and the record without its times."""
    (record,) = results.glob("*/*.json")
    content = json.loads(record.read_text())
    for varying in ("created", "seconds"):
        del content[varying]
    del content["fit"]["details"]["seconds"]
    files = {path.name: path.read_bytes() for path in results.glob("*/*[sz]") if path != record}
    return {**files, "record": json.dumps(content).encode()}


def main(folder: Path, random_kills: int) -> None:
    """Kill at many moments; print what was tried, and whether anything was lost."""
    data = folder / "data"
    moving_digits.build(data)
    start = time.perf_counter()
    assert outcome(attempt(data, folder / "whole")) == 0
    duration_s = time.perf_counter() - start
    expected = left_behind(folder / "whole")
    rng = np.random.default_rng(20261122)
    report = []
    for number in range(random_kills):
        results = folder / f"random{number}"
        delays, kills = rng.uniform(0, duration_s / 2, size=2), 0
        for delay_s in delays:
            pid = attempt(data, results)
            time.sleep(delay_s)
            os.kill(pid, signal.SIGKILL)
            kills += outcome(pid) == -signal.SIGKILL
        assert outcome(attempt(data, results)) == 0
        report.append(("at a random moment", kills, left_behind(results) == expected))
    for moment in ("half", "before", "after"):
        results = folder / f"writing_{moment}"
        for number in (1, 2, 1):
            pid = attempt(data, results, die_while_writing(number, moment))
            assert outcome(pid) == -signal.SIGKILL
        assert outcome(attempt(data, results)) == 0
        report.append((f"{moment} a checkpoint write", 3, left_behind(results) == expected))
    stray = [path.name for path in folder.glob("*/*/.*") if not path.name.endswith(".lock")]
    kept = [path.name for path in folder.glob("*/*/*.checkpoint")]
    found = {"report": report, "stray": stray, "kept": kept, "files": sorted(expected)}
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
