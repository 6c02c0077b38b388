"""The report of a run as one HTML file: verdict, table, curves, times, and the dance itself."""

import html
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from pathlib import Path
from typing import Literal, NamedTuple

from duet_rl.files import atomic_path, require_folder
from duet_rl.generate.charts import Curve, curve_chart, interval_chart, number
from duet_rl.generate.view import DanceScene, asset, fill, player, scripts
from duet_rl.metrics.bootstrap import LEVEL, Interval

_PACKAGES = ("torch", "ray", "numpy", "librosa", "gymnasium", "pydantic", "av")
_ARROWS = {"higher": "↑", "lower": "↓", "true": "≈", "": ""}
_GOALS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "true": "nearer to the true partner is better",
    "": "",
}
_HELD_OUT = "val/"  # tags of what is measured on held-out clips begin so
_EVENTS = "events.out.tfevents.*"


class Column(NamedTuple):
    """One measure of the table."""

    key: str  # in the cells of the rows
    title: str
    unit: str = ""
    better: Literal["higher", "lower", "true", ""] = ""
    group: str = "Measures"  # the table that it stands in
    about: str = ""


@dataclass(frozen=True)
class TableRow:
    """One follower: name of the measure -> mean with its interval."""

    name: str
    cells: Mapping[str, Interval]


@dataclass(frozen=True)
class Stage:
    """A part of the run, and how long it took."""

    name: str
    seconds: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report says; all of it comes from the run.

    Args:
        title: heading of the page.
        columns: measures of the table, in order.
        rows: followers, in order.
        before: name of the row of the pretrained follower.
        after: name of the row of the RL follower.
        decides: key of the column that the verdict is about.
        curves: of all stages.
        stages: in the order they ran.
        scenes: dances that can be played.
        settings: the resolved configuration, YAML.
        facts: machine, versions, hashes.
        notes: sentences that a reader must know, e.g. how many clips and seeds.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[TableRow]
    before: str = "pretrained"
    after: str = "RL"
    decides: str = "reward/total"
    curves: Sequence[Curve] = ()
    stages: Sequence[Stage] = ()
    scenes: Sequence[DanceScene] = ()
    settings: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def row(self, name: str) -> TableRow | None:
        """Return the row of that name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)


class Verdict(NamedTuple):
    """What the numbers say about RL."""

    kind: Literal["better", "worse", "open", "none"]
    text: str


def write_report(path: Path | str, data: ReportData) -> None:
    """Write the report as one HTML file that needs no network, whole or not at all."""
    says = verdict(data)
    page = fill(
        asset("report.html"),
        title=html.escape(data.title),
        date=f"{datetime.now():%d %B %Y, %H:%M}",
        style=asset("player.css") + asset("report.css"),
        verdict_kind=says.kind,
        verdict=html.escape(says.text),
        overview=_overview(data),
        notes="".join(f"<p>{html.escape(note)}</p>" for note in data.notes),
        dances=_dances(data.scenes),
        level=f"{LEVEL:.0%}",
        tables=_tables(data),
        curves=_curves(data.curves),
        stages=_stages(data.stages),
        settings=html.escape(data.settings),
        facts="".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
            for name, value in data.facts.items()
        ),
        scripts=scripts(with_player=bool(data.scenes), more=("report.js",)),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def verdict(data: ReportData) -> Verdict:
    """Return in plain words whether RL beat the pretrained follower, whichever way it fell."""
    rows = [data.row(data.before), data.row(data.after)]
    found = [row.cells[data.decides] for row in rows if row and data.decides in row.cells]
    if len(found) < 2:
        return Verdict("none", "This run has no followers from before and after RL to compare.")
    before, after = found
    column = next((c for c in data.columns if c.key == data.decides), Column(data.decides, ""))
    what = column.title or column.key
    numbers = f"{what} {_plain(after)} after RL against {_plain(before)} before"
    gain = before.mean - after.mean if column.better == "lower" else after.mean - before.mean
    side = "better" if gain > 0 else "worse"
    if before.overlaps(after):
        return Verdict(
            "open",
            f"RL did not settle it: {numbers}; that is {side}, but the {LEVEL:.0%} intervals "
            "overlap.",
        )
    word = "beats" if gain > 0 else "falls behind"
    return Verdict(
        "better" if gain > 0 else "worse",
        f"The RL follower {word} the pretrained one: {numbers}; the {LEVEL:.0%} intervals do not "
        "overlap.",
    )


def read_tensorboard(folder: Path | str, group: str = "") -> list[Curve]:
    """Return every scalar logged below a folder, by folder and tag.

    A tag `val/x` becomes the series `validation` of the curve `x`, beside the series `train`.

    Args:
        folder: with TensorBoard event files, in it or further down.
        group: heading of the curves; sub-folders add their names to it.

    Raises:
        InputError: there is no such folder.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = require_folder(folder, "TensorBoard events")
    curves = []
    for place in sorted({file.parent for file in folder.rglob(_EVENTS)}):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0})
        events.Reload()
        parts = [group, *place.relative_to(folder).parts]
        tags = sorted(events.Tags()["scalars"])
        for tag in tags:
            scalars = events.Scalars(tag)
            series = "train" if _HELD_OUT + tag in tags else ""
            if tag.startswith(_HELD_OUT):
                series = "validation"
            curves.append(
                Curve(
                    name=tag.removeprefix(_HELD_OUT),
                    steps=[scalar.step for scalar in scalars],
                    values=[scalar.value for scalar in scalars],
                    group=" / ".join(part for part in parts if part),
                    series=series,
                )
            )
    return curves


