"""What the trainings say together: a row a loss and staleness, intervals over seeds, a verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from duet_rl.lab.cell import START, Cell
from duet_rl.lab.measure import JERK, KL, TOTAL, Numbers
from duet_rl.metrics.bootstrap import LEVEL, Interval
from duet_rl.rl.collapse import CODES, CollapseWatch
from duet_rl.text_table import aligned


@dataclass(frozen=True)
class LabRow:
    """One loss at one staleness: means over trainings with their intervals."""

    loss: str
    staleness: int  # gradient steps
    reward: Interval
    gain: Interval  # of reward over the start
    codes: Interval  # effective codes a stream, as a share of the start's, mean over streams
    streams: dict[str, float]  # the same of each stream
    kl: Interval  # nats a token
    jerk: Interval  # m/s^3
    collapsed: dict[int, list[str]]  # seed -> what was wrong with it


@dataclass(frozen=True)
class Comparison:
    """All rows, and what they are compared with."""

    references: dict[str, Numbers]  # the start, true partners, nearest neighbours
    rows: list[LabRow]
    means: dict[str, list[float]]  # loss -> reward of each seed, mean over staleness
    verdict: str

    @property
    def start(self) -> Numbers:
        """The follower that all trainings began with."""
        return self.references[START]

    @property
    def losses(self) -> list[str]:
        """Names of the losses in the order of the rows."""
        return list(dict.fromkeys(row.loss for row in self.rows))

    @property
    def seeds(self) -> int:
        """Trainings of each loss and staleness."""
        return len(next(iter(self.means.values())))

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON; intervals have names."""
        rows = [
            {
                name: value._asdict() if isinstance(value, Interval) else value
                for name, value in vars(row).items()
            }
            for row in self.rows
        ]
        return {**asdict(self), "rows": rows}


def compare(references: dict[str, Numbers], results: Mapping[Cell, Any]) -> Comparison:
    """Return what the results of all trainings say.

    Args:
        references: the numbers of the start and of others that were not trained.
        results: what `run_cell` returned, at least two seeds of every loss and staleness.
    """
    start = references[START]
    losses = list(dict.fromkeys(cell.loss for cell in results))
    ages = sorted({cell.staleness for cell in results})
    rows = []
    for loss in losses:
        for age in ages:
            found = {c.seed: r for c, r in results.items() if (c.loss, c.staleness) == (loss, age)}
            rows.append(_row(loss, age, start, found))
    means: dict[str, list[float]] = {}
    for loss in losses:
        mine = {cell: r["measured"][TOTAL] for cell, r in results.items() if cell.loss == loss}
        seeds = sorted({cell.seed for cell in mine})
        of_seed = [[reward for cell, reward in mine.items() if cell.seed == s] for s in seeds]
        means[loss] = [float(np.mean(rewards)) for rewards in of_seed]
    return Comparison(references, rows, means, verdict_of(rows, means))


def seed_interval(values: Sequence[float]) -> Interval:
    """Return the mean over trainings with its 95 % t-interval (few seeds: a wide one)."""
    from scipy import stats  # which is slow to load

    count, mean = len(values), float(np.mean(values))
    reach = stats.t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / math.sqrt(count)
    return Interval(mean, mean - float(reach), mean + float(reach))


def verdict_of(rows: Sequence[LabRow], means: Mapping[str, Sequence[float]]) -> str:
    """Return in words which loss is the best of those that never collapsed, and by how much."""
    bad = {row.loss for row in rows if row.collapsed}
    ranked = sorted(set(means) - bad, key=lambda loss: -float(np.mean(means[loss])))
    left_out = f"; left out, for they collapsed: {', '.join(sorted(bad))}" if bad else ""
    if not ranked:
        return "every loss collapsed in at least one training; none can be recommended"
    best, own = ranked[0], seed_interval(means[ranked[0]])
    ages = ", ".join(str(age) for age in sorted({row.staleness for row in rows}))
    said = f"{best} has the highest reward, mean over staleness {ages}: {own:.4f}"
    if len(ranked) > 1:
        second = ranked[1]
        theirs = seed_interval(means[second])
        ahead = seed_interval(np.subtract(means[best], means[second]).tolist())
        overlap = "overlap" if own.overlaps(theirs) else "do not overlap"
        sure = "more than chance" if ahead.low > 0 else "which may be chance"
        said += (
            f"; next is {second} with {theirs:.4f}: the intervals {overlap}; paired by seed the "
            f"difference is {ahead:.4f}, {sure}"
        )
    return said + left_out


def as_text(comparison: Comparison) -> str:
    """Return the table as text, and the verdict."""
    head = ("loss", "staleness", "reward", "gain", "codes", "KL", "jerk", "collapsed")
    lines = [head]
    for name, numbers in comparison.references.items():
        gain = numbers[TOTAL] - comparison.start[TOTAL]
        reward, jerk = f"{numbers[TOTAL]:.4f}", f"{numbers[JERK]:.0f}"
        wrong = ", ".join(_names(CollapseWatch().collapsed(numbers))) or "-"
        lines.append((name, "-", reward, f"{gain:+.4f}", "-", "-", jerk, wrong))
    for row in comparison.rows:
        cells = (f"{row.reward:.4f}", f"{row.gain.mean:+.4f}", f"{row.codes:.2f}", f"{row.kl:.3f}")
        names = list(dict.fromkeys(name for found in row.collapsed.values() for name in found))
        wrong = f"{len(row.collapsed)}: {', '.join(names)}" if names else "0"
        lines.append((row.loss, str(row.staleness), *cells, f"{row.jerk:.0f}", wrong))
    note = (
        f"[95 % t-interval over {comparison.seeds} trainings]; codes: effective codes a stream, "
        "as a share of the start's; KL to the start, nats a token; jerk, m/s^3; collapsed: "
        "trainings"
    )
    return "\n".join([*aligned(lines), note, comparison.verdict])


def _row(loss: str, staleness: int, start: Numbers, found: Mapping[int, Any]) -> LabRow:
    measured = [result["measured"] for result in found.values()]
    streams = [tag for tag in start if tag.startswith(CODES)]
    shares = {tag: [numbers[tag] / start[tag] for numbers in measured] for tag in streams}
    wrong = {seed: _wrong(start, result) for seed, result in found.items()}
    reward = seed_interval([numbers[TOTAL] for numbers in measured])
    return LabRow(
        loss,
        staleness,
        reward,
        gain=Interval(*(end - start[TOTAL] for end in reward)),
        codes=seed_interval(np.mean(list(shares.values()), axis=0).tolist()),
        streams={tag.removeprefix(CODES): float(np.mean(of)) for tag, of in shares.items()},
        kl=seed_interval([numbers[KL] for numbers in measured]),
        jerk=seed_interval([numbers[JERK] for numbers in measured]),
        collapsed={seed: names for seed, names in wrong.items() if names},
    )


def _wrong(start: Numbers, result: Any) -> list[str]:
    """Return what collapsed in a training: in its rollouts, or in held-out dances."""
    watch = CollapseWatch([start])
    tags = [*result["collapsed"], *watch.collapsed(result["measured"])]
    return _names(dict.fromkeys(tags))


def _names(tags: Mapping[str, Any]) -> list[str]:
    return [tag.rpartition("/")[-1].removeprefix("codes_") for tag in tags]
