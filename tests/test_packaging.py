"""The package works from a checkout and from a wheel alike."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import zeroi2v_bench
from zeroi2v_bench.protocol import protocol_names

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def test_the_version_is_written_in_two_places_that_agree(project):
    assert project["project"]["version"] == zeroi2v_bench.__version__


def test_the_wheel_is_told_to_carry_the_protocols(project):
    target = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert target["force-include"] == {"protocols": "zeroi2v_bench/_protocols"}


def test_an_installed_copy_finds_its_own_protocols(tmp_path):
    site = tmp_path / "site"
    package = Path(zeroi2v_bench.__file__).parent
    skip = shutil.ignore_patterns("__pycache__", "_protocols")
    shutil.copytree(package, site / "zeroi2v_bench", ignore=skip)
    shutil.copytree(CHECKOUT / "protocols", site / "zeroi2v_bench" / "_protocols")
    code = "from zeroi2v_bench.protocol import protocol_names as n; print(*n())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=site,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == sorted(path.stem for path in CHECKOUT.glob("protocols/*.yaml"))


def test_a_folder_of_protocols_without_a_project_beside_it_is_not_taken(tmp_path):
    (tmp_path / "protocols").mkdir()
    assert "full_digits" in protocol_names()
    assert protocol_names([tmp_path / "protocols"]) == protocol_names()


def test_the_shipped_weights_stay_small():
    weights = Path(zeroi2v_bench.__file__).parent / "backbones" / "digits.safetensors"
    assert weights.stat().st_size <= 2**20
