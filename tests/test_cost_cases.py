import pytest

from zeroi2v_bench.costs.cost_records import Conditions, CostRecord, CostRow, Spread, Timing
from zeroi2v_bench.records import BackboneInfo, Efficiency, Environment
from zeroi2v_bench.reports.cost_cases import cost_cases
from zeroi2v_bench.reports.tables import build_table

B16 = "openclip:ViT-B-16-quickgelu/openai"
PLAIN_GMACS = 421.5


def timing(milliseconds):
    spread = Spread(median=milliseconds, low=milliseconds - 1, high=milliseconds + 1)
    ratio = Spread(median=1.0, low=0.99, high=1.01)
    return Timing(
        latency_ms=spread,
        latency_ratio=ratio,
        batch=4,
        videos_per_s=spread,
        best_batch=8,
        best_videos_per_s=spread,
        peak_memory_mb=100.0,
    )


def row(method, state, gmacs=PLAIN_GMACS, params=None, time_ms=None, label=None):
    costs = Efficiency(
        params=86_000_000,
        tunable_params=1,
        new_params=0,
        gmacs_per_view=gmacs / 3,
        gmacs_per_video=gmacs,
    )
    return CostRow(
        method=method,
        label=label or method,
        params=params or {},
        state=state,
        backbone=BackboneInfo(spec=B16, weights_hash="0" * 64, random_weights=True),
        image_size=224,
        costs=costs,
        timing=timing(time_ms) if time_ms else None,
    )


def costs(*rows, run_id="one", created="2026-01-01T00:00:00Z", device=None, **how):
    conditions = device and Conditions(
        device=device,
        precision="fp32",
        float32_matmul="highest",
        rounds=10,
        throughput_rounds=3,
        **{"threads": 2, "compiled": False} | how,
    )
    return CostRecord(
        run_id=run_id,
        created=created,
        num_frames=8,
        crops=1,
        clips=3,
        num_classes=400,
        conditions=conditions or None,
        rows=rows,
        environment=Environment(
            package="0", python="3", platform="Linux", device="cpu", threads=2, libraries={}
        ),
    )


ZEROI2V = (
    row("plain", "plain"),
    row("zeroi2v", "unmerged", gmacs=488.4),
    row("zeroi2v", "merged"),
)


def zeroi2v_rows(table):
    frame = table.frame
    return frame[(frame["method"] == "ZeroI2V") & frame["measured.gflops"].notna()]


def test_the_merged_model_stands_beside_the_paper_and_the_unmerged_does_not():
    found = zeroi2v_rows(build_table("table3_k400", [], [costs(*ZEROI2V)]))
    assert list(found["measured.gflops"]) == [PLAIN_GMACS]
    assert list(found["measured.extra_gflops"]) == [0.0]
    assert list(found["measured.weights"]) == ["random"]


def test_extra_gflops_are_over_the_plain_model_of_the_same_backbone_and_views():
    frame = build_table("costs", [], [costs(*ZEROI2V)]).frame
    assert list(frame["state"]) == ["plain", "unmerged", "merged"]
    assert list(frame["measured.extra_gflops"]) == pytest.approx([0, 66.9, 0])


def test_another_variant_of_a_method_is_not_set_beside_a_published_row():
    wide = costs(row("st_adapter", "as trained", params={"places": ["attn", "mlp"]}))
    assert build_table("table3_k400", [], [wide]).num_measured == 0


def test_an_ablation_that_was_asked_for_is_not_the_method_of_the_paper():
    label = 'zeroi2v {"adapters": ["fc2"]}'
    fewer = costs(row("zeroi2v", "merged", params={"adapters": ["fc2"]}, label=label))
    assert build_table("table3_k400", [], [fewer]).num_measured == 0


def test_the_newest_count_of_a_model_is_used():
    old = costs(row("zeroi2v", "merged", gmacs=1.0))
    new = costs(row("zeroi2v", "merged"), run_id="two", created="2026-02-01T00:00:00Z")
    found = zeroi2v_rows(build_table("table3_k400", [], [new, old]))
    assert list(found["measured.gflops"]) == [PLAIN_GMACS]


def test_times_on_two_devices_are_two_rows_and_counts_alone_give_way_to_them():
    counted = costs(row("zeroi2v", "merged"))
    timed = [
        costs(row("zeroi2v", "merged", time_ms=t), run_id=device, device=device)
        for device, t in (("cpu: A", 30.0), ("cuda:0: B", 3.0))
    ]
    table = build_table("table5_latency", [], [counted, *timed])
    found = zeroi2v_rows(table)
    found = found[found["dataset"] == "kinetics400"]
    assert list(found["measured.latency_ms"]) == [30.0, 3.0]
    assert list(found["measured.device"]) == ["cpu: A, 2 threads", "cuda:0: B"]
    assert list(found["published.latency_ms"]) == ["28.89", "28.89"]
    assert len(cost_cases([counted, *timed], timed=False)) == 1


def test_the_second_plain_model_is_no_case_of_its_own():
    cases = cost_cases([costs(row("plain", "plain"), row("plain", "plain again"))], timed=True)
    assert [case.row.state for case in cases] == ["plain"]


def test_times_under_other_conditions_look_different():
    hows = ({}, {"threads": 8}, {"compiled": True})
    timed = [
        costs(row("zeroi2v", "merged", time_ms=1.0), run_id=str(k), device="cpu: A", **how)
        for k, how in enumerate(hows)
    ]
    assert list(build_table("costs", [], timed).frame["measured.device"]) == [
        "cpu: A, 2 threads",
        "cpu: A, 8 threads",
        "cpu: A, 2 threads, compiled",
    ]


def test_variants_are_told_apart_among_the_costs():
    label = 'st_adapter {"places": ["attn", "mlp"]}'
    wide = row("st_adapter", "as trained", params={"places": ["attn", "mlp"]}, label=label)
    plain = row("st_adapter", "as trained", params={"places": ["attn"]})
    frame = build_table("costs", [], [costs(plain, wide)]).frame
    assert list(frame["method"]) == ["st_adapter", label]
