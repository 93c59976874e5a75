import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from synthetic_records import record, write_run

from zeroi2v_bench.cli import main
from zeroi2v_bench.records import append_record

MINE = "title: Mine\ncolumns: [method, measured.top1]\n"


@pytest.fixture
def results(tmp_path):
    root = tmp_path / "results"
    for seed in (0, 1, 2):
        append_record(record(seed=seed), root)
    return root


def report(results, *arguments):
    return CliRunner().invoke(main, ["report", "--results", str(results), *arguments])


def test_report_prints_the_runs_and_their_mean(results):
    found = report(results)
    assert found.exit_code == 0
    assert found.stdout.count("| zeroi2v |") == 4
    assert "Means over seeds" in found.stdout


def test_broken_records_are_listed_and_the_rest_is_reported(results):
    folder = results / "full_digits"
    good = next(folder.glob("*.json"))
    data = json.loads(good.read_text())
    (folder / "truncated.json").write_text(good.read_text()[:200])
    (folder / "newer.json").write_text(json.dumps(data | {"schema_version": 99}))
    (folder / "doubled.json").write_text(good.read_text())
    (folder / "odd.json").write_text(json.dumps(data | {"run_id": "odd", "surprise": 1}))
    found = report(results, "--table", "runs")
    assert found.exit_code == 0
    assert found.stdout.count("| zeroi2v |") == 3
    lines = found.stderr.splitlines()
    assert len(lines) == 4
    for name, problem in (
        ("truncated.json", "damaged"),
        ("newer.json", "schema 99 is newer"),
        ("odd.json", "surprise: unknown key"),
        (".json", "same run id"),
    ):
        assert any(name in line and problem in line for line in lines), problem


def test_a_table_that_cannot_be_built_does_not_stop_the_others(results, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE.replace("top1", "topp1"))
    found = report(results, "--table", "nosuch", "--table", str(mine), "--table", "runs")
    assert found.exit_code == 1
    assert found.stdout.count("| zeroi2v |") == 3
    unknown, column = found.stderr.splitlines()
    assert "unknown table 'nosuch'" in unknown
    assert "unknown column 'measured.topp1'" in column


def test_all_tables_and_one_of_ones_own_may_be_asked_for_together(results, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE)
    found = report(results, "--table", "all", "--table", str(mine), "--table", "runs")
    assert found.exit_code == 0
    assert found.stdout.count("## Mine") == found.stdout.count("## Runs\n") == 1


def test_a_folder_without_records_is_said_to_be_empty(tmp_path):
    found = report(tmp_path)
    assert found.exit_code == 0
    assert found.stderr == f"no records under {tmp_path}\n"


def test_several_csv_tables_in_one_stream_carry_their_names(results):
    assert report(results, "--table", "runs", "--format", "csv").stdout.startswith("protocol,")
    lines = report(results, "--format", "csv").stdout.splitlines()
    assert [line for line in lines if line.startswith("#")] == ["# runs", "# seeds"]


@pytest.mark.parametrize(
    "options",
    [
        ["--picture", "confusion.svg"],
        ["--classes", "zeroi2v", "--table", "runs"],
        ["--classes", "zeroi2v", "--format", "csv"],
    ],
)
def test_options_that_would_go_unheard_are_refused_in_one_line(results, options):
    found = report(results, *options)
    assert found.exit_code == 1
    assert "--classes" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_filters_leave_out_other_runs(results):
    append_record(record(method="linear_probe"), results)
    assert "linear_probe" not in report(results, "--method", "zero*").stdout
    assert "| zeroi2v" not in report(results, "--method", "linear_probe").stdout


def test_a_folder_as_output_gets_one_file_per_table(results, tmp_path):
    folder = tmp_path / "tables"
    assert report(results, "--output", str(folder)).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["runs.md", "seeds.md"]
    assert report(results, "--format", "csv", "--output", str(folder)).exit_code == 0
    assert (folder / "runs.csv").read_text().startswith("protocol,method,")


def test_a_run_by_class_with_its_picture(results, tmp_path):
    made = write_run(results, [0, 1, 1], [0, 0, 1], method="aim")
    picture = tmp_path / "confusion.svg"
    found = report(results, "--classes", made.run_id, "--picture", str(picture))
    assert found.exit_code == 0
    assert "| class 0 |" in found.stdout
    assert "<svg" in picture.read_text()
    file = tmp_path / "classes.md"
    written = report(results, "--classes", made.run_id, "--output", str(file))
    assert not written.stdout
    assert file.read_text() == found.stdout


def test_compare_prints_the_pair_and_refuses_other_clips(results):
    write_run(results, [0, 1, 1], [0, 0, 1], method="aim")
    write_run(results, [0, 0, 1], [0, 0, 1], method="lora")
    write_run(results, [0, 0, 1], [0, 0, 1], method="other", splits_fingerprint="9" * 64)
    run = CliRunner()
    found = run.invoke(main, ["compare", "aim", "lora", "--results", str(results)])
    assert found.exit_code == 0
    assert "-33.3" in found.stdout
    refused = run.invoke(main, ["compare", "aim", "other", "--results", str(results)])
    assert refused.exit_code == 1
    assert "not on the same clips" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def compared(results, a, b):
    found = CliRunner().invoke(main, ["compare", a, b, "--results", str(results)])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_seeds_of_two_protocol_versions_or_backbones_are_not_averaged(tmp_path):
    second = {"protocol_version": 2, "protocol_hash": "e" * 64}
    other = {"backbone.spec": "other", "backbone.random_weights": True}
    for changes in ({}, second, other):
        for seed in (0, 1):
            for method, best in (("aim", [0, 1, 1]), ("lora", [0, 0, seed])):
                write_run(tmp_path, best, [0, 0, 1], method=method, seed=seed, **changes)
    text = compared(tmp_path, "aim", "lora")
    assert text.count("2 seeds: A - B") == 3
    assert "full_digits v2 #eeeeeeee\nA: aim, digits\nB: lora, digits\n" in text
    assert "A: aim, other, random weights" in text


def test_pairs_are_listed_by_seed_whenever_they_were_run(tmp_path):
    for day, seed in enumerate((1, 0, 2), start=1):
        for method in ("aim", "lora"):
            created = f"2026-01-0{day}T00:00:00Z"
            write_run(tmp_path, [0, 1, 1], [0, 0, 1], method=method, seed=seed, created=created)
    rows = re.findall(r"^\| +(\d) \|", compared(tmp_path, "aim", "lora"), re.MULTILINE)
    assert rows == ["0", "1", "2"]


def test_two_seeds_of_a_pair_are_both_named(tmp_path):
    runs = [write_run(tmp_path, [0, seed, 1], [0, 0, 1], seed=seed) for seed in (0, 1)]
    assert "0 against 1" in compared(tmp_path, *(run.run_id for run in runs))


def test_report_imports_no_torch_pandas_scipy_or_matplotlib(results):
    code = (
        "import sys; from zeroi2v_bench.cli import main\n"
        f"try: main(['report', '--results', {str(results)!r}, '--table', 'runs'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.splitlines()[-1] == "[]"
