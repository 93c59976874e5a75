import pytest
from click.testing import CliRunner

from zeroi2v_bench.cli import main
from zeroi2v_bench.cli.reproduce import reproducible
from zeroi2v_bench.protocol import load_protocol
from zeroi2v_bench.reports.published import load_table

MINE = """
title: Mine
rows: costs
columns: [method, state, backbone, views, measured.gflops]
reproduce:
  measure:
    - {frames: [8], crops: 1, clips: 1, classes: 8, backbones: [digits],
       methods: [{method: zeroi2v}]}
  run: [{protocol: full_k400_8f}]
"""


def test_the_papers_tables_say_how_to_reproduce_them():
    assert {"table1_ablation", "table3_k400", "table4_ssv2", "table5_latency"} <= set(
        reproducible()
    )


@pytest.mark.parametrize("name", reproducible())
def test_every_run_of_a_reproduction_is_a_row_of_its_protocol(name):
    for step in load_table(name)[0].reproduce.run:
        protocol = load_protocol(step.protocol)
        assert set(step.methods) <= set(protocol.methods)


def test_counts_are_taken_and_runs_without_data_are_named(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE)
    results = ["--results", str(tmp_path / "results")]
    found = CliRunner().invoke(main, ["reproduce", str(mine), *results])
    assert found.exit_code == 0, found.output
    assert "| zeroi2v | merged   | digits   | 8x1x1 |" in found.stdout
    assert "left out: full_k400_8f needs --data-root" in found.stderr


def test_the_data_root_is_not_for_embedded_datasets(tmp_path, monkeypatch):
    given = []

    def run_all(jobs, execution, *, results, data_root):
        given.extend((protocol.name, data_root) for protocol, _, _ in jobs)
        return [], []

    monkeypatch.setattr("zeroi2v_bench.cli.run.run_all", run_all)
    mine = tmp_path / "mine.yaml"
    run = "run: [{protocol: full_k400_8f}, {protocol: full_digits}]"
    mine.write_text(MINE.replace("run: [{protocol: full_k400_8f}]", run))
    results = ["--results", str(tmp_path / "results")]
    root = ["--data-root", str(tmp_path)]
    done = CliRunner().invoke(main, ["reproduce", str(mine), *results, *root])
    assert done.exit_code == 0, done.output
    assert set(given) == {("full_digits", None), ("full_k400_8f", tmp_path)}


def test_a_table_without_a_recipe_lists_those_with_one():
    found = CliRunner().invoke(main, ["reproduce", "runs"])
    assert found.exit_code == 1
    assert "known: " in found.stderr
    assert "table3_k400" in found.stderr
