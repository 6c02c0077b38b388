"""The plot of a comparison: reward, diversity and KL against staleness, a line a loss."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from duet_rl.files import atomic_path
from duet_rl.generate.charts import nice_ticks
from duet_rl.lab.cell import START
from duet_rl.lab.comparison import Comparison, LabRow
from duet_rl.lab.measure import TOTAL
from duet_rl.metrics.bootstrap import Interval

_SCALE = 2  # pixels a unit: sharp on dense screens
_PANEL = (380, 320)  # units, with its labels
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 40, 46
_LEGEND = 58  # below the panels
_SPREAD = 0.6  # of the room between two ages is taken by the points of all losses
_INK, _FAINT, _PAPER = "#222222", "#dddddd", "#ffffff"
# Told apart by all kinds of eyes (P. Tol, "bright"), and by their marks in grey.
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#222222")
_MARKS: tuple[tuple[tuple[float, float], ...], ...] = (  # corners around a point, in half widths
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)),
    ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    ((0, 1.3), (1.2, -0.9), (-1.2, -0.9)),
    ((-1.4, -0.7), (1.4, -0.7), (1.4, 0.7), (-1.4, 0.7)),
    ((-0.7, -1.4), (0.7, -1.4), (0.7, 1.4), (-0.7, 1.4)),
    ((-0.6, -1.3), (0.6, -1.3), (1.3, 0), (0.6, 1.3), (-0.6, 1.3), (-1.3, 0)),
)
_HALF = 4.0  # units, half the width of a mark


class _Panel(NamedTuple):
    title: str
    value: Callable[[LabRow], Interval]
    level: float  # of the start, a dashed line


def draw_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the plot as PNG and return the file; hollow marks are losses that collapsed there."""
    panels = (
        _Panel("Reward on held-out leaders", lambda row: row.reward, comparison.start[TOTAL]),
        _Panel("Effective codes, share of the start's", lambda row: row.codes, 1.0),
        _Panel("KL to the start, nats a token", lambda row: row.kl, 0.0),
    )
    width, height = _PANEL[0] * len(panels), _PANEL[1] + _LEGEND
    image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    for place, panel in enumerate(panels):
        _draw_panel(pen, panel, place * _PANEL[0], comparison)
    _draw_legend(pen, comparison, width)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)
    return path


class _Pen:
    """Draws in units."""

    def __init__(self, canvas: ImageDraw.ImageDraw) -> None:
        self._canvas = canvas
        self._font = ImageFont.load_default(11 * _SCALE)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._canvas.line(scaled, colour, round(width * _SCALE), joint="curve")

    def dashes(self, left: float, right: float, y: float) -> None:
        while left < right:
            self.line([(left, y), (min(left + 5, right), y)], _INK)
            left += 9

    def mark(self, x: float, y: float, index: int, hollow: bool) -> None:
        corners = _MARKS[index % len(_MARKS)]
        scaled = [((x + dx * _HALF) * _SCALE, (y + dy * _HALF) * _SCALE) for dx, dy in corners]
        colour = _COLOURS[index % len(_COLOURS)]
        self._canvas.polygon(scaled, _PAPER if hollow else colour, colour, round(1.5 * _SCALE))

    def text(self, x: float, y: float, words: str, anchor: str) -> None:
        self._canvas.text((x * _SCALE, y * _SCALE), words, _INK, self._font, anchor)

    def width(self, words: str) -> float:
        return self._font.getlength(words) / _SCALE


def _draw_panel(pen: _Pen, panel: _Panel, left: float, comparison: Comparison) -> None:
    ages = sorted({row.staleness for row in comparison.rows})
    ends = [end for row in comparison.rows for end in panel.value(row)[1:]]
    ticks = nice_ticks(min(*ends, panel.level), max(*ends, panel.level))
    bottom, first, last = _PANEL[1] - _BOTTOM, left + _LEFT, left + _PANEL[0] - _RIGHT
    room = (last - first) / len(ages)  # of one age: they are as far apart as names are

    def down(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - _TOP)

    for tick in ticks:
        pen.line([(first, down(tick)), (last, down(tick))], _FAINT)
        pen.text(first - 6, down(tick), f"{tick:.10g}", "rm")
    for place, age in enumerate(ages):
        pen.text(first + (place + 0.5) * room, bottom + 13, str(age), "mm")
    pen.text(first, 20, panel.title, "lm")
    pen.text(last, bottom + 32, "staleness, gradient steps", "rm")
    pen.dashes(first, last, down(panel.level))
    for index, loss in enumerate(comparison.losses):
        colour = _COLOURS[index % len(_COLOURS)]
        beside = ((index + 0.5) / len(comparison.losses) - 0.5) * _SPREAD
        rows = [row for row in comparison.rows if row.loss == loss]
        xs = [first + (ages.index(row.staleness) + 0.5 + beside) * room for row in rows]
        intervals = [panel.value(row) for row in rows]
        pen.line([(x, down(at.mean)) for x, at in zip(xs, intervals, strict=True)], colour, 1.5)
        for x, at, row in zip(xs, intervals, rows, strict=True):
            pen.line([(x, down(at.low)), (x, down(at.high))], colour)
            pen.mark(x, down(at.mean), index, bool(row.collapsed))


def _draw_legend(pen: _Pen, comparison: Comparison, width: float) -> None:
    x, y = float(_LEFT), _PANEL[1] + 8.0
    for index, loss in enumerate(comparison.losses):
        if x + 46 + pen.width(loss) > width:
            x, y = float(_LEFT), y + 18
        pen.line([(x, y), (x + 22, y)], _COLOURS[index % len(_COLOURS)], 1.5)
        pen.mark(x + 11, y, index, False)
        pen.text(x + 28, y, loss, "lm")
        x += 46 + pen.width(loss)
    pen.text(
        _LEFT,
        _PANEL[1] + _LEGEND - 14,
        f"bars: 95 % t-intervals over {comparison.seeds} trainings; dashed: {START}; "
        "hollow: collapsed in a training",
        "lm",
    )
