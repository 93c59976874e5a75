"""Two processes started by torchrun do what one does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

DRIVER = Path(__file__).with_name("distributed_driver.py")


def result_of(launcher, path, micro_batch):
    command = [sys.executable, *launcher, DRIVER, path, str(micro_batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return np.load(f"{path}.npz")


def test_two_processes_train_and_score_like_one(tmp_path):
    """With an unreadable clip, a last batch of one clip, and micro-batches of one."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    one = result_of([], tmp_path / "one", 4)
    two = result_of(launcher, tmp_path / "two", 1)
    for same in ("scores", "features", "labels"):
        assert np.array_equal(one[same], two[same], equal_nan=True)
    assert np.isnan(one["scores"]).any(axis=1).tolist() == [row == 5 for row in range(9)]
    for close in ("losses", "weights"):
        np.testing.assert_allclose(two[close], one[close], atol=1e-5)
