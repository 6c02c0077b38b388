"""The plot of a comparison: reward, diversity and KL against staleness, a line a loss."""

from pathlib import Path

import numpy as np

from duet_rl.files import atomic_path
from duet_rl.lab.cell import START
from duet_rl.lab.comparison import Comparison
from duet_rl.lab.measure import TOTAL

_SPREAD = 0.6  # of the room between two ages is taken by the points of all losses
_INCHES, _DPI = (12.0, 4.6), 144
_ROOM = 0.1  # inches around a panel
_MARGIN = 0.08  # of what a panel shows, above and below
_GREY = "#555555"
# Told apart by all kinds of eyes (P. Tol, "bright"), and by their marks in grey.
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#222222")
_MARKS = "so^DvPX*"  # one more than colours: no pair comes again soon


def draw_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the plot as PNG and return the file; hollow marks are losses that collapsed there."""
    from matplotlib.figure import Figure  # which is slow to load

    figure = Figure(_INCHES, _DPI)
    figure.set_layout_engine("constrained", w_pad=_ROOM, h_pad=_ROOM)
    panels = (
        ("reward", "Reward on held-out leaders", comparison.start[TOTAL]),
        ("codes", "Effective codes, share of the start's", 1.0),
        ("kl", "KL to the start, nats a token", 0.0),
    )
    ages = sorted({row.staleness for row in comparison.rows})
    losses = comparison.losses
    beside = ((np.arange(len(losses)) + 0.5) / len(losses) - 0.5) * _SPREAD
    for axes, (name, title, level) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.set_title(title, fontsize="medium", loc="left")
        axes.set_xlabel("staleness, gradient steps")
        axes.set_xticks(range(len(ages)), ages)  # as far apart as names are
        axes.set_xlim(-0.5, len(ages) - 0.5)
        axes.grid(axis="y", alpha=0.4)
        axes.spines[["top", "right"]].set_visible(False)
        axes.axhline(level, color=_GREY, linestyle="--", linewidth=1)
        for index, loss in enumerate(losses):
            rows = [row for row in comparison.rows if row.loss == loss]
            xs = np.array([ages.index(row.staleness) for row in rows]) + beside[index]
            mean, low, high = np.array([getattr(row, name) for row in rows]).T
            style = {
                "color": _COLOURS[index % len(_COLOURS)],
                "marker": _MARKS[index % len(_MARKS)],
            }
            axes.errorbar(xs, mean, (mean - low, high - mean), label=loss, elinewidth=1, **style)
            bad = [bool(row.collapsed) for row in rows]
            axes.plot(xs[bad], mean[bad], linestyle="", markerfacecolor="white", zorder=3, **style)
        # What has collapsed lies far off, and would press all else into a line.
        sound = [getattr(row, name) for row in comparison.rows if not row.collapsed]
        ends = [level, *(end for one in sound for end in (one.low, one.high))]
        if margin := _MARGIN * (max(ends) - min(ends)):
            axes.set_ylim(min(ends) - margin, max(ends) + margin)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=len(losses),
        frameon=False,
        alignment="left",
        title=f"bars: 95 % t-intervals over {comparison.seeds} trainings; dashed: {START}; "
        "hollow: collapsed in a training, and may lie outside",
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
