"""`measure`: rows, conditions and records, from the command line and from Python."""

import json

import pytest
from click.testing import CliRunner
from decode_clips import write_clip

from zeroi2v_bench.cli import main
from zeroi2v_bench.costs import side_by_side, timing
from zeroi2v_bench.costs.cost_records import append_costs, load_costs
from zeroi2v_bench.costs.measuring import Case, measure
from zeroi2v_bench.costs.side_by_side import Plan
from zeroi2v_bench.data import loader
from zeroi2v_bench.errors import BenchError, ProtocolError, RecordError, UnknownNameError
from zeroi2v_bench.records import load_records
from zeroi2v_bench.reports.cost_cases import cost_cases
from zeroi2v_bench.reports.cost_table import show_costs

SMALL = Case(num_frames=2, clips=1, num_classes=3)
METHODS = [("zeroi2v", {}), ("st_adapter", {"adapter_width": 8}), ("aim", {})]


def invoke(*arguments):
    return CliRunner().invoke(main, ["measure", *map(str, arguments)])


def test_counts_have_a_row_for_every_state_of_every_method(tmp_path):
    done = invoke("--counts-only", "--format", "json", "--results", tmp_path, "--crops", 3)
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    states = [(row["method"], row["state"]) for row in record["rows"]]
    assert states == [
        ("plain", "plain"),
        ("zeroi2v", "unmerged"),
        ("zeroi2v", "merged"),
        ("st_adapter", "as trained"),
        ("aim", "as trained"),
    ]
    plain, unmerged, merged = (row["costs"] for row in record["rows"][:3])
    assert plain["gmacs_per_view"] == merged["gmacs_per_view"] < unmerged["gmacs_per_view"]
    assert merged["gmacs_per_video"] == pytest.approx(9 * merged["gmacs_per_view"])
    assert merged["tunable_params"] == unmerged["tunable_params"]
    assert record["conditions"] is None
    (path,) = (tmp_path / "costs").glob("*.json")
    assert json.loads(path.read_text()) == record
    assert load_records([tmp_path]) == ([], [])


def test_times_stand_beside_a_second_plain_row_and_name_their_conditions(monkeypatch):
    monkeypatch.setattr(timing, "TURN_S", 0.0)
    monkeypatch.setattr(timing, "WARM_UP_S", 0.0)
    record = measure(METHODS, ["digits"], case=SMALL, plan=Plan(rounds=6, batch=1, max_batch=2))
    assert [row.state for row in record.rows][:2] == ["plain", "plain again"]
    for row in record.rows:
        times = row.timing
        assert times.latency_ms.low <= times.latency_ms.median <= times.latency_ms.high
        assert times.latency_ratio.low <= times.latency_ratio.median <= times.latency_ratio.high
        assert row.costs.latency_ms == times.latency_ms.median
        assert times.videos_per_s.median > 0
        assert (times.batch, times.best_batch) == (1, 2)
        assert times.peak_memory_mb > 4 * row.costs.params / 1e6
    ratio = record.rows[0].timing.latency_ratio
    assert (ratio.low, ratio.high) == (1.0, 1.0)
    text = show_costs(record)
    for word in ("GFLOPs (paper)", "fp32", "not compiled", "no decoding", "6 interleaved rounds"):
        assert word in text


def test_reading_a_file_can_be_part_of_the_time(monkeypatch, tmp_path):
    monkeypatch.setattr(timing, "TURN_S", 0.0)
    monkeypatch.setattr(timing, "WARM_UP_S", 0.0)
    clip = write_clip(tmp_path / "clip.mp4", frames=5)
    read = []
    monkeypatch.setattr(
        side_by_side,
        "read_test_views",
        lambda *args: read.append(args) or loader.read_test_views(*args),
    )
    case = Case(num_frames=2, clips=2, crops=3, num_classes=3)
    plan = Plan(rounds=6, batch=2, max_batch=2, video=clip)
    record = measure([], ["digits"], case=case, plan=plan)
    # Two models: 1 + 1 warm-up calls and 6 rounds of one video; 2 + 3 of two videos at a time.
    assert len(read) == 2 * (8 + 2 * 5)
    assert record.conditions.with_decode
    assert "clip.mp4 (h264, 128 x 48, 5 frames) decoded" in show_costs(record)
    (case,) = cost_cases([record], timed=True)
    assert case.behind()["device"].endswith(", with decoding")


def test_two_backbones_are_each_compared_with_their_own_plain_model():
    record = measure(["lora"], ["digits", "digits"])
    assert [row.state for row in record.rows] == 2 * ["plain", "unmerged", "merged"]


def test_parameters_of_a_method_are_given_and_recorded(tmp_path):
    text = "st_adapter {places: [attn, mlp], adapter_width: 4}"
    done = invoke("--counts-only", "--method", text, "--format", "json", "--results", tmp_path)
    row = json.loads(done.stdout)["rows"][1]
    assert row["params"]["adapter_width"] == 4
    assert row["label"] == 'st_adapter {"places": ["attn", "mlp"], "adapter_width": 4}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "nothing"], "unknown method 'nothing'"),
        (["--method", "aim {ratio: 2}"], "ratio: unknown key"),
        (["--method", "aim [1]"], "expected NAME"),
        (["--method", "aim {a: 1, a: 2}"], "given twice"),
        (["--backbone", "nowhere:x"], "unknown backbone"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path):
    done = invoke("--counts-only", "--results", tmp_path, *arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "costs").exists()


def test_a_plan_that_cannot_be_met_is_refused():
    with pytest.raises(BenchError, match="interval of a median needs 6"):
        Plan(rounds=5)
    with pytest.raises(BenchError, match="below the 4 fixed"):
        Plan(batch=4, max_batch=2)
    with pytest.raises(BenchError, match="device 'abacus' cannot be used"):
        Plan(device="abacus")


def test_python_callers_get_the_same_errors():
    with pytest.raises(UnknownNameError):
        measure(["nothing"], ["digits"])
    with pytest.raises(ProtocolError):
        measure([("aim", {"ratio": 2})], ["digits"])


def test_cost_records_are_written_once_and_damage_is_reported(tmp_path):
    record = measure([], ["digits"], case=SMALL)
    path = append_costs(record, tmp_path)
    with pytest.raises(RecordError, match="never rewritten"):
        append_costs(record, tmp_path)
    (path.parent / "broken.json").write_text(path.read_text()[:100])
    records, problems = load_costs([tmp_path])
    assert records == [record]
    assert len(problems) == 1
    assert "broken.json" in problems[0]
