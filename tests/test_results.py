"""The committed tables and page are what `report` makes of the committed records."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from zeroi2v_bench.cli import main

RESULTS = Path(__file__).parents[1] / "results"
REFERENCE = RESULTS / "reference"

pytestmark = pytest.mark.skipif(
    not (REFERENCE.is_dir() and (RESULTS / "tables").is_dir()),
    reason="results/ is part of the repository only",
)


def report(*arguments):
    found = CliRunner().invoke(main, ["report", "--results", str(REFERENCE), *arguments])
    assert found.exit_code == 0, found.output
    assert found.stderr == "", "a committed record was left out"
    return found.stdout


@pytest.mark.parametrize(("fmt", "suffix"), [("markdown", ".md"), ("csv", ".csv")])
def test_committed_tables_are_made_of_the_committed_records(tmp_path, fmt, suffix):
    report("--table", "all", "--format", fmt, "--output", str(tmp_path))
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {
        path.name: path.read_text(encoding="utf-8")
        for path in (RESULTS / "tables").glob(f"*{suffix}")
    }
    assert sorted(made) == sorted(committed)
    for name, text in made.items():
        assert text == committed[name], f"{name}: run the report commands of the README again"


def test_committed_page_is_made_of_the_committed_records():
    committed = (RESULTS / "report.html").read_text(encoding="utf-8")
    assert report("--format", "html") == committed, "run the report commands of the README again"


def test_no_accuracy_on_random_weights_is_among_the_committed_tables():
    for path in (RESULTS / "tables").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            if row.get("measured.weights") == "random":
                assert not row.get("measured.top1"), (path.name, row)
