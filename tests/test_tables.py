import csv
import io

import pytest
from synthetic_records import record

from zeroi2v_bench.reports.columns import COLUMNS, significant
from zeroi2v_bench.reports.tables import build_table, latest, plain, render, runs_table


def markdown_rows(text):
    lines = [line.strip("|").split("|") for line in text.splitlines()]
    return [[cell.strip() for cell in line] for line in lines]


def test_runs_table_prints_numbers_with_their_units():
    titles, _, row = markdown_rows(render(runs_table([record()]), "markdown"))
    cells = dict(zip(titles, row, strict=True))
    assert cells["top-1 (%)"] == "87.2"
    assert cells["tunable parameters"] == "14,201,856"
    assert cells["GMACs before merging"] == "488.6"
    assert cells["GMACs after merging"] == "421.5"
    assert cells["merge error (fp32)"] == "1.3e-06"
    assert cells["time (s)"] == "72.5"


def test_protocol_backbone_and_seed_appear_only_where_they_vary():
    one = runs_table([record()])
    assert not {"protocol", "backbone", "seed"} & set(one)
    seeds = runs_table([record(), record(seed=1)])
    assert "seed" in seeds
    assert "protocol" not in seeds


@pytest.mark.parametrize("table", ["runs", "intervals"])
def test_what_two_runs_were_measured_with_is_shown_where_it_differs(table):
    other = {"protocol_version": 2, "decoder": "decord 0.6", "environment.device": "cuda:0: B"}
    shown = set(build_table(table, [record(), record(seed=1, **other)]).columns)
    assert {"protocol_version", "decoder", "device"} <= shown
    assert "protocol_hash" not in shown


@pytest.mark.parametrize("change", [{"backbone.random_weights": True}, {"decoder": "decord 0.6"}])
def test_the_ablation_says_what_is_unusual_behind_a_row(change):
    runs = [record(), record(method="shift_kv", **change)]
    columns = set(build_table("table1_ablation", runs).columns)
    assert ("measured.decoder" in columns) == ("decoder" in change)
    assert ("measured.weights" in columns) == ("decoder" not in change)


def test_random_weights_and_missing_clips_are_marked():
    frame = runs_table([record(**{"backbone.random_weights": True, "accuracy.num_clips": 399})])
    assert list(frame["weights"]) == ["random"]
    assert list(frame["coverage"]) == ["399/400"]


def test_a_run_without_expected_clips_has_no_interval():
    empty = record(**{"accuracy.num_clips": 0, "accuracy.num_expected": 0})
    assert COLUMNS["wilson"].read(empty) == ""


def test_csv_keeps_raw_numbers_under_machine_names():
    row = next(csv.DictReader(io.StringIO(render(runs_table([record()]), "csv"))))
    assert float(row["top1"]) == 87.25
    assert int(row["tunable_params"]) == 14_201_856


def test_newest_record_of_a_key_wins_and_it_is_said():
    old = record(**{"run_id": "old", "accuracy.top1": 10.0})
    new = record(run_id="new", created="2026-02-01T00:00:00Z")
    kept, lines = latest([new, old])
    assert [r.run_id for r in kept] == ["new"]
    assert len(lines) == 1
    assert "newest of 2" in lines[0]


def test_a_cell_cannot_steer_a_terminal_or_start_a_tag():
    text = render(runs_table([record(method="\x1b[31mred<b>")]), "markdown")
    assert "\x1b" not in text
    assert "[31mred&lt;b>" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("{1*1, -1*1}", r"{1\*1, -1\*1}"),
        ("a`b`", r"a\`b\`"),
        ("[a](b)", r"[a]\(b)"),
        ("method [1,2]", "method [1,2]"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_markdown_shows_a_cell_as_it_is_written(text, escaped):
    assert plain(text) == escaped
    assert text in render(runs_table([record(method=text)]), "csv")


def test_a_cell_with_pipes_and_newlines_stays_one_cell():
    text = render(runs_table([record(method="a|b\nc")]), "markdown")
    assert len(text.splitlines()) == 3
    assert "a\\|b c" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(11208.4, "11208"), (421.5, "421.5"), (0.042171, "0.04217"), (0.0, "0"), (1.0, "1.000")],
)
def test_significant_digits_never_use_an_exponent(value, text):
    assert significant(value) == text
