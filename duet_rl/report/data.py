"""What a report says: measures, rows, stages, dances and facts; all of it comes from a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from duet_rl.generate.charts import Curve
from duet_rl.generate.view import DanceScene
from duet_rl.metrics.bootstrap import Interval
from duet_rl.metrics.cell import Cell
from duet_rl.metrics.duet import Better


class Column(NamedTuple):
    """One measure of the table."""

    key: str  # in the cells of the rows
    title: str
    unit: str = ""
    better: Better = ""
    group: str = "Measures"  # the table that it stands in
    about: str = ""


@dataclass(frozen=True)
class TableRow:
    """One follower: name of the measure -> mean with its interval, or why there is none."""

    name: str
    cells: Mapping[str, Cell]

    def interval(self, key: str) -> Interval | None:
        """Return the interval of a measure, if it has one."""
        return self.cells[key].interval if key in self.cells else None


class Difference(NamedTuple):
    """How much more of the deciding column one run has than another, clip by clip."""

    run: str
    other: str
    interval: Interval


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
        runs: names of the rows that are compared side by side; none: `before` and `after`.
        differences: pairs of runs, with the difference of the deciding column between them.
        decides: key of the column that the verdict is about.
        curves: of all stages.
        stages: in the order they ran.
        scenes: dances that can be played.
        settings: the resolved configuration, YAML.
        facts: machine, versions, hashes.
        notes: sentences that a reader must know, e.g. how many clips and seeds.
        gaps: why cells are empty, a sentence each.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[TableRow]
    before: str = "pretrained"
    after: str = "RL"
    runs: Sequence[str] = ()
    differences: Sequence[Difference] = ()
    decides: str = "reward/total"
    curves: Sequence[Curve] = ()
    stages: Sequence[Stage] = ()
    scenes: Sequence[DanceScene] = ()
    settings: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    gaps: Sequence[str] = ()

    @property
    def compared(self) -> Sequence[str]:
        """Names of the rows that stand out."""
        return self.runs or (self.before, self.after)

    def row(self, name: str) -> TableRow | None:
        """Return the row of that name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)
