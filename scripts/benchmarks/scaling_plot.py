"""A chart of panels, two a row, both axes logarithmic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

_COLUMNS = 2
_INCHES, _DPI = (5.0, 4.0), 144  # of a panel
_LEGEND = 0.9  # inches below the panels
_ROOM = 0.1  # inches around a panel
# Told apart by all kinds of eyes (P. Tol, "bright").
_COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#222222", "#999999")


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
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure((_INCHES[0] * columns, _INCHES[1] * rows + _LEGEND), _DPI)
    figure.set_layout_engine("constrained", w_pad=_ROOM, h_pad=_ROOM)
    curves = {}
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1, xscale="log", yscale="log")
        axes.set_title(panel.title, fontsize="medium", loc="left")
        axes.set_xlabel(panel.across)
        axes.grid(axis="y", alpha=0.4)
        axes.spines[["top", "right"]].set_visible(False)
        for line in panel.lines:
            colour = _COLOURS[names.index(line.name) % len(_COLOURS)]
            ys = [y if y > 0 else math.nan for y in line.ys]
            (curves[line.name],) = axes.plot(line.xs, ys, "o-", color=colour)
            frame = {"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": colour}
            for x, y, mark in zip(line.xs, ys, line.marks, strict=True):
                if mark and y > 0:
                    axes.text(x, y, mark, size=7, ha="center", va="center", bbox=frame)
        ticks = sorted({x for line in panel.lines for x in line.xs})
        axes.set_xticks(ticks, [_written(x) for x in ticks])
        axes.yaxis.set_major_formatter(lambda value, _: _written(value))
        axes.minorticks_off()
    place_below = {"loc": "outside lower left", "alignment": "left", "ncols": 3 * columns}
    figure.legend(curves.values(), curves, title=note, frameon=False, **place_below)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _written(value: float) -> str:
    return f"{value:,.9f}".rstrip("0").rstrip(".")
