"""Tables of a published protocol side by side: text, page, JSON and CSV."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from duet_rl.config import Config
from duet_rl.evaluate.legacy_scores import PublishedScore, PublishedScores
from duet_rl.evaluate.table_files import write_json, write_rows
from duet_rl.metrics.bootstrap import Interval
from duet_rl.metrics.cell import Cell
from duet_rl.metrics.duet import Better
from duet_rl.observe.trackers import shown
from duet_rl.report.data import Column, ReportData, TableRow
from duet_rl.report.facts import machine_facts
from duet_rl.report.page import write_report
from duet_rl.text_table import aligned

_LOWER, _HIGHER = ("FID", "foot skating"), ("BAS", "BED", "CF")  # as the papers read them
_DECIDES = "BAS"  # the chart on top of the page


def write_published(
    folder: Path | str, tables: Mapping[str, PublishedScores], settings: Config
) -> Path:
    """Write the tables of several runs as page, JSON and CSV; return the page.

    Args:
        folder: gets `PROTOCOL.html`, `PROTOCOL.json` and `PROTOCOL.csv`.
        tables: name of the run -> its table; all of one protocol.
        settings: for the record.
    """
    protocol = next(iter(tables.values())).protocol
    stem = Path(folder) / protocol
    rows = {name: table.to_json() for name, table in tables.items()}
    write_json(stem.with_suffix(".json"), rows)
    write_rows(stem.with_suffix(".csv"), _csv_lines(tables))
    page = stem.with_suffix(".html")
    write_report(page, _report(protocol, tables, settings))
    return page


def side_by_side(tables: Mapping[str, PublishedScores], original: bool = False) -> str:
    """Return the tables of several runs as one text, a column a run.

    Args:
        tables: name of the run -> its table.
        original: also show what the original prints where it means nothing.
    """
    if len(tables) == 1:
        return next(iter(tables.values())).as_text(original)
    lines = [["", *tables]]
    for name in _names(tables):
        found = [_score(table, name) for table in tables.values()]
        lines.append([name, *(_shown(score, original) for score in found)])
    return "\n".join([*aligned(lines), *_said_once(tables, _told)])


def _report(protocol: str, tables: Mapping[str, PublishedScores], settings: Config) -> ReportData:
    scores = {s.name: s for table in tables.values() for s in table.scores}
    columns = [
        Column(s.name, s.name, s.unit, _better(s.name), "As the original scripts print", s.meaning)
        for s in scores.values()
    ]
    rows = [
        TableRow(name, {score.name: _cell(score) for score in table.scores})
        for name, table in tables.items()
    ]
    return ReportData(
        title=f"{' against '.join(tables)}, by the protocol of {protocol.capitalize()}",
        columns=columns,
        rows=rows,
        runs=tuple(tables),
        decides=_DECIDES,
        settings=shown(settings),
        facts=machine_facts(),
        notes=[
            "Published numbers have no intervals, and some of them can be fooled (docs/audit.md).",
            *_said_once(tables, lambda table: table.notes),
        ],
        gaps=_said_once(tables, _reasons),
    )


def _better(name: str) -> Better:
    if name.startswith(_LOWER):
        return "lower"
    return "higher" if name.startswith(_HIGHER) else "true"


def _cell(score: PublishedScore) -> Cell:
    held = "" if score.reference is None else f", {score.reference} of the reference"
    samples = f"{score.sequences} dances{held}"
    if score.value is None:
        return Cell(None, samples, score.reason)
    return Cell(Interval(score.value, score.value, score.value), samples, score.reason)


def _names(tables: Mapping[str, PublishedScores]) -> list[str]:
    return list(dict.fromkeys(s.name for table in tables.values() for s in table.scores))


def _score(table: PublishedScores, name: str) -> PublishedScore | None:
    return next((score for score in table.scores if score.name == name), None)


def _shown(score: PublishedScore | None, original: bool) -> str:
    if score is None:
        return "-"
    printed = f"({score.original:.4g})" if original and score.value is None else ""
    value = "-" if score.value is None else f"{score.value:.4g}{score.unit and ' '}{score.unit}"
    return f"{value} {printed}".strip()


def _said_once(
    tables: Mapping[str, PublishedScores], says: Callable[[PublishedScores], Iterable[str]]
) -> list[str]:
    """Return what tables say, each sentence once, after the names of the runs it is of."""
    runs: dict[str, list[str]] = {}
    for name, table in tables.items():
        for sentence in says(table):
            runs.setdefault(sentence, []).append(name)
    return [f"{', '.join(names)}: {sentence}" for sentence, names in runs.items()]


def _told(table: PublishedScores) -> Iterator[str]:
    yield f"{table.predictions}, reference: {table.reference or 'none'}"
    yield from _reasons(table)
    yield from table.notes


def _reasons(table: PublishedScores) -> Iterator[str]:
    """Yield why cells are empty or what to know of them, scores of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for score in table.scores:
        if score.reason:
            by_reason.setdefault(score.reason, []).append(score.name)
    for reason, names in by_reason.items():
        yield f"in {', '.join(names)}: {reason}"


def _csv_lines(tables: Mapping[str, PublishedScores]) -> Iterator[Sequence[Any]]:
    yield "run", *PublishedScore._fields
    for name, table in tables.items():
        for score in table.scores:
            numbers = score.to_json()
            yield name, *("" if value is None else value for value in numbers.values())
