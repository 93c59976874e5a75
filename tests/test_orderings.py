import pytest
from synthetic_records import record

from zeroi2v_bench.reports.orderings import verdict
from zeroi2v_bench.reports.tables import build_table


def runs(method, tops, **changes):
    return [
        record(method=method, seed=seed, **{"accuracy.top1": top}, **changes)
        for seed, top in enumerate(tops)
    ]


def pairs(*measured):
    frame = build_table("table1_orderings", [r for group in measured for r in group]).frame
    return {(row["higher"], row["lower"]): row for row in frame.to_dict("records")}


def test_an_ordering_holds_only_if_the_interval_of_the_paired_difference_leaves_out_zero():
    found = pairs(
        runs("zeroi2v", (90.0, 92.0, 88.0)),
        runs("shift_kv", (80.0, 81.0, 79.0)),
        runs("shift_qkv", (80.5, 80.0, 79.5)),
    )
    best, shift = "Rc=1/6 HR KV (STDHA)", "Rc=1/6 Shift KV"
    row = found[best, shift]
    assert row["verdict"] == "holds"
    assert row["published.gap"] == pytest.approx(1.4)
    assert row["measured.gap"] == pytest.approx(10.0)
    assert found[shift, "Rc=1/6 Shift QKV"]["verdict"] == "open: interval holds 0"
    assert len(found) == 3


def test_a_reversed_ordering_is_called_so_and_one_seed_decides_nothing():
    found = pairs(runs("zeroi2v", (80.0, 81.0, 79.0)), runs("shift_kv", (90.0, 91.0, 89.5)))
    (row,) = found.values()
    assert row["verdict"] == "reversed"
    (single,) = pairs(runs("zeroi2v", (80.0,)), runs("shift_kv", (90.0,))).values()
    assert single["verdict"] == verdict(None, 1) == "open: one seed"


def test_only_rows_of_one_part_and_number_of_frames_are_paired():
    found = pairs(
        runs("zeroi2v", (90.0, 91.0)), runs("heads_4", (89.0, 90.0)), runs("frames_4", (88.0, 88.0))
    )
    assert {row["part"] for row in found.values()} == {"1b", "1c"}
    assert len(found) == 2


def test_variants_that_the_paper_prints_equal_are_no_ordering():
    assert not pairs(runs("heads_4", (89.0, 90.0)), runs("heads_6", (80.0, 80.0)))


@pytest.mark.parametrize(
    "change",
    [
        {"protocol_version": 2},
        {"protocol_hash": "e" * 64},
        {"backbone.spec": "other", "backbone.weights_hash": "e" * 64},
    ],
)
def test_only_the_newest_runs_of_one_protocol_and_backbone_are_paired(change):
    old = runs("zeroi2v", (90.0, 91.0)), runs("shift_kv", (70.0, 71.5))
    new = {"created": "2026-02-01T00:00:00Z", **change}
    assert not pairs(old[0], runs("shift_kv", (80.0, 80.0), **new))
    newer = runs("zeroi2v", (60.0, 61.0), **new), runs("shift_kv", (80.0, 80.0), **new)
    (row,) = pairs(*newer, *old).values()
    assert row["measured.gap"] == pytest.approx(-19.5)
    assert row["measured.backbone"] == change.get("backbone.spec", "digits")


def test_runs_on_random_weights_order_nothing():
    random = {"backbone.random_weights": True}
    assert not pairs(
        runs("zeroi2v", (90.0, 91.0), **random), runs("shift_kv", (80.0, 80.0), **random)
    )


def test_runs_without_a_common_seed_are_called_so():
    other = [record(method="shift_kv", seed=7)]
    (row,) = pairs(runs("zeroi2v", (90.0,)), other).values()
    assert row["verdict"] == "open: no seed in common"
