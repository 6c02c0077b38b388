"""The heat map of an audit: judges down, attacks across, and where a judge is fooled."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from duet_rl.audit.judges import judge_of
from duet_rl.audit.results import Audit
from duet_rl.audit.verdict import BARELY, Verdict
from duet_rl.files import atomic_path
from duet_rl.metrics.attacks import ATTACKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL = (0.56, 0.235)  # inches
_LEFT, _RIGHT, _TOP, _BOTTOM = 2.0, 0.8, 1.3, 0.8  # inches for names and legend
_LEAST_WIDTH = 9.0  # inches that the legend takes
_DPI = 110
# Blue and orange are told apart by all kinds of eyes, and every cell has a word or a number.
_LIGHT, _DARK = (0.93, 0.95, 0.98), (0.13, 0.31, 0.55)  # hardly seen, the worst attack
_COLOURS = {"fooled": "#f6b26b", "prefers": "#d9541e", "barely": "#f7ead7", "n/a": "#ffffff"}
_WORDS = {"fooled": "fooled", "prefers": "likes", "barely": "barely", "n/a": "·"}
_WHITE_FROM = 0.45  # depth of blue from which on letters are white
_MEANING = {
    "prefers": "likes it better than the truth",
    "fooled": "fooled: no worse than the truth",
    "barely": f"barely: worse by under {BARELY:.0%}",
}


def draw_audit(audit: Audit, path: Path) -> Path:
    """Write the heat map as PNG and return the file."""
    from matplotlib.figure import Figure  # which is slow to load

    rows = _rows(list(audit.verdicts))
    wide, high = _CELL[0] * len(audit.attacks), _CELL[1] * len(rows)
    size = (max(_LEFT + wide + _RIGHT, _LEAST_WIDTH), _BOTTOM + high + _TOP)
    figure = Figure(size, _DPI)
    box = (_LEFT / size[0], _BOTTOM / size[1], wide / size[0], high / size[1])
    axes = figure.add_axes(box)
    _name(axes, rows, audit.attacks)
    for place, row in enumerate(rows):
        if row is None:
            group = judge_of(next(r for r in rows[place + 1 :] if r)).group
            axes.text(0, place + 0.8, group, fontsize="small", fontweight="bold", ha="left")
            continue
        for column, verdict in enumerate(audit.verdicts[row]):
            _draw_cell(axes, column, place, verdict)
    edge = 0
    for _, members in groupby(audit.attacks, key=lambda name: ATTACKS[name].family):
        edge += len(list(members))
        axes.axvline(edge, color="white", linewidth=3)
    figure.legend(
        handles=_legend(),
        title=f"{audit.windows} windows of {audit.takes} takes; numbers: loss in % of the attack "
        "that the judge finds worst; dots: does not apply",
        loc="lower left",
        ncols=len(_MEANING) + 1,
        frameon=False,
        alignment="left",
        fontsize="small",
        title_fontsize="small",
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _rows(judges: list[str]) -> list[str | None]:
    """Return the judges with a gap (None) above each group, for its title."""
    rows: list[str | None] = []
    for _, members in groupby(judges, key=lambda judge: judge_of(judge).group):
        rows += [None, *members]
    return rows


def _name(axes: "Axes", rows: list[str | None], attacks: tuple[str, ...]) -> None:
    """Set up axes of one unit a cell, with the names of judges and attacks beside them."""
    axes.set_xlim(0, len(attacks))
    axes.set_ylim(len(rows), 0)
    axes.tick_params(length=0, labelsize="small")
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    names = [name.replace("_", " ") for name in attacks]
    axes.set_xticks([column + 0.5 for column in range(len(names))], names, rotation=45, ha="left")
    axes.set_yticks([row + 0.5 for row in range(len(rows))], [row or "" for row in rows])


def _draw_cell(axes: "Axes", column: int, row: int, verdict: Verdict) -> None:
    from matplotlib.patches import Rectangle

    share = max(0.0, min(1.0, verdict.share)) if verdict.said == "sees" else 0.0
    depth = share**0.5  # so that a tenth of the worst is plain to see
    blue = tuple(light + depth * (dark - light) for light, dark in zip(_LIGHT, _DARK, strict=True))
    colour = _COLOURS.get(verdict.said, blue)
    letters = "white" if verdict.said == "prefers" or depth > _WHITE_FROM else "black"
    word = _WORDS.get(verdict.said) or f"{100 * share:.0f}"
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white"))
    x, y = column + 0.5, row + 0.53
    axes.text(x, y, word, color=letters, fontsize="x-small", ha="center", va="center")


def _legend() -> list:
    from matplotlib.patches import Patch

    seen = Patch(facecolor=_DARK, label="sees it")
    return [seen, *(Patch(facecolor=_COLOURS[said], label=_MEANING[said]) for said in _MEANING)]
