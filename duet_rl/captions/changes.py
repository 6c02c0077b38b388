"""What changes: swings of a signal that have a verb, and stretches in which a speed is kept."""

from typing import NamedTuple

import numpy as np

from duet_rl.captions.facts import Fact, Kind, Stated
from duet_rl.captions.poses import SIDES
from duet_rl.captions.runs import steady_runs, swings
from duet_rl.captions.signals import (
    AHEAD,
    ASIDE,
    BODY_SPEED,
    FPS,
    HEADING,
    HELD,
    OWN_BEARING,
    PARTNER_BEARING,
    PARTNER_DISTANCE,
    PARTNER_SIDE,
    PELVIS_HEIGHT,
    ROOT_SPEED,
    Signals,
)

SHORTEST = round(0.4 * FPS)  # frames that a pose must be held
_INFINITE = float("inf")


class Swing(NamedTuple):
    """A signal that rises or falls far enough, and fast enough to be one deed."""

    signal: str
    least: float  # the smallest change, in the unit of the signal
    slowest: float  # the least change a second
    kind: Kind
    subject: str
    rises: str
    falls: str


class Band(NamedTuple):
    """A signal between two values for a while."""

    signal: str
    low: float
    high: float
    margin: float  # how far inside the signal must come once
    kind: Kind
    subject: str
    what: str
    shortest: int = SHORTEST  # frames


def _of_side(side: str) -> tuple[Swing, ...]:
    return (
        Swing(
            f"up-{side}_hand-{side}_hip", 0.35, 0.3, "transition", f"{side} arm", "raises", "lowers"
        ),
        Swing(
            f"angle-{side}_shoulder-{side}_elbow-{side}_wrist",
            *(50.0, 40.0, "transition", f"{side} arm", "straightens", "bends"),
        ),
        Swing(
            f"angle-{side}_hip-{side}_knee-{side}_ankle",
            *(40.0, 40.0, "transition", f"{side} knee", "straightens", "bends"),
        ),
        Swing(
            f"up-{side}_foot-lowest", 0.15, 0.2, "transition", f"{side} foot", "lifts", "puts down"
        ),
    )


SWINGS: tuple[Swing, ...] = (
    *(swing for side in SIDES for swing in _of_side(side)),
    Swing(
        "distance-left_hand-right_hand",
        *(0.35, 0.3, "transition", "both hands", "brings apart", "brings together"),
    ),
    Swing(
        "distance-left_foot-right_foot",
        *(0.35, 0.3, "transition", "both feet", "brings apart", "brings together"),
    ),
    Swing(PELVIS_HEIGHT, 0.12, 0.1, "transition", "dancer", "rises", "crouches"),
    Swing(
        "forward-neck-pelvis", 0.2, 0.15, "transition", "trunk", "bends forward", "straightens up"
    ),
    Swing(AHEAD, 0.3, 0.25, "travel", "dancer", "steps forward", "steps back"),
    Swing(ASIDE, 0.3, 0.25, "travel", "dancer", "steps left", "steps right"),
    Swing(PARTNER_DISTANCE, 0.3, 0.2, "couple", "dancer", "moves away", "moves closer"),
)
PAIRED = {  # subject of one side -> of both, where both swing at once
    f"{side} {limb}": f"both {plural}"
    for side in SIDES
    for limb, plural in (("arm", "arms"), ("knee", "knees"))
}
_LASTING = round(1.5 * FPS)  # frames
BANDS: tuple[Band, ...] = (
    Band(ROOT_SPEED, -_INFINITE, 0.12, 0.04, "travel", "dancer", "stays", _LASTING),
    Band(BODY_SPEED, -_INFINITE, 0.12, 0.03, "pace", "dancer", "still", SHORTEST),
    Band(BODY_SPEED, 0.12, 0.4, 0.05, "pace", "dancer", "slow", _LASTING),
    Band(BODY_SPEED, 0.9, _INFINITE, 0.1, "pace", "dancer", "fast", _LASTING),
    *(
        Band(
            f"distance-{side}_hand-partner_{other}_hand",
            *(-_INFINITE, 0.2, 0.03, "couple", f"{side} hand", f"holds partner's {other} hand"),
        )
        for side in SIDES
        for other in SIDES
    ),
    *(
        Band(HELD[side], -_INFINITE, 0.2, 0.03, "couple", "dancer", f"holds partner's {side} hand")
        for side in SIDES
    ),
    *(
        Band(f"gap-{side}_hand-{ends}", -_INFINITE, 0.1, 0.03, "couple", f"{side} hand", what)
        for side in SIDES
        for ends, what in (
            ("partner_left_shoulder-partner_right_shoulder", "on partner's shoulders"),
            ("partner_pelvis-partner_spine3", "on partner's waist"),
        )
    ),
    *(
        Band(f"gap-partner_{side}_hand-{ends}", -_INFINITE, 0.1, 0.03, "couple", "dancer", what)
        for side in SIDES
        for ends, what in (
            ("left_shoulder-right_shoulder", f"has partner's {side} hand on shoulders"),
            ("pelvis-spine3", f"has partner's {side} hand on waist"),
        )
    ),
    Band(PARTNER_BEARING, -_INFINITE, 45, 5, "couple", "dancer", "faces partner"),
    Band(PARTNER_BEARING, 135, _INFINITE, 5, "couple", "dancer", "turns back on partner"),
    Band(OWN_BEARING, 135, _INFINITE, 5, "couple", "dancer", "is behind partner"),
    Band(PARTNER_SIDE, 45, 135, 5, "couple", "dancer", "has partner on the left"),
    Band(PARTNER_SIDE, -135, -45, 5, "couple", "dancer", "has partner on the right"),
    Band(PARTNER_DISTANCE, -_INFINITE, 0.6, 0.03, "couple", "dancer", "is close to partner"),
    Band(PARTNER_DISTANCE, 1.1, _INFINITE, 0.03, "couple", "dancer", "is far from partner"),
)
# Amounts of a turn: up to how many degrees each is one.
TURNS = ((135.0, "quarter"), (225.0, "half"), (315.0, "three quarters"), (450.0, "full"))
MORE = "more than full"
_LEAST_TURN, _SLOWEST_TURN = 60.0, 40.0  # degrees; degrees a second


