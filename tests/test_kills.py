"""A run that is killed and repeated leaves what an unbroken one leaves, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

DRIVER = Path(__file__).with_name("kill_driver.py")


def test_a_run_killed_at_any_moment_resumes_to_the_weights_and_predictions_of_an_unbroken_one(
    tmp_path,
):
    done = subprocess.run(
        [sys.executable, DRIVER, tmp_path, "5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    kills = {}
    for moment, number, equal in found["report"]:
        assert equal, f"killed {number} times {moment}"
        kills[moment] = kills.get(moment, 0) + number
    assert len(kills) == 4
    assert sum(kills.values()) >= 10
    assert found["kept"] == found["stray"] == []
    assert len(found["files"]) == 3
