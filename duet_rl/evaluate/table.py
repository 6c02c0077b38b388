"""The table of an evaluation: every number with its interval, or why there is none."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.evaluate.probes import PROBES
from duet_rl.evaluate.scores import REWARD_PREFIX
from duet_rl.evaluate.sets import SET_MEASURES
from duet_rl.evaluate.surfaces import SURFACE_MEASURES
from duet_rl.evaluate.table_files import write_json, write_rows
from duet_rl.metrics.bootstrap import Interval, bootstrap_mean
from duet_rl.metrics.cell import Cell
from duet_rl.metrics.duet import MEASURES, Measure
from duet_rl.metrics.set_scores import SetScore
from duet_rl.text_table import aligned

JSON, TABLE, CLIPS = "evaluation.json", "table.csv", "clips.csv"  # files of an evaluation
REWARDS = "Rewards"  # title of the first table
_WIDE = 6  # columns of a text table, at most
_KNOWN: dict[str, Measure] = {
    **MEASURES,
    **SURFACE_MEASURES,
    **PROBES,
    **SET_MEASURES,
}


@dataclass(frozen=True, eq=False)
class EvaluationRow:
    """All measurements of one follower.

    Args:
        name: of the row.
        values: name of the measure -> `(clips, seeds)`, NaN where it does not apply to a clip.
        probes: name of the measure -> `(windows, 1)`: what the follower reads.
        sets: name of the measure -> how all its dances together compare with the reference.
    """

    name: str
    values: dict[str, Float[Tensor, "clips seeds"]]
    probes: dict[str, Float[Tensor, "windows 1"]] = field(default_factory=dict)
    sets: dict[str, SetScore] = field(default_factory=dict)
    _cells: dict[str, Cell] = field(default_factory=dict, init=False, repr=False)

    @property
    def measures(self) -> list[str]:
        """Names of all that was measured of it, also where nothing applied."""
        return [*self.values, *self.probes, *self.sets]

    def has(self, measure: str) -> bool:
        """Return whether there is a number of that measure."""
        return self.cell(measure).interval is not None

    def interval(self, measure: str) -> Interval:
        """Return the mean of a measure with its bootstrap interval over clips and seeds."""
        interval = self.cell(measure).interval
        assert interval is not None, f"{self.name} has no {measure}; ask `has` first"
        return interval

    def cell(self, measure: str) -> Cell:
        """Return what stands in the table."""
        if measure not in self._cells:
            self._cells[measure] = self._cell(measure)
        return self._cells[measure]

    def _cell(self, measure: str) -> Cell:
        if measure in self.sets:
            score = self.sets[measure]
            samples = f"{score.samples} windows, {score.reference} of the reference"
            return Cell(score.interval, samples, score.reason)
        values = self.values.get(measure, self.probes.get(measure))
        if values is None:
            return Cell(None, reason=f"is not measured of {self.name}")
        applies = int(torch.isfinite(values).any(1).sum())
        samples = f"{applies} {'windows' if measure in self.probes else 'clips'}"
        if applies == 0:
            return Cell(None, samples, "applies to none of the clips")
        return Cell(bootstrap_mean(values), samples)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The rows of the table, and what they were measured on."""

    rows: list[EvaluationRow]
    clips: list[str]
    seeds: int
    data_hash: str

    @property
    def measures(self) -> list[str]:
        """Names of all measures in the order of the table: rewards, then group by group."""
        names = dict.fromkeys(name for row in self.rows for name in row.measures)
        groups = list(dict.fromkeys([REWARDS, *(known.group for known in _KNOWN.values())]))
        return sorted(names, key=lambda name: groups.index(describe(name).group))

    @property
    def groups(self) -> dict[str, list[str]]:
        """Title of each table -> its measures."""
        groups: dict[str, list[str]] = {}
        for name in self.measures:
            groups.setdefault(describe(name).group, []).append(name)
        return groups

    def row(self, name: str) -> EvaluationRow:
        """Return the row of that name."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return every value and interval as plain JSON; what means nothing is null."""
        return {
            "clips": self.clips,
            "seeds": self.seeds,
            "data_hash": self.data_hash,
            "rows": {
                row.name: {measure: _json_of(row, measure) for measure in row.measures}
                for row in self.rows
            },
        }


def describe(measure: str) -> Measure:
    """Return what a column means: unit, direction, meaning and table."""
    if measure.startswith(REWARD_PREFIX):
        term = measure.removeprefix(REWARD_PREFIX)
        return Measure("0 to 1", "higher", f"the {term} reward, mean over frames", REWARDS)
    return _KNOWN[measure]


