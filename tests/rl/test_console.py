"""A run can be read in a terminal and in a log file, and floods neither."""

import io
import logging

import pytest

from duet_rl.rl.console import Console, duration, line_of

NUMBERS = {
    "reward/total": 0.8125,
    "reward/contact": 0.9,
    "reward/foot": 0.7,
    "reward/beat": 0.6,
    "reward/consistency": 0.99,
    "reward/tracking": 0.5,
    "kl": 0.0213,
    "steps_per_second": 1234.5,
    "staleness": 1.5,
    "healthy_runners": 1.0,
    "restarts": 2.0,
    "seconds/left": 3725.0,
    "loss/policy": 3.0,
}


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def plain_lines(caplog, count: int, **settings) -> list[str]:
    with caplog.at_level(logging.INFO), Console(0, count, stream=io.StringIO(), **settings) as seen:
        for done in range(1, count + 1):
            seen.iteration(done, NUMBERS)
    return [record.getMessage() for record in caplog.records]


def test_a_line_says_all_that_a_person_asks_for():
    assert line_of(NUMBERS, runners=2) == (
        "reward 0.812 (contact 0.90 foot 0.70 beat 0.60 consistency 0.99 tracking 0.50)"
        " | KL 0.0213 | 1234 steps/s | staleness 1.5 | 1/2 runners (2 restarts) | 1 h 2 min left"
    )


def test_a_line_leaves_out_what_there_is_not():
    assert line_of({"reward/total": 0.5}) == "reward 0.500"
    assert "runners" not in line_of(NUMBERS, runners=0)
    assert "restart" not in line_of({"healthy_runners": 2.0, "restarts": 0.0}, runners=2)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.7, "1 min 0 s"), (3600, "1 h 0 min")]
)
def test_durations_are_said_as_a_person_does(seconds: float, text: str):
    assert duration(seconds) == text


def test_a_log_file_gets_the_first_line_the_last_and_some_between(caplog):
    lines = plain_lines(caplog, 25, every=10)
    assert [line.split(":")[0] for line in lines] == ["1/25", "10/25", "20/25", "25/25"]
    assert "foot 0.70" in lines[0] and "\r" not in "".join(lines)


def test_a_run_that_is_not_to_be_shown_is_silent(caplog):
    assert plain_lines(caplog, 5, every=1, shown=False) == []


def test_a_terminal_gets_a_bar_and_the_line_in_place(caplog):
    terminal = Terminal()
    with caplog.at_level(logging.INFO), Console(3, 5, 1, 2, stream=terminal) as seen:
        seen.iteration(4, NUMBERS)
        seen.iteration(5, NUMBERS)
    shown = terminal.getvalue()
    assert "5/5" in shown and "reward 0.812" in shown and "1/2 runners" in shown
    assert "\r" in shown
    assert not caplog.records
