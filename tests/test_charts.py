import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroi2v_bench.reports.charts import Bar, Curve, Point, bars, bubbles, colours, curves, spelling
from zeroi2v_bench.reports.svg_axes import round_ticks, spread_out


@given(
    st.floats(-1e6, 1e6), st.floats(1e-3, 1e6).filter(lambda span: span == span), st.integers(2, 8)
)
def test_ticks_enclose_the_range_and_are_few(low, span, count):
    ticks = round_ticks(low, low + span, count)
    assert ticks[0] <= low + 1e-6 * span
    assert ticks[-1] >= low + span - 1e-6 * span
    assert 2 <= len(ticks) <= count + 3
    assert ticks == sorted(ticks)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=10))
def test_labels_that_were_spread_out_keep_order_and_distance(positions):
    moved = spread_out(positions, 13, 0, 300)
    order = sorted(range(len(positions)), key=lambda k: positions[k])
    steps = [moved[b] - moved[a] for a, b in itertools.pairwise(order)]
    assert all(step >= 13 - 1e-6 for step in steps)
    assert max(moved) <= 300


def test_one_method_has_one_colour_in_every_spelling():
    palette = colours(["st_adapter", "ST-Adapter", "AIM", "ZeroI2V", "zeroi2v"])
    assert palette[spelling("ZeroI2V")] == "s0"
    assert len(palette) == 3


def point(**changes):
    values = {"x": 0.0, "y": 80.0, "size": 0.0, "method": "A", "label": "A", "detail": "a"}
    return Point(**values | {"measured": False} | changes)


@pytest.mark.parametrize("x", [0.0, 0.003, 3425.0, -5.0])
def test_bubbles_lie_inside_the_picture(x):
    drawn = bubbles([point(), point(x=x, y=87.0, size=58.0)], {"a": "s0"}, "T")
    centres = re.findall(r'cx="([-0-9.]+)" cy="([-0-9.]+)"', drawn)
    assert len(centres) == 2
    assert all(0 < float(cx) < 460 and 0 < float(cy) < 340 for cx, cy in centres)


def test_charts_describe_themselves_to_readers_who_cannot_see_them():
    drawn = bars([Bar(label="A", value=40.08, measured=False)], {"a": "s0"}, "Throughput")
    assert 'role="img"' in drawn
    assert "<desc>A 40.1</desc>" in drawn


def test_curves_draw_intervals_only_where_there_are_several_seeds():
    many = Curve(method="A", measured=True, points=((4, 50.0, 45.0, 55.0), (8, 60.0, 55.0, 65.0)))
    one = Curve(method="B", measured=True, points=((4, 50.0, None, None),))
    drawn = curves([many, one], {"a": "s0", "b": "s1"}, "T")
    assert drawn.count("whisker") == 2


def test_points_of_one_accuracy_still_stand_on_an_axis_with_several_ticks():
    assert round_ticks(87.25, 87.25) == [86.0, 86.5, 87.0, 87.5, 88.0, 88.5]


def test_a_single_k_and_equal_values_still_make_a_picture():
    one = Curve(method="A", measured=False, points=((2, 50.0, None, None),))
    assert "polyline" in curves([one], {"a": "s0"}, "T")