def title(measure: str) -> str:
    """Return the name of a measure in words."""
    return measure.removeprefix(REWARD_PREFIX).replace("_", " ")


def write_evaluation(evaluation: Evaluation, folder: Path | str) -> None:
    """Write the table as `evaluation.json`, `table.csv` and `clips.csv`."""
    folder = Path(folder)
    write_json(folder / JSON, evaluation.to_json())
    write_rows(folder / TABLE, _table_lines(evaluation))
    write_rows(folder / CLIPS, _clip_lines(evaluation))


def as_text(evaluation: Evaluation, groups: Collection[str] = ()) -> str:
    """Return the tables as text: a line a follower, mean and interval a column.

    Args:
        evaluation: all rows.
        groups: titles of the tables; none: all of them, and why cells are empty.
    """
    lines = []
    for group, measures in evaluation.groups.items():
        if groups and group not in groups:
            continue
        for start in range(0, len(measures), _WIDE):
            part = measures[start : start + _WIDE]
            head = [group if start == 0 else "", *(_head(measure) for measure in part)]
            body = [
                [row.name, *(_text_of(row.cell(measure)) for measure in part)]
                for row in evaluation.rows
            ]
            lines += [*aligned([head, *body]), ""]
    lines += [
        f"{len(evaluation.clips)} clips x {evaluation.seeds} seeds; "
        "[95 % bootstrap interval over clips and seeds]; "
        "^ higher is better, v lower is better, = nearer to the true partner is better"
    ]
    return "\n".join([*lines, *([] if groups else reasons(evaluation))])


def reasons(evaluation: Evaluation) -> list[str]:
    """Return why cells hold a dash, one line a reason."""
    found: dict[str, dict[str, list[str]]] = {}
    for measure in evaluation.measures:
        for row in evaluation.rows:
            cell = row.cell(measure)
            if cell.reason and measure in row.measures:
                found.setdefault(cell.reason, {}).setdefault(title(measure), []).append(row.name)
    lines = []
    for reason, columns in found.items():
        everyone = all(len(names) == len(evaluation.rows) for names in columns.values())
        names = dict.fromkeys(name for rows in columns.values() for name in rows)
        who = "" if everyone else f" ({', '.join(names)})"
        lines.append(f"- in {', '.join(columns)}{who}: {reason}")
    return lines


def _json_of(row: EvaluationRow, measure: str) -> dict[str, Any]:
    cell = row.cell(measure)
    known: dict[str, Any] = {"samples": cell.samples}
    known |= cell.interval._asdict() if cell.interval else {"mean": None, "reason": cell.reason}
    values = row.values.get(measure, row.probes.get(measure))
    if values is not None:
        known["values"] = [[_finite(x) for x in line] for line in values.tolist()]
    return known


def _table_lines(evaluation: Evaluation) -> Iterator[Sequence[Any]]:
    yield "row", "group", "measure", "unit", "better", "mean", "low", "high", "samples", "reason"
    for row in evaluation.rows:
        for measure in row.measures:
            cell, known = row.cell(measure), describe(measure)
            numbers = cell.interval or ("", "", "")
            facts = (row.name, known.group, measure, known.unit, known.better)
            yield *facts, *numbers, cell.samples, cell.reason


def _clip_lines(evaluation: Evaluation) -> Iterator[Sequence[Any]]:
    measures = [name for name in evaluation.measures if name not in {**PROBES, **SET_MEASURES}]
    yield "row", "clip", "seed", *measures
    for row in evaluation.rows:
        seeds = max(values.shape[1] for values in row.values.values())
        for index, clip in enumerate(evaluation.clips):
            for seed in range(seeds):
                yield row.name, clip, seed, *(_at(row.values, m, index, seed) for m in measures)


def _at(values: Mapping[str, Tensor], measure: str, clip: int, seed: int) -> float | str:
    if measure not in values:
        return ""
    number = _finite(values[measure][clip, seed].item())
    return "" if number is None else number


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _head(measure: str) -> str:
    known = describe(measure)
    sign = {"higher": " ^", "lower": " v", "true": " =", "": ""}[known.better]
    return f"{title(measure)}{sign}{f' ({known.unit})' if known.unit else ''}"


def _text_of(cell: Cell) -> str:
    return "-" if cell.interval is None else f"{cell.interval:.3g}"
