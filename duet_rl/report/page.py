"""The report as one HTML file: verdict, tables, curves, times, and the dance itself."""

import html
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from duet_rl.files import atomic_path
from duet_rl.generate.charts import Curve, curve_chart, interval_chart, number
from duet_rl.generate.view import DanceScene, asset, fill, player, sheet
from duet_rl.metrics.bootstrap import LEVEL
from duet_rl.metrics.cell import Cell
from duet_rl.report.data import Column, ReportData, Stage
from duet_rl.report.verdict import verdict

_ARROWS = {"higher": "↑", "lower": "↓", "true": "≈", "": ""}
_GOALS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "true": "nearer to the true partner is better",
    "": "",
}


def write_report(path: Path | str, data: ReportData) -> None:
    """Write the report as one HTML file that needs no network, whole or not at all."""
    says = verdict(data)
    body = fill(
        asset("report.html"),
        verdict_kind=says.kind,
        verdict=html.escape(says.text),
        overview=_overview(data),
        notes="".join(f"<p>{html.escape(note)}</p>" for note in data.notes),
        dances=_dances(data.scenes),
        level=f"{LEVEL:.0%}",
        tables=_tables(data),
        gaps=_list(data.gaps),
        curves=_section("Curves", _curves(data.curves)),
        stages=_section("Stages", _stages(data.stages)),
        settings=html.escape(data.settings),
        facts="".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
            for name, value in data.facts.items()
        ),
    )
    now = f"{datetime.now():%d %B %Y, %H:%M}"
    page = sheet(data.title, now, body, with_player=bool(data.scenes))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _overview(data: ReportData) -> str:
    """Return the chart of the deciding column, every row a line."""
    intervals = {
        row.name: interval for row in data.rows if (interval := row.interval(data.decides))
    }
    return interval_chart(intervals, data.compared) if intervals else ""


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
        f'<tr class="{"strong" if row.name in data.compared else "plain"}">'
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


def _cell(cell: Cell | None) -> str:
    if cell is None or cell.interval is None:
        return f'<td title="{html.escape(cell.reason if cell else "not measured")}">-</td>'
    told = html.escape("; ".join(text for text in (cell.samples, cell.reason) if text))
    low, high = cell.interval.low, cell.interval.high
    within = "" if low == high else f"<small>{number(low)} to {number(high)}</small>"
    return f'<td title="{told}">{number(cell.interval.mean)}{within}</td>'


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
    if not stages:
        return ""
    longest = max(stage.seconds for stage in stages) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{html.escape(stage.name)}</th><td>{_duration(stage.seconds)}</td>'
        f'<td class="bar"><i style="width:{100 * stage.seconds / longest:.1f}%"></i></td>'
        f"<td>{html.escape(stage.note)}</td></tr>"
        for stage in stages
    )
    total = _duration(sum(stage.seconds for stage in stages))
    rows += f'<tr class="strong"><th scope="row">all</th><td>{total}</td><td></td><td></td></tr>'
    return f'<div class="scroll"><table class="stages"><tbody>{rows}</tbody></table></div>'


def _section(heading: str, body: str) -> str:
    """Return a section, or nothing where it would be empty."""
    return f"<section><h2>{heading}</h2>{body}</section>" if body else ""


def _list(sentences: Sequence[str]) -> str:
    return "".join(f'<p class="hint">{html.escape(sentence)}</p>' for sentence in sentences)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
