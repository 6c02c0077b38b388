"""One number of a table, or why there is none."""

from typing import NamedTuple

from duet_rl.metrics.bootstrap import Interval


class Cell(NamedTuple):
    """What stands in a table.

    Args:
        interval: None where a number would mean nothing.
        samples: what was counted, e.g. `24 clips`.
        reason: why there is no number, or what to know of it.
    """

    interval: Interval | None
    samples: str = ""
    reason: str = ""
