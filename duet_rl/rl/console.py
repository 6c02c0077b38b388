"""What a person sees in the terminal, or in a log file, while RL runs."""

import logging
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from duet_rl.observe import lines
from duet_rl.rewards.base import CREDITS
from duet_rl.rl.tags import HEALTHY, LEFT, RESTARTS, STEPS_PER_SECOND

logger = logging.getLogger(__name__)

_REWARD = "reward/"
_TOTAL = "total"
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}]"  # the time left is said below it
_MINUTE, _HOUR = 60, 3600  # s


def line_of(numbers: Mapping[str, float], runners: int = 0) -> str:
    """Return the numbers of an iteration as one line; what is not among them is left out.

    Args:
        numbers: by TensorBoard tag.
        runners: how many runners there should be.

    Example:
        >>> line_of({"reward/total": 0.5, "reward/foot": 0.25, "kl": 0.0123, "seconds/left": 75})
        'reward 0.500 (foot 0.25) | KL 0.0123 | 1 min 15 s left'
    """
    return " | ".join(row for row in (_rewards(numbers), _state(numbers, runners)) if row)


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    Example:
        >>> duration(9.4), duration(200), duration(7500)
        ('9 s', '3 min 20 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


class Console:
    """A bar in a terminal with the line in two rows beneath; elsewhere plain lines, now and then.

    Args:
        done: iterations that are done already.
        total: iterations in the end.
        every: without a terminal there is a line after so many iterations, the first and the last.
        runners: how many runners there should be.
        shown: whether to show anything.
        stream: of text; the standard error by default.
    """

    def __init__(
        self,
        done: int,
        total: int,
        every: int,
        runners: int = 0,
        shown: bool = True,
        stream: Any = None,
    ) -> None:
        stream = sys.stderr if stream is None else stream
        live = shown and stream.isatty() and not lines.are_wanted()
        self._plain, self._fresh = shown and not live, True
        self._total, self._every, self._runners = total, every, runners
        self._stack = ExitStack()
        if live:
            self._stack.enter_context(logging_redirect_tqdm())  # warnings stand above the bar
        bars = {"file": stream, "disable": not live, "dynamic_ncols": True}
        # What is opened last is closed first, and stays above what is closed later.
        self._rows = [
            self._stack.enter_context(tqdm(bar_format="{desc}", position=position, **bars))
            for position in (2, 1)
        ][::-1]
        self._bar = self._stack.enter_context(
            tqdm(total=total, initial=done, desc="rl", position=0, bar_format=_BAR, **bars)
        )

    def iteration(self, done: int, numbers: Mapping[str, float]) -> None:
        """Show the numbers of an iteration."""
        rows = (_rewards(numbers), _state(numbers, self._runners))
        for shown, row in zip(self._rows, rows, strict=True):
            shown.set_description_str(row)
        self._bar.update()
        if self._plain and (self._fresh or done % self._every == 0 or done == self._total):
            logger.info("%d/%d: %s", done, self._total, line_of(numbers, self._runners))
        self._fresh = False

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _rewards(numbers: Mapping[str, float]) -> str:
    """Return the total and its terms, short enough for a narrow terminal."""
    terms = {k.removeprefix(_REWARD): v for k, v in numbers.items() if k.startswith(_REWARD)}
    if _TOTAL not in terms:
        return ""
    order = dict.fromkeys((*CREDITS, *terms))  # the known ones first
    named = " ".join(f"{n} {terms[n]:.2f}" for n in order if n in terms and n != _TOTAL)
    return f"reward {terms[_TOTAL]:.3f}" + (f" ({named})" if named else "")


def _state(numbers: Mapping[str, float], runners: int) -> str:
    """Return how the run does: learning, speed, runners, time."""
    parts = []
    if "kl" in numbers:
        parts.append(f"KL {numbers['kl']:.4f}")
    if STEPS_PER_SECOND in numbers:
        parts.append(f"{numbers[STEPS_PER_SECOND]:.0f} steps/s")
    if "staleness" in numbers:
        parts.append(f"staleness {numbers['staleness']:.1f}")
    if runners and HEALTHY in numbers:
        parts.append(_runners(round(numbers[HEALTHY]), runners, round(numbers.get(RESTARTS, 0))))
    if LEFT in numbers:
        parts.append(f"{duration(numbers[LEFT])} left")
    return " | ".join(parts)


def _runners(healthy: int, wanted: int, restarts: int) -> str:
    more = "" if restarts == 0 else f" ({restarts} restart{'s' if restarts > 1 else ''})"
    return f"{healthy}/{wanted} runners{more}"
