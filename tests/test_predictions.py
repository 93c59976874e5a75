import gzip

import pytest
from synthetic_records import record, write_run

from zeroi2v_bench.errors import BenchError, RecordError
from zeroi2v_bench.records import predictions_path
from zeroi2v_bench.reports.class_report import class_report
from zeroi2v_bench.reports.pairing import compare_pair, over_seeds, pair_up
from zeroi2v_bench.reports.plots import confusion_picture
from zeroi2v_bench.reports.predictions import (
    confusion_counts,
    find_runs,
    most_confused,
    per_class,
    predictions_of,
    read_predictions,
    record_file,
)

LABELS = [0, 0, 0, 1, 1, 2]
BEST = [0, 1, 1, 1, None, 0]


def written(root, best=BEST, **changes):
    made = write_run(root, best, LABELS, **changes)
    return made, read_predictions(record_file(made, [root]))


def test_predictions_are_read_back_as_they_were_written(tmp_path):
    _, clips = written(tmp_path)
    assert [clip.clip_id for clip in clips] == [f"clip{k}" for k in range(6)]
    assert [clip.top[:1] for clip in clips] == [(0,), (1,), (1,), (1,), (), (0,)]
    assert [clip.correct for clip in clips] == [True, False, False, True, False, False]
    assert clips[4].status == "unreadable"


def test_class_counts_sum_to_the_run(tmp_path):
    _, clips = written(tmp_path)
    rows = per_class(clips, 3)
    assert [row.num_clips for row in rows] == [3, 2, 1]
    assert sum(row.num_correct for row in rows) == sum(clip.correct for clip in clips)
    assert rows[0].taken_for == ((1, 2),)
    assert most_confused(clips) == [(0, 1, 2), (2, 0, 1)]


def test_class_report_names_classes_and_clips_without_prediction(tmp_path):
    made, clips = written(tmp_path)
    text = class_report(made, clips)
    assert "class 1 2" in text
    assert "1 clips have no prediction" in text


def test_missing_or_damaged_predictions_are_one_clear_line(tmp_path):
    made, _ = written(tmp_path)
    path = record_file(made, [tmp_path])
    beside = path.with_suffix(".predictions.csv.gz")
    beside.write_bytes(beside.read_bytes()[:-20])
    with pytest.raises(RecordError, match="damaged predictions"):
        read_predictions(path)
    beside.unlink()
    with pytest.raises(RecordError, match="no predictions beside the record"):
        read_predictions(path)


@pytest.mark.parametrize("damage", [b"\x1f\x8b\x08" + bytes(30), b"nothing zipped"])
def test_bytes_that_cannot_be_unzipped_are_damaged_predictions(tmp_path, damage):
    made, _ = written(tmp_path)
    predictions_path(record_file(made, [tmp_path])).write_bytes(damage)
    with pytest.raises(RecordError, match="damaged predictions"):
        predictions_of(made, [tmp_path])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a,0,ok,0,1\n", "1 rows, but the record has 6"),
        ("a,0,ok,9,1\n" * 6, "class beyond the record's 3"),
        ("a,-1,ok,0,1\n" * 6, "class beyond the record's 3"),
        ("a,0\n" * 6, "damaged predictions"),
        ("a" * 200_000, "damaged predictions"),
    ],
    ids=["rows", "class", "label", "cells", "field"],
)
def test_predictions_that_are_not_the_records_are_refused(tmp_path, rows, problem):
    made, _ = written(tmp_path)
    text = f"clip_id,label,status,top,scores\n{rows}"
    path = predictions_path(record_file(made, [tmp_path]))
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(RecordError, match=problem):
        predictions_of(made, [tmp_path])


def test_a_run_is_found_by_id_beginning_file_or_method():
    one, two = record(), record(method="linear_probe")
    for name in (one.run_id, one.run_id[:-3], f"full_digits/{one.run_id}", "zeroi2v"):
        assert find_runs(name, [one, two]) == [one]
    assert find_runs(f"results/local/full_digits/{one.run_id}.json", [one, two]) == [one]


def test_an_unknown_run_lists_methods_and_a_shared_beginning_lists_ids():
    runs = [record(seed=1), record(seed=2)]
    with pytest.raises(RecordError, match="methods on record: zeroi2v"):
        find_runs("nothing", runs)
    with pytest.raises(RecordError, match="may be any of 2 runs"):
        find_runs("zeroi2v-s", runs)


def test_paired_difference_counts_the_clips_that_one_run_alone_has_right(tmp_path):
    a, _ = written(tmp_path)
    b, _ = written(tmp_path, best=[1, 0, 1, 1, 1, 2], method="linear_probe")
    found = compare_pair(a, b, [tmp_path]).difference
    assert (found.both, found.only_a, found.only_b) == (1, 1, 3)
    assert found.points == pytest.approx(100 * (2 - 4) / 6)


def test_runs_on_different_clips_are_refused(tmp_path):
    a, _ = written(tmp_path)
    b, _ = written(tmp_path, method="linear_probe", splits_fingerprint="e" * 64)
    with pytest.raises(RecordError, match="not on the same clips"):
        compare_pair(a, b, [tmp_path])


def test_methods_are_paired_by_protocol_and_seed(tmp_path):
    ours = [record(seed=s) for s in (0, 1, 2)]
    theirs = [record(seed=s, method="linear_probe") for s in (2, 1)]
    assert [(a.seed, b.seed) for a, b in pair_up(ours, theirs)] == [(1, 1), (2, 2)]
    with pytest.raises(RecordError, match="no pair of equal protocol"):
        pair_up(ours, [record(seed=7), record(seed=8)])


def test_interval_over_seeds_needs_more_than_one_pair(tmp_path):
    a, _ = written(tmp_path)
    assert over_seeds([compare_pair(a, a, [tmp_path])]) is None


def test_confusion_picture_is_drawn_in_the_format_asked_for(tmp_path):
    made, clips = written(tmp_path)
    counts = confusion_counts(clips)
    drawn = confusion_picture(counts, made.class_names, title="A", suffix=".png")
    assert drawn.startswith(b"\x89PNG")
    with pytest.raises(BenchError, match=r"picture format '\.gif'"):
        confusion_picture(counts, made.class_names, title="A", suffix=".gif")
