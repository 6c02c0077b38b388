"""Charts keep what the numbers say: order, extremes, gaps, and everything inside the picture."""

import math
import re

import pytest

from duet_rl.generate.charts import (
    HEIGHT,
    WIDTH,
    Curve,
    curve_chart,
    interval_chart,
    nice_ticks,
    number,
)
from duet_rl.metrics.bootstrap import Interval


def lines_of(chart: str) -> list[list[tuple[float, float]]]:
    """Return the points of every polyline."""
    return [
        [tuple(map(float, pair.split(","))) for pair in points.split()]
        for points in re.findall(r'<polyline[^>]* points="([^"]+)"', chart)
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.7104, "0.710"),
        (93.84, "93.8"),
        (1990, "1990"),
        (2e-5, "2.0e-5"),
        (3e6, "3.0e6"),
    ],
)
def test_numbers_have_about_three_figures(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.61, 0.73), (-3, 250), (5, 5), (0, 0)])
def test_ticks_are_few_round_and_reach_around_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7 and ticks[0] <= low and high <= ticks[-1]
    assert ticks == sorted(set(ticks))


def test_a_curve_that_rises_is_drawn_rising_inside_the_chart():
    (line,) = lines_of(curve_chart([Curve("reward", range(50), [x**2 for x in range(50)])]))
    heights = [y for _, y in line]
    assert heights == sorted(heights, reverse=True)  # SVG counts downwards
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_a_gap_splits_the_line_and_a_lonely_value_is_a_dot():
    values = [1.0, 2.0, math.nan, 3.0, math.nan, 1.0, 2.0]
    chart = curve_chart([Curve("loss", range(7), values)])
    assert [len(line) for line in lines_of(chart)] == [2, 2]
    assert chart.count("<circle") == 1


def test_a_long_curve_is_thinned_but_keeps_its_ends_and_its_spikes():
    values = [0.0] * 5000
    values[0], values[1234], values[-1] = 0.2, 9.0, 0.4
    (line,) = lines_of(curve_chart([Curve("loss", range(5000), values)]))
    flat = lines_of(curve_chart([Curve("loss", range(3), [0.2, 9.0, 0.4])]))[0]
    assert len(line) < 400
    assert [line[0], line[-1]] == [flat[0], flat[-1]]
    assert min(y for _, y in line) == min(y for _, y in flat)


def test_curves_of_one_chart_share_its_axes():
    low, high = Curve("loss", [0, 1], [1, 1], series="train"), Curve("loss", [0, 1], [2, 2])
    below, above = lines_of(curve_chart([low, high]))
    assert below[0][1] > above[0][1]


def test_a_curve_without_values_says_so():
    assert "no values" in curve_chart([Curve("loss", [1], [math.nan])])


def test_intervals_lie_left_to_right_as_their_values_do():
    chart = interval_chart(
        {"worse": Interval(0.2, 0.1, 0.3), "<better>": Interval(0.6, 0.5, 0.7)}, ["<better>"]
    )
    worse, better = (float(x) for x in re.findall(r'<circle cx="([\d.]+)"', chart))
    assert worse < better and "&lt;better&gt;" in chart and "<better>" not in chart
    bars = re.findall(r'class="bar" x1="([\d.]+)" x2="([\d.]+)"', chart)
    assert float(bars[0][1]) < float(bars[1][0])  # apart as the intervals are
