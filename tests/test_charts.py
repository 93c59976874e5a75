import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zeroi2v_bench.reports.charts import Bar, Curve, Point, bars, bubbles, colours, curves, spelling
from zeroi2v_bench.reports.labels import Mark, place_labels
from zeroi2v_bench.reports.svg_axes import Frame, round_ticks, spread_out


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


@given(st.sets(st.text("abcdefgh", min_size=1), max_size=20))
def test_the_colour_of_zeroi2v_is_no_other_method_s(others):
    palette = colours(["ZeroI2V", *others])
    assert [slug for slug, colour in palette.items() if colour == "s0"] == ["zeroi2v"]


def point(**changes):
    values = {"x": 0.0, "y": 80.0, "size": 0.0, "method": "A", "label": "A", "detail": "a"}
    return Point(**values | {"measured": False} | changes)


@pytest.mark.parametrize("x", [0.0, 5e-324, 0.003, 3425.0, -5.0])
def test_bubbles_lie_inside_the_picture(x):
    drawn = bubbles([point(), point(x=x, y=87.0, size=58.0)], {"a": "s0"}, "T")
    centres = re.findall(r'cx="([-0-9.]+)" cy="([-0-9.]+)"', drawn)
    assert len(centres) == 2
    assert all(0 < float(cx) < 460 and 0 < float(cy) < 340 for cx, cy in centres)


def labels_of(drawn):
    found = re.findall(r'<text x="([-0-9.]+)" y="([-0-9.]+)"[^>]*class="label [^>]*>([^<]+)', drawn)
    return {words: (float(x), float(y)) for x, y, words in found}


places = st.tuples(st.sampled_from([0.0, 0.003, 0.03]) | st.floats(0, 10), st.floats(30, 100))


@settings(deadline=None)
@given(st.lists(places, min_size=1, max_size=12, unique=True))
def test_every_point_has_a_label(found):
    points = [point(x=x, y=y, label=f"label {k}") for k, (x, y) in enumerate(found)]
    assert set(labels_of(bubbles(points, {"a": "s0"}, "T"))) == {p.label for p in points}


@settings(deadline=None)
@given(st.lists(st.integers(30, 100), min_size=2, max_size=12, unique=True))
def test_labels_of_points_above_each_other_stand_in_a_column_in_their_order(heights):
    points = [point(x=0.0, y=y, label=f"at {y!r}") for y in heights]
    labels = labels_of(bubbles([*points, point(x=9.0, y=99.0)], {"a": "s0"}, "T"))
    column = [labels[p.label] for p in sorted(points, key=lambda p: -p.y)]
    assert len({x for x, _ in column}) == 1
    assert all(above[1] + 13 <= below[1] for above, below in itertools.pairwise(column))


@example([(401.0, 60.0), (401.0, 60.0)])
@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(60, 440), st.floats(60, 280)), min_size=2, max_size=8))
def test_a_label_without_a_line_is_nearest_to_its_own_point(found):
    frame = Frame(left=46, right=448, top=40, bottom=296, place_x=float, place_y=float)
    marks = [Mark(x, y, 5.0, 40.0) for x, y in found]
    for mark, box in zip(marks, place_labels(marks, frame), strict=True):
        others = [other.distance(box) for other in marks if other is not mark]
        assert mark.needs_leader(box) or mark.distance(box) < min(others)


def test_bars_of_one_method_have_its_colour_whatever_they_are_called():
    bar = Bar(method="ZeroI2V", label="ZeroI2V 8x3", value=40.1, measured=False)
    assert 'class="bar published s0"' in bars([bar], colours([bar.method, "EVL"]), "T")


def test_long_labels_of_curves_end_inside_the_picture():
    curve = Curve(label="a" * 40, measured=True, points=((4, 50.0, None, None),))
    [(words, (x, _))] = labels_of(curves([curve], colours([curve.label]), "T")).items()
    assert x + 8.2 * len(words) < 460


def test_charts_describe_themselves_to_readers_who_cannot_see_them():
    drawn = bars(
        [Bar(method="A", label="A", value=40.08, measured=False)], {"a": "s0"}, "Throughput"
    )
    assert 'role="img"' in drawn
    assert "<desc>A 40.1</desc>" in drawn


def test_curves_draw_intervals_only_where_there_are_several_seeds():
    many = Curve(label="A", measured=True, points=((4, 50.0, 45.0, 55.0), (8, 60.0, 55.0, 65.0)))
    one = Curve(label="B", measured=True, points=((4, 50.0, None, None),))
    drawn = curves([many, one], {"a": "s0", "b": "s1"}, "T")
    assert drawn.count("whisker") == 2


def test_points_of_one_accuracy_still_stand_on_an_axis_with_several_ticks():
    assert round_ticks(87.25, 87.25) == [86.0, 86.5, 87.0, 87.5, 88.0, 88.5]


def test_a_single_k_and_equal_values_still_make_a_picture():
    one = Curve(label="A", measured=False, points=((2, 50.0, None, None),))
    assert "polyline" in curves([one], {"a": "s0"}, "T")
