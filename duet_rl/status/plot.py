"""The curves of a run as a picture."""

from pathlib import Path

from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.status.read import RunStatus, StageStatus
from duet_rl.status.text import main_tags

_PANEL = (3.2, 2.1)  # inches
_HEADING = 0.45  # inches
_COLUMNS = 4
_DPI = 110
_MOST_PANELS = 12  # of a stage
_COLOUR = "#1f5f8b"
_VALIDATION, _VALIDATION_COLOUR = "val/", "#d9541e"
_UNSMOOTHED = 60  # points up to which a curve is drawn as it is
_SMOOTH = 30  # parts of a longer curve: the mean over one is the line drawn over it


def draw_run(run: RunStatus, path: Path) -> Path:
    """Write the curves of every stage as PNG, a panel each, and return the file.

    A curve `val/x` stands in the panel of `x`, where there is one.

    Raises:
        InputError: no stage has a log.
    """
    from matplotlib.figure import Figure  # which is slow to load

    panels = [(stage, tag) for stage in run.stages for tag in _panels(stage)]
    if not panels:
        raise InputError(f"{run.folder} has no log to draw; its stages are there without one")
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (columns * _PANEL[0], rows * _PANEL[1] + _HEADING)
    figure = Figure(size, _DPI, layout="constrained")
    figure.suptitle(f"{run.folder.resolve().name}", fontsize="medium")
    for place, (stage, tag) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.set_title(f"{stage.name}: {tag}", fontsize="small")
        axes.tick_params(labelsize="x-small")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        steps, values = stage.curve(tag)
        long = len(values) > _UNSMOOTHED
        marker = "." if len(values) < _SMOOTH else ""
        axes.plot(
            steps, values, color=_COLOUR, linewidth=1, alpha=0.35 if long else 1, marker=marker
        )
        if long:
            axes.plot(*_smooth(steps, values), color=_COLOUR, linewidth=1.6)
        held_out = stage.curve(_VALIDATION + tag)
        if held_out[0]:
            axes.plot(*held_out, label="held out", color=_VALIDATION_COLOUR, marker=".")
            axes.legend(fontsize="x-small", frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _panels(stage: StageStatus) -> list[str]:
    """Return the tags that get a panel of their own."""
    held_out = {_VALIDATION + tag for tag in stage.tags}
    return [tag for tag in main_tags(stage) if tag not in held_out][:_MOST_PANELS]


def _smooth(steps: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """Return the means of neighbours, at their middles."""
    width = max(1, len(values) // _SMOOTH)
    starts = range(0, len(values), width)
    pieces = [(steps[i : i + width], values[i : i + width]) for i in starts]
    middles = [sum(where) / len(where) for where, _ in pieces]
    return middles, [sum(piece) / len(piece) for _, piece in pieces]
