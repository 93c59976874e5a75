"""Which records a figure draws, and under which names."""

import math
import re

import pytest
from synthetic_records import record
from test_cost_cases import costs, row

from zeroi2v_bench.reports.figures import few_shot_curves, throughputs, trade_offs


def labels_of(figure):
    return re.findall(r'class="label measured">([^<]+)', figure.picture)


def few_shot(shots, changes="", **more):
    return record(shots=shots, protocol=f"fewshot_digits_{shots}shot{changes}", **more)


def curves_of(*runs):
    [figure] = [f for f in few_shot_curves(runs) if "digits" in f.caption]
    return figure.picture.count("<polyline"), labels_of(figure)


def test_the_trade_off_leaves_out_variants_of_a_method_that_is_there_and_says_so():
    plain = record(method="linear_probe", module="linear_probe")
    variant = record(method="heads_4")
    *_, alone = trade_offs([plain, variant], [])
    assert set(labels_of(alone)) == {"linear_probe", "heads_4"}
    assert not alone.note
    *_, figure = trade_offs([plain, variant, record()], [])
    assert set(labels_of(figure)) == {"linear_probe", "zeroi2v"}
    assert "ablation" in figure.note


def test_every_published_point_has_a_name_of_its_own():
    for figure in trade_offs([], []):
        names = re.findall(r'class="label published">([^<]+)', figure.picture)
        assert len(names) == len(set(names)) == figure.picture.count("<circle")


def test_one_protocol_s_draws_make_one_curve():
    assert curves_of(few_shot(4), few_shot(8)) == (1, ["zeroi2v"])


def test_a_changed_protocol_has_a_curve_of_its_own():
    count, labels = curves_of(few_shot(4), few_shot(8), few_shot(8, "+optim.epochs=3"))
    assert (count, set(labels)) == (2, {"zeroi2v", "zeroi2v +optim.epochs=3"})


def test_curves_of_several_backbones_are_told_apart():
    count, labels = curves_of(few_shot(4), few_shot(4, **{"backbone.spec": "other"}))
    assert (count, set(labels)) == (2, {"zeroi2v digits", "zeroi2v other"})


def test_changes_that_begin_alike_are_not_joined():
    one, two = "+optim.weight_decay=0.0001,seeds=0", "+optim.weight_decay=0.0001,seeds=1"
    assert curves_of(few_shot(4, one), few_shot(8, two))[0] == 2


def test_another_family_of_protocols_has_a_curve_of_its_own():
    other = record(shots=4, protocol="mine_4shot")
    assert curves_of(few_shot(4), other)[0] == 2


ODD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("gmacs", ODD)
def test_a_run_without_a_usable_cost_is_named_and_the_others_are_drawn(gmacs):
    plain = record(method="linear_probe", module="linear_probe")
    odd = record(method="aim", module="aim", **{"efficiency.gmacs_per_video": gmacs})
    *_, figure = trade_offs([plain, odd], [])
    assert labels_of(figure) == ["linear_probe"]
    assert figure.note.endswith(": aim.")


@pytest.mark.parametrize("milliseconds", [*ODD, -1.0])
def test_a_model_without_a_usable_speed_is_named_and_the_others_have_bars(milliseconds):
    timed = [row("plain", "plain", time_ms=5.0), row("aim", "plain", time_ms=milliseconds)]
    *_, figure = throughputs([costs(*timed, device="cpu")])
    assert figure.picture.count("<rect") == 1
    assert figure.note.endswith(": aim.")
    assert len(throughputs([costs(*timed[1:], device="cpu")])) == 1


def test_a_run_of_a_few_shot_protocol_without_shots_is_in_no_curve():
    odd = record(shots=None, protocol="fewshot_digits_8shot")
    assert curves_of(few_shot(4), odd) == (1, ["zeroi2v"])


def test_a_cost_that_was_counted_but_not_timed_has_no_bar():
    assert len(throughputs([costs(row("plain", "plain"))])) == 1
