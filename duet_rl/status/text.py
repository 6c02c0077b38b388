"""How a run stands, as text for a terminal."""

import math
from collections.abc import Iterable, Sequence

from duet_rl.rl.console import duration, line_of
from duet_rl.run_log import RL
from duet_rl.status.curves import chart, sparkline
from duet_rl.status.read import RunStatus, StageStatus
from duet_rl.text_table import aligned

_FIRST = ("reward/total", "loss", "val/loss")  # tags that a person looks at first
_FAMILIES = ("reward/", "nll/", "val/", "rollout/", "loss/")  # and after them
_SINGLE = ("kl", "entropy", "staleness", "steps_per_second", "gradient_norm", "grad_norm")
_ROWS = 12  # curves of a stage that are drawn, at most
_HEIGHT = 5  # lines of the first curve
_NUMBER = 10  # characters of a number beside a curve
_LEAST_CURVE = 10  # characters


def as_text(run: RunStatus, width: int = 80, blocks: bool = True, curves: bool = True) -> str:
    """Return lines about a run: a table of its stages, what they say of themselves, their curves.

    Args:
        run: what was read.
        width: characters of the terminal.
        blocks: whether block and braille characters may be used.
        curves: whether to draw them; of stages that are done, only the last one's are.
    """
    lines = [f"{run.folder}", *aligned([_cells(stage) for stage in run.stages])]
    for stage in run.stages:
        lines += [f"  {stage.name}: {fault}" for fault in stage.faults]
    if curves:
        for stage in _drawn(run.stages):
            lines += ["", *_draw(stage, width, blocks)]
    return "\n".join(lines)


def main_tags(stage: StageStatus) -> list[str]:
    """Return the tags of a stage that a person looks at, the first ones first."""
    tags = stage.tags
    groups: list[Iterable[str]] = [[tag] for tag in _FIRST]
    groups += [[tag for tag in tags if tag.startswith(family)] for family in _FAMILIES]
    groups += [[tag] for tag in _SINGLE]
    ordered = dict.fromkeys(tag for group in groups for tag in group if tag in tags)
    return [tag for tag in ordered if len(stage.curve(tag)[1]) > 0]


def _drawn(stages: Sequence[StageStatus]) -> list[StageStatus]:
    """Return the stages whose curves are of interest now."""
    open_ones = [stage for stage in stages if stage.state != "done" and stage.rows]
    return open_ones or [stage for stage in stages if stage.rows][-1:]


def _cells(stage: StageStatus) -> tuple[str, ...]:
    """Return the line of a stage in the table."""
    return (f"  {stage.name}", stage.state, _how_far(stage), _pace(stage), _says(stage))


def _how_far(stage: StageStatus) -> str:
    if not stage.step and not stage.rows:
        return ""
    what = "iterations" if _is_rl(stage) else "steps"
    if stage.total is None or stage.state == "done":
        return f"{stage.step} {what}"
    return f"{stage.step} of {stage.total} {what} ({stage.step / max(1, stage.total):.0%})"


def _pace(stage: StageStatus) -> str:
    """Return how fast a running stage is, how long a finished one took, or since when it rests."""
    if stage.state == "done":
        return "" if stage.seconds is None else f"in {duration(stage.seconds)}"
    if stage.state in {"stopped", "failed"}:
        saved = "" if stage.saved is None else f", saved at {stage.saved}"
        return f"silent for {duration(stage.quiet)}{saved}"
    parts = []
    if stage.each is not None:
        fast = stage.each < 1
        parts.append(f"{1 / stage.each:.1f} a second" if fast else f"{stage.each:.1f} s each")
    if stage.left is not None:
        parts.append(f"{duration(stage.left)} left")
    return ", ".join(parts)


def _says(stage: StageStatus) -> str:
    """Return the last numbers in few words."""
    last = stage.last
    if _is_rl(stage):
        shown = ("reward/total", "kl", "staleness")
        line = line_of({tag: value for tag, value in last.items() if tag.startswith(shown)})
        runners = last.get("healthy_runners")
        return line + (f" | {runners:.0f} runners" if runners is not None and line else "")
    return ", ".join(f"{tag} {last[tag]:.3f}" for tag in ("loss", "val/loss") if tag in last)


def _is_rl(stage: StageStatus) -> bool:
    return stage.name.rpartition("/")[2] == RL


def _draw(stage: StageStatus, width: int, blocks: bool) -> list[str]:
    """Return the first curve as a chart and the others as a line each."""
    tags = main_tags(stage)[:_ROWS]
    if not tags:
        return []
    names = max(map(len, tags))
    room = max(_LEAST_CURVE, width - names - 2 * _NUMBER - 4)
    lines = [f"{stage.name}, step {stage.step}"]
    rest = tags
    if blocks:
        rest = tags[1:]
        _, values = stage.curve(tags[0])
        drawn = chart(values, room, _HEIGHT)
        beside = [_short(max(values)), *[""] * (_HEIGHT - 2), _short(min(values))]
        named = [tags[0], *[""] * (_HEIGHT - 1)]
        lines += [
            f"{name:<{names}} {side:>{_NUMBER}} {line}".rstrip()
            for name, side, line in zip(named, beside, drawn, strict=True)
        ]
    for tag in rest:
        _, values = stage.curve(tag)
        line = sparkline(values, room, blocks)
        first, last = _short(values[0]), _short(values[-1])
        lines.append(f"{tag:<{names}} {first:>{_NUMBER}} {line} {last}")
    return lines


def _short(number: float) -> str:
    """Return a number in few characters.

    Example:
        >>> _short(0.51234), _short(1234567.0), _short(12.0)
        ('0.512', '1.23e+06', '12')
    """
    return f"{number:.3g}" if math.isfinite(number) else "?"
