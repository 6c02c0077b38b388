"""Which facts hold of a motion, and when."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from duet_rl.captions.changes import SHORTEST, kept, pace, swung, turned
from duet_rl.captions.facts import Fact, Stated
from duet_rl.captions.poses import POSES, Pose, bounds, pairs
from duet_rl.captions.runs import steady_runs
from duet_rl.captions.signals import Signals, signals_of


def facts_of(
    joints: Float[Tensor, "T J 3"], partner: Float[Tensor, "S J 3"] | None = None
) -> list[Stated]:
    """Return all facts of one dancer, in the order in which they begin.

    There is at least one, how fast the whole motion is.

    Args:
        joints: metres, Y-up, 30 fps.
        partner: joints of the other dancer in the same axes, for facts of the couple.

    Raises:
        InputError: joints that are not 55 or not finite, no frame, or a partner of other length.
    """
    signals = signals_of(joints, partner)
    found = [*_held(signals), *swung(signals), *turned(signals), *kept(signals)]
    whole = pace(signals)
    if all(stated.fact != whole.fact for stated in found):
        found.append(whole)
    return sorted(found, key=lambda stated: (stated.start, stated.stop, stated.fact.key))


def holds(
    fact: Fact, joints: Float[Tensor, "T J 3"], partner: Float[Tensor, "S J 3"] | None = None
) -> bool:
    """Return whether a fact is true of a motion; one of a couple is not without a partner.

    Raises:
        InputError: as `facts_of`.
    """
    return true_among(fact, facts_of(joints, partner), len(joints))


def true_among(fact: Fact, stated: Sequence[Stated], frames: int) -> bool:
    """Return whether a fact is true of a motion of so many frames, of which all is stated."""
    return bool(occurrences(fact, stated, frames))


def occurrences(fact: Fact, stated: Sequence[Stated], frames: int) -> list[Stated]:
    """Return when a fact holds, with its place in time and its relation to another fact."""
    bare = fact.bare
    found = [one for one in stated if one.fact == bare or _any_amount(bare, one.fact)]
    if fact.when == "first":
        return [s for s in found if 3 * s.start < frames and 3 * s.stop <= 2 * frames]
    if fact.when == "last":
        return [s for s in found if 3 * s.start >= frames and 3 * s.stop > 2 * frames]
    if fact.other is None:
        return found
    others = occurrences(fact.other, stated, frames)
    related = _after if fact.when == "then" else _beside
    return [s for s in found if any(related(s, other) for other in others)]


def _any_amount(fact: Fact, of: Fact) -> bool:
    """Return whether a fact is a turn to one side by any amount, and the other one is such."""
    return fact.kind == of.kind == "turn" and of.what.split()[0] == fact.what


def _after(one: Stated, other: Stated) -> bool:
    """Return whether one begins in the second half of the other, or later."""
    return 2 * one.start >= other.start + other.stop


def _beside(one: Stated, other: Stated) -> bool:
    """Return whether both hold at once for half of the shorter."""
    shared = min(one.stop, other.stop) - max(one.start, other.start)
    return 2 * shared >= min(one.frames, other.frames)


def _held(signals: Signals) -> list[Stated]:
    """Return the poses that are held, of one side and of both."""
    shown = {id(pose): _shown(pose, signals) for pose in POSES}
    found = [
        Stated(Fact("state", pose.subject, pose.what), *stretch)
        for pose in POSES
        for stretch in steady_runs(*shown[id(pose)], SHORTEST)
    ]
    for subject, what, (left, right) in pairs():
        weak, strong = (
            one & other for one, other in zip(shown[id(left)], shown[id(right)], strict=True)
        )
        fact = Fact("symmetric", subject, what)
        found += [Stated(fact, *stretch) for stretch in steady_runs(weak, strong, SHORTEST)]
    return found


def _shown(pose: Pose, signals: Signals) -> tuple[np.ndarray, np.ndarray]:
    """Return in which frames a pose is shown, and in which beyond doubt, `(T,)` each."""
    weak = np.ones(signals.frames, dtype=bool)
    strong = weak.copy()
    for group, categories in pose.wanted.items():
        value = signals.values[group]
        low, high, margin = bounds(group, categories)
        weak &= (value > low) & (value <= high)
        strong &= (value > low + margin) & (value <= high - margin)
    return weak, strong
