"""Figures of waltz, tango and salsa: which foot goes where on which beat, in which hold."""

import math
from typing import Literal, NamedTuple

import numpy as np

from duet_rl.audio.grooves import Style

Hold = Literal["closed", "two_hands", "one_hand", "raised", "free"]
Foot = Literal["L", "R", "l", "r", "-"]  # a step; a tap without weight; none
HOLDS: tuple[Hold, ...] = ("closed", "two_hands", "one_hand", "raised", "free")

OTHER_FOOT: dict[Foot, Foot] = {"L": "R", "R": "L", "l": "r", "r": "l", "-": "-"}
_QUARTER = math.pi / 2
_SINK = -0.035  # m; knees bend on a held beat, ready for the next step


class Beat(NamedTuple):
    """How the couple comes to one beat. Lengths in steps, axes of the leader: left, forward."""

    foot: Foot  # of the leader; the follower uses the other one
    travel: tuple[float, float] = (0.0, 0.0)  # of the couple
    turn: float = 0.0  # rad; of the couple, to the leader's left
    reach: tuple[float, float] = (0.0, 0.0)  # how far the foot lands beyond the body
    spin: float = 0.0  # rad; of the follower alone, to her left
    rise: float = 0.0  # m; how much higher than usual the bodies are


class Figure(NamedTuple):
    """A few bars that start with the leader's left foot and end with weight on the right."""

    name: str
    beats: tuple[Beat, ...]
    hold: Hold


def _waltz_bar(foot: Foot, ahead: float, aside: float, turn: float) -> tuple[Beat, ...]:
    """Step (forward if `ahead` is positive), side, close; falling on one and rising after."""
    second = OTHER_FOOT[foot]
    side = aside if second == "L" else -aside
    return (
        Beat(foot, (0.0, ahead), turn * 0.3, rise=-0.03),
        Beat(second, (side, 0.2 * ahead), turn * 0.4, rise=-0.004),
        Beat(foot, (0.0, 0.0), turn * 0.3),
    )


def _balance_bar(foot: Foot, ahead: float) -> tuple[Beat, ...]:
    """Step, draw the other foot to it, and hold."""
    tap: Foot = "r" if foot == "L" else "l"
    return (
        Beat(foot, (0.0, ahead), rise=-0.025),
        Beat(tap),
        Beat("-", rise=_SINK),
    )


def _slow(foot: Foot, along: tuple[float, float], turn: float = 0.0) -> tuple[Beat, ...]:
    """Step on the first beat, collect the other foot on the second."""
    x, z = along
    tap: Foot = "r" if foot == "L" else "l"
    return (
        Beat(foot, (0.75 * x, 0.75 * z), 0.7 * turn),
        Beat(tap, (0.25 * x, 0.25 * z), 0.3 * turn),
    )


