"""A chart of panels, two a row, both axes logarithmic, drawn with Pillow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_SCALE = 2  # pixels a unit: sharp on dense screens
_PANEL = (360, 300)  # units, with its labels
_COLUMNS = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 42, 44
_LEGEND = 52  # below the panels
_INK, _FAINT, _PAPER = "#222222", "#dddddd", "#ffffff"
_LINES = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#222222", "#999999")
_DOT = 3.5


@dataclass(frozen=True)
class Line:
    """One curve; points with a value of 0 or less are left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    marks: Sequence[str]  # what is written at each point, a letter or nothing


@dataclass(frozen=True)
class Panel:
    title: str
    across: str  # name of the axis
    lines: Sequence[Line]


def draw(panels: Sequence[Panel], path: Path, note: str = "") -> Path:
    """Draw the panels, lines of one name in one colour, and return the file."""
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    colours = {name: _LINES[i % len(_LINES)] for i, name in enumerate(names)}
    columns = min(_COLUMNS, len(panels))
    width = _PANEL[0] * columns
    height = _PANEL[1] * math.ceil(len(panels) / columns) + _LEGEND
    image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        _draw_panel(pen, panel, (column * _PANEL[0], row * _PANEL[1]), colours)
    x, y = float(_LEFT), height - _LEGEND + 10.0
    for name in names:
        if x + 40 + pen.width(name) > width:
            x, y = float(_LEFT), y + 16
        pen.line([(x, y), (x + 18, y)], colours[name], 2)
        pen.text(x + 24, y, name, "lm")
        x += 40 + pen.width(name)
    pen.text(_LEFT, height - 8, note, "lm")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
    return path


class _Pen:
    """Draws in units."""

    def __init__(self, canvas: ImageDraw.ImageDraw) -> None:
        self._canvas = canvas
        self._font = ImageFont.load_default(11 * _SCALE)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._canvas.line(scaled, colour, round(width * _SCALE), joint="curve")

    def dot(self, x: float, y: float, colour: str) -> None:
        box = [(x - _DOT) * _SCALE, (y - _DOT) * _SCALE, (x + _DOT) * _SCALE, (y + _DOT) * _SCALE]
        self._canvas.ellipse(box, colour)

    def text(self, x: float, y: float, words: str, anchor: str) -> None:
        self._canvas.text((x * _SCALE, y * _SCALE), words, _INK, self._font, anchor)

    def width(self, words: str) -> float:
        return self._font.getlength(words) / _SCALE


def _draw_panel(
    pen: _Pen, panel: Panel, corner: tuple[float, float], colours: dict[str, str]
) -> None:
    left, top = corner
    bottom = top + _PANEL[1] - _BOTTOM
    shown = [
        (line, [point for point in zip(line.xs, line.ys, line.marks, strict=True) if point[1] > 0])
        for line in panel.lines
    ]
    xs = [x for _, points in shown for x, _, _ in points]
    ys = [y for _, points in shown for _, y, _ in points]
    low, high = _decades(min(ys), max(ys))
    first, last = math.log10(min(xs)), math.log10(max(xs))

    def across(x: float) -> float:
        share = (math.log10(x) - first) / ((last - first) or 1)
        return left + _LEFT + share * (_PANEL[0] - _LEFT - _RIGHT)

    def down(y: float) -> float:
        share = (math.log10(y) - low) / (high - low)
        return bottom - share * (_PANEL[1] - _TOP - _BOTTOM)

    for power in range(low, high + 1):
        y = down(10.0**power)
        pen.line([(left + _LEFT, y), (left + _PANEL[0] - _RIGHT, y)], _FAINT)
        pen.text(left + _LEFT - 6, y, _written(10.0**power), "rm")
    for x in sorted(set(xs)):
        pen.text(across(x), bottom + 12, _written(x), "mm")
    pen.text(left + _LEFT, top + 18, panel.title, "lm")
    pen.text(left + _PANEL[0] - _RIGHT, bottom + 30, panel.across, "rm")
    for line, points in shown:
        colour = colours[line.name]
        pen.line([(across(x), down(y)) for x, y, _ in points], colour, 2)
        for x, y, mark in points:
            pen.dot(across(x), down(y), colour)
            pen.text(across(x) - 7, down(y) - 8, mark, "mm")


def _decades(low: float, high: float) -> tuple[int, int]:
    """Return powers of ten around all values, at least one apart."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return first, max(last, first + 1)


def _written(value: float) -> str:
    return f"{value:,.9f}".rstrip("0").rstrip(".")