def machine_facts() -> dict[str, str]:
    """Return the machine and the versions of what mattered for the run."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "machine": f"{platform.system()} {platform.machine()}, {cpu_count()} CPU cores",
        "GPU": ", ".join(gpus) or "none",
        "Python": platform.python_version(),
    }
    for package in ("duet-rl", *_PACKAGES):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _plain(interval: Interval) -> str:
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"


def _overview(data: ReportData) -> str:
    """Return the chart of the deciding column, every row a line."""
    intervals = {
        row.name: row.cells[data.decides] for row in data.rows if data.decides in row.cells
    }
    return interval_chart(intervals, (data.before, data.after)) if intervals else ""


def _dances(scenes: Sequence[DanceScene]) -> str:
    if not scenes:
        return ""
    return (
        f"<section><h2>The dance</h2>{player(scenes)}"
        '<p class="hint">Drag to turn, scroll or pinch to come nearer, space to play.</p></section>'
    )


def _tables(data: ReportData) -> str:
    """Return one table for each group of columns."""
    groups: dict[str, list[Column]] = {}
    for column in data.columns:
        groups.setdefault(column.group, []).append(column)
    return "".join(
        f"<h3>{html.escape(group)}</h3>{_table(data, columns)}" for group, columns in groups.items()
    )


def _table(data: ReportData, columns: Sequence[Column]) -> str:
    heads = "".join(_head(column) for column in columns)
    rows = "".join(
        f'<tr class="{"strong" if row.name in (data.before, data.after) else "plain"}">'
        f'<th scope="row">{html.escape(row.name)}</th>'
        + "".join(_cell(row.cells.get(column.key)) for column in columns)
        + "</tr>"
        for row in data.rows
    )
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(column: Column) -> str:
    tip = "; ".join(text for text in (column.about, _GOALS[column.better]) if text)
    return (
        f'<th scope="col" title="{html.escape(tip)}">{html.escape(column.title)} '
        f"{_ARROWS[column.better]}<small>{html.escape(column.unit)}</small></th>"
    )


def _cell(interval: Interval | None) -> str:
    if interval is None:
        return "<td>-</td>"
    if interval.low == interval.high:
        return f"<td>{number(interval.mean)}</td>"
    return (
        f"<td>{number(interval.mean)}"
        f"<small>{number(interval.low)} to {number(interval.high)}</small></td>"
    )


def _curves(curves: Sequence[Curve]) -> str:
    """Return a heading for each group, and below it a chart for each name."""
    groups: dict[str, dict[str, list[Curve]]] = {}
    for curve in curves:
        groups.setdefault(curve.group, {}).setdefault(curve.name, []).append(curve)
    return "".join(
        f"<h3>{html.escape(group)}</h3><div class='charts'>"
        + "".join(
            f"<figure><figcaption>{html.escape(name)}{_legend(lines)}</figcaption>"
            f"{curve_chart(lines)}</figure>"
            for name, lines in charts.items()
        )
        + "</div>"
        for group, charts in groups.items()
    )


def _legend(curves: Sequence[Curve]) -> str:
    if len(curves) == 1 and not curves[0].series:
        return ""
    names = "".join(
        f'<i class="line{place}"></i>{html.escape(curve.series or curve.name)}'
        for place, curve in enumerate(curves)
    )
    return f"<span>{names}</span>"


def _stages(stages: Sequence[Stage]) -> str:
    longest = max((stage.seconds for stage in stages), default=0.0) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{html.escape(stage.name)}</th><td>{_duration(stage.seconds)}</td>'
        f'<td class="bar"><i style="width:{100 * stage.seconds / longest:.1f}%"></i></td>'
        f"<td>{html.escape(stage.note)}</td></tr>"
        for stage in stages
    )
    total = _duration(sum(stage.seconds for stage in stages))
    return (
        f'{rows}<tr class="strong"><th scope="row">all</th><td>{total}</td><td></td><td></td></tr>'
    )


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