def _salsa_bar(
    foot: Foot,
    reach: tuple[float, float],
    turn: float = 0.0,
    spin: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> tuple[Beat, ...]:
    """Break, replace, close, tap: three steps to four beats."""
    second = OTHER_FOOT[foot]
    tap: Foot = "r" if foot == "L" else "l"
    x, z = reach
    break_at, back = (0.35 * x, 0.35 * z), (-0.35 * x + shift[0], -0.35 * z + shift[1])
    return (
        Beat(foot, break_at, 0.2 * turn, reach=(0.65 * x, 0.65 * z), spin=0.2 * spin),
        Beat(second, back, 0.35 * turn, spin=0.3 * spin),
        Beat(foot, (0.0, 0.0), 0.35 * turn, spin=0.35 * spin),
        Beat(tap, (0.0, 0.0), 0.1 * turn, spin=0.15 * spin, rise=_SINK),
    )


def _salsa(name: str, hold: Hold, *bars: tuple[Beat, ...]) -> Figure:
    return Figure(name, tuple(beat for bar in bars for beat in bar), hold)


FORWARD, BACK = (0.0, 1.0), (0.0, -1.0)
LEFT, RIGHT = (1.0, 0.0), (-1.0, 0.0)

WALTZ = (
    Figure("box", _waltz_bar("L", 1, 1, 0) + _waltz_bar("R", -1, 1, 0), "closed"),
    Figure(
        "left turn",
        _waltz_bar("L", 1, 0.9, _QUARTER) + _waltz_bar("R", -1, 0.9, _QUARTER),
        "closed",
    ),
    Figure("progress", _waltz_bar("L", 1, 0.8, 0) + _waltz_bar("R", 1, 0.8, 0), "closed"),
    Figure(
        "right turn",
        _waltz_bar("L", -1, 0.9, -_QUARTER) + _waltz_bar("R", 1, 0.9, -_QUARTER),
        "closed",
    ),
    Figure("balance", _balance_bar("L", 0.9) + _balance_bar("R", -0.9), "closed"),
)

TANGO = (
    Figure(
        "basic",
        (
            *_slow("L", (0, 1)),
            *_slow("R", (0, 1)),
            Beat("L", (0, 0.9)),
            Beat("R", (-0.9, 0.1)),
            Beat("l"),
            Beat("-", rise=_SINK),
        ),
        "closed",
    ),
    Figure(
        "left turn",
        (
            *_slow("L", (0, 0.8), _QUARTER / 3),
            *_slow("R", (-0.3, 0.6), _QUARTER / 3),
            Beat("L", (0, 0.8), _QUARTER / 3),
            Beat("R", (-0.7, 0), _QUARTER / 3),
            Beat("l"),
            Beat("-", rise=_SINK),
        ),
        "closed",
    ),
    Figure(
        "side walk",
        (
            *_slow("L", (1, 0)),
            *_slow("R", (0.1, -0.8)),
            Beat("L", (0.9, 0), -_QUARTER / 4),
            Beat("R", (0.2, 0), -_QUARTER / 4),
            Beat("l"),
            Beat("-", rise=_SINK),
        ),
        "closed",
    ),
    Figure(
        "corte",
        (
            *_slow("L", (0, -1)),
            *_slow("R", (0, 0.5)),
            Beat("L", (0, 0.9), -_QUARTER / 2),
            Beat("R", (-0.8, 0), -_QUARTER / 2),
            Beat("l"),
            Beat("-", rise=_SINK),
        ),
        "closed",
    ),
    Figure(
        "rock",
        (
            Beat("L", (0, 0.5), reach=(0, 0.3)),
            Beat("R", (0, -0.4), 0.2 * _QUARTER),
            Beat("L", (0, 0.5), 0.2 * _QUARTER, reach=(0, 0.3)),
            Beat("R", (0, -0.4), 0.2 * _QUARTER),
            Beat("L", (0, 0.9)),
            Beat("R", (-0.9, 0.1)),
            Beat("l"),
            Beat("-", rise=_SINK),
        ),
        "closed",
    ),
)

SALSA = (
    _salsa("basic", "closed", _salsa_bar("L", FORWARD), _salsa_bar("R", BACK)),
    _salsa("side basic", "closed", _salsa_bar("L", LEFT), _salsa_bar("R", RIGHT)),
    _salsa(
        "couple turn",
        "closed",
        _salsa_bar("L", FORWARD, _QUARTER),
        _salsa_bar("R", BACK, _QUARTER),
    ),
    _salsa("open basic", "two_hands", _salsa_bar("L", BACK), _salsa_bar("R", BACK)),
    _salsa(
        "open turn",
        "two_hands",
        _salsa_bar("L", FORWARD, -_QUARTER),
        _salsa_bar("R", BACK, -_QUARTER),
    ),
    _salsa("lead in", "one_hand", _salsa_bar("L", FORWARD), _salsa_bar("R", BACK)),
    _salsa(
        "right turn",
        "raised",
        _salsa_bar("L", (0.0, 0.4), spin=-2 * _QUARTER),
        _salsa_bar("R", (0.0, -0.4), spin=-2 * _QUARTER),
    ),
    _salsa(
        "left turn",
        "raised",
        _salsa_bar("L", (0.0, 0.4), spin=2 * _QUARTER),
        _salsa_bar("R", (0.0, -0.4), spin=2 * _QUARTER),
    ),
    _salsa("shine", "free", _salsa_bar("L", LEFT), _salsa_bar("R", RIGHT)),
)

FIGURES: dict[Style, tuple[Figure, ...]] = {"waltz": WALTZ, "tango": TANGO, "salsa": SALSA}


def choreograph(
    figures: tuple[Figure, ...], beats: int, rng: np.random.Generator
) -> list[tuple[Figure, Beat]]:
    """Return at least `beats` beats of figures in a random order, none three times in a row."""
    dance: list[Figure] = []
    count = 0
    while count < beats:
        options = [f for f in figures if [f, f] != dance[-2:]] or figures
        dance.append(options[rng.integers(len(options))])
        count += len(dance[-1].beats)
    return [(figure, beat) for figure in dance for beat in figure.beats]