def swung(signals: Signals) -> list[Stated]:
    """Return what swings, both sides together where they do the same at once."""
    found = []
    for swing in SWINGS:
        if swing.signal in signals.values:
            for start, stop, height in swings(signals.values[swing.signal], swing.least):
                if abs(height) * FPS >= swing.slowest * (stop - start):
                    what = swing.rises if height > 0 else swing.falls
                    found.append(Stated(Fact(swing.kind, swing.subject, what), start, stop))
    return [*found, *_both(found)]


def turned(signals: Signals) -> list[Stated]:
    """Return the turns of the whole dancer, by direction and amount."""
    found = []
    for start, stop, angle in swings(signals.values[HEADING], _LEAST_TURN):
        if abs(angle) * FPS >= _SLOWEST_TURN * (stop - start):
            amount = next((name for most, name in TURNS if abs(angle) < most), MORE)
            side = "left" if angle > 0 else "right"
            found.append(Stated(Fact("turn", "dancer", f"{side} {amount}"), start, stop))
    return found


def kept(signals: Signals) -> list[Stated]:
    """Return the stretches in which a speed, a hold or a place beside the partner is kept."""
    found = []
    for band in BANDS:
        if band.signal in signals.values:
            value = signals.values[band.signal]
            weak = (value > band.low) & (value <= band.high)
            strong = (value > band.low + band.margin) & (value <= band.high - band.margin)
            fact = Fact(band.kind, band.subject, band.what)
            found += [Stated(fact, *s) for s in steady_runs(weak, strong, band.shortest)]
    return found


def pace(signals: Signals) -> Stated:
    """Return how fast the motion is as a whole: what can be said of every motion."""
    mean = float(np.mean(signals.values[BODY_SPEED]))
    what = next((b.what for b in BANDS if b.kind == "pace" and b.low < mean <= b.high), "steady")
    return Stated(Fact("pace", "dancer", what), 0, signals.frames)


def _both(found: list[Stated]) -> list[Stated]:
    """Return what the left and the right side do at once: for half of the shorter, or more."""
    together = []
    for one in found:
        if one.fact.subject.startswith("left") and one.fact.subject in PAIRED:
            twin = Fact(one.fact.kind, one.fact.subject.replace("left", "right"), one.fact.what)
            fact = Fact("symmetric", PAIRED[one.fact.subject], one.fact.what)
            for other in found:
                shared = min(one.stop, other.stop) - max(one.start, other.start)
                if other.fact == twin and 2 * shared >= min(one.frames, other.frames):
                    span = min(one.start, other.start), max(one.stop, other.stop)
                    together.append(Stated(fact, *span))
    return together
