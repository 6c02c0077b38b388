"""Charts as inline SVG: curves over training steps, and means with their intervals.

Colours come from the page's style sheet (`report.css`), so that a chart is legible in the light
and in the dark. The page's `report.js` reads the values from the `data-` attributes.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duet_rl.metrics.bootstrap import Interval

WIDTH, HEIGHT = 320, 170  # of a curve chart, in its own units
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 22  # room for the labels
_MOST_POINTS = 240  # of a curve; more would not be seen
_TICKS = 4  # at most, on an axis, about
_ROW_HEIGHT, _NAME_WIDTH, _RANGE_WIDTH = 26, 164, 300  # of the interval chart


@dataclass(frozen=True)
class Curve:
    """A number over the steps of a stage.

    Args:
        name: what it is, e.g. `loss/policy`; curves of one group and name share a chart.
        steps: where it was measured, ascending.
        values: as many; NaN leaves a gap.
        group: the stage, a heading of the report.
        series: tells curves of one chart apart, e.g. `train` and `validation`.
    """

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    group: str = ""
    series: str = ""


def curve_chart(curves: Sequence[Curve]) -> str:
    """Return one chart with all `curves`, which measure the same thing."""
    lines = [_thinned(curve) for curve in curves]
    flat = [point for line in lines for point in line if math.isfinite(point[1])]
    if not flat:
        return '<svg class="chart" viewBox="0 0 320 40"><text x="160" y="24">no values</text></svg>'
    steps, values = [x for x, _ in flat], [y for _, y in flat]
    ticks = nice_ticks(min(values), max(values))
    plane = _Plane(min(steps), max(steps), ticks[0], ticks[-1])
    drawn = _axes(plane, ticks) + "".join(_line(plane, line, i) for i, line in enumerate(lines))
    label = html.escape(f"{curves[0].name}, steps {plane.first:.10g} to {plane.last:.10g}")
    read = html.escape(
        json.dumps([_reading(plane, *one) for one in zip(curves, lines, strict=True)])
    )
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" '
        f'data-curves="{read}">{drawn}</svg>'
    )


def interval_chart(intervals: Mapping[str, Interval], emphasised: Sequence[str] = ()) -> str:
    """Return a chart with one line a name: a dot at the mean, a bar over the interval."""
    height = _ROW_HEIGHT * len(intervals) + 22
    ticks = nice_ticks(
        min(interval.low for interval in intervals.values()),
        max(interval.high for interval in intervals.values()),
    )
    low, high = ticks[0], ticks[-1]

    def across(value: float) -> float:
        return _NAME_WIDTH + _RANGE_WIDTH * _share(value, low, high)

    lines = [
        f'<line class="grid" x1="{across(x):.1f}" x2="{across(x):.1f}" y1="2" y2="{height - 18}"/>'
        f'<text class="middle" x="{across(x):.1f}" y="{height - 4}">{x:.10g}</text>'
        for x in ticks
    ]
    for row, (name, interval) in enumerate(intervals.items()):
        y = _ROW_HEIGHT * (row + 0.5) + 2
        mark = "strong" if name in emphasised else "plain"
        lines.append(
            f'<g class="{mark}"><title>{html.escape(f"{name}: {interval}")}</title>'
            f'<text class="y" x="{_NAME_WIDTH - 12}" y="{y + 4:.1f}">{html.escape(name)}</text>'
            f'<line class="bar" x1="{across(interval.low):.1f}" x2="{across(interval.high):.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{across(interval.mean):.1f}" cy="{y:.1f}" r="5"/></g>'
        )
    width = _NAME_WIDTH + _RANGE_WIDTH + 18
    return (
        f'<svg class="chart intervals" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Means with their intervals">{"".join(lines)}</svg>'
    )


def number(value: float) -> str:
    """Return a number with about three figures, as a person would write it."""
    size = abs(value)
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if size >= 1e5 or size < 5e-4:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    if value == int(value) and size >= 10:
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(size)))
    return f"{value:.{min(digits, 3)}f}"


def nice_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from at or below `low` to at or above `high`."""
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * round_ for round_ in (1, 2, 2.5, 5, 10) if power * round_ >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(count * step, 12) for count in range(first, last + 1)]


@dataclass(frozen=True)
class _Plane:
    """Where steps and values lie in a curve chart."""

    first: float
    last: float
    low: float
    high: float

    def across(self, step: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * _share(step, self.first, self.last), 1)

    def down(self, value: float) -> float:
        share = _share(value, self.low, self.high)
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share, 1)


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high == low else (value - low) / (high - low)


def _axes(plane: _Plane, ticks: Sequence[float]) -> str:
    """Return lines across at the ticks, and the first and the last step below."""
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{plane.down(y)}" '
        f'y2="{plane.down(y)}"/><text class="y" x="{_LEFT - 6}" y="{plane.down(y) + 3.5:.1f}">'
        f"{y:.10g}</text>"
        for y in ticks
    ]
    ends = {plane.first: "start", plane.last: "end"}
    lines += [
        f'<text class="{end}" x="{plane.across(x)}" y="{HEIGHT - 6}">{x:.10g}</text>'
        for x, end in ends.items()
    ]
    return "".join(lines)


def _line(plane: _Plane, points: Sequence[tuple[float, float]], place: int) -> str:
    """Return the line through `points`, and a dot where one stands alone between gaps."""
    drawn = []
    for piece in _pieces(points):
        path = [(plane.across(x), plane.down(y)) for x, y in piece]
        if len(path) == 1:
            (x, y), *_ = path
            drawn.append(f'<circle class="line{place}" cx="{x}" cy="{y}" r="2.5"/>')
        else:
            text = " ".join(f"{x},{y}" for x, y in path)
            drawn.append(f'<polyline class="line{place}" points="{text}"/>')
    return "".join(drawn)


def _reading(plane: _Plane, curve: Curve, points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return what the pointer reads: places in the chart with steps and values in words."""
    return {
        "name": curve.series or curve.name,
        "points": [
            [plane.across(x), plane.down(y), f"{x:.10g}", number(y)]
            for x, y in points
            if math.isfinite(y)
        ],
    }


def _pieces(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Return the runs between gaps."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _thinned(curve: Curve) -> list[tuple[float, float]]:
    """Return the points of a curve; of a long one, the lowest and the highest of each stretch."""
    points = list(zip(map(float, curve.steps), map(float, curve.values), strict=True))
    if len(points) <= _MOST_POINTS:
        return points
    stretch = math.ceil(2 * len(points) / _MOST_POINTS)
    kept = points[:1]
    for start in range(1, len(points) - 1, stretch):
        part = points[start : min(start + stretch, len(points) - 1)]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*kept, points[-1]]
