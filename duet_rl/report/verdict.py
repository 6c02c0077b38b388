"""What the numbers of a report say, in one sentence."""

from typing import Literal, NamedTuple

from duet_rl.generate.charts import number
from duet_rl.metrics.bootstrap import LEVEL, Interval
from duet_rl.report.data import Column, ReportData


class Verdict(NamedTuple):
    """What the numbers say about RL."""

    kind: Literal["better", "worse", "open", "none"]
    text: str


def verdict(data: ReportData) -> Verdict:
    """Return in plain words whose deciding column is best, whichever way the numbers fell."""
    column = next((c for c in data.columns if c.key == data.decides), Column(data.decides, ""))
    return _ranking(data, column) if data.runs else _before_and_after(data, column)


def _before_and_after(data: ReportData, column: Column) -> Verdict:
    rows = [data.row(data.before), data.row(data.after)]
    found = [interval for row in rows if row and (interval := row.interval(data.decides))]
    if not (data.before or data.after):
        return Verdict("none", "No run was named: these are the true partners and the baselines.")
    if len(found) < 2:
        return Verdict("none", "This run has no followers from before and after RL to compare.")
    before, after = found
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


def _ranking(data: ReportData, column: Column) -> Verdict:
    """Return which run is best, and of which others that is certain."""
    what, sign = column.title or column.key, -1 if column.better == "lower" else 1
    found = {
        name: interval
        for name in data.runs
        if (row := data.row(name)) and (interval := row.interval(data.decides))
    }
    if not found:
        return Verdict("none", f"No run here has a {what}.")
    best = max(found, key=lambda name: sign * found[name].mean)
    says = f"{best}: {what} {_plain(found[best])}"
    against = [one for one in data.differences if one.run == best]
    if not against:
        return Verdict("none", f"{says}.")
    settled = [one for one in against if min(sign * x for x in one.interval) > 0]
    open_ = [one for one in against if one not in settled]
    if settled:
        more = "; ".join(f"{_plain(one.interval)} over {one.other}" for one in settled)
        says += f", ahead by {more}"
    if open_:
        more = "; ".join(f"{one.other}, {_plain(one.interval)}" for one in open_)
        says += f"; not settled against {more}"
    pairs = f"(pairs of one clip and one seed, {LEVEL:.0%} intervals)"
    return Verdict("open" if open_ else "better", f"{says} {pairs}.")


def _plain(interval: Interval) -> str:
    if interval.low == interval.high:
        return number(interval.mean)
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"
