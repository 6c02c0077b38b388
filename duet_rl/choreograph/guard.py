"""The quality guard: which state of a follower that is being fine-tuned is the one to keep."""

import math
from collections.abc import Callable, Mapping, Sequence

from duet_rl.choreograph.settings import GuardConfig
from duet_rl.config import Config


class Look(Config):
    """What was seen of a follower when it danced a whole song with the held seeds.

    Args:
        iteration: after how many iterations; 0 is before the first.
        reward: mean over the dances; what is not a number is None.
        terms: of the reward.
        kl: nats a token to what it was.
        jerk: m/s^3, mean over the dances.
        diversity: m between the dances; None where they cannot differ.
        frozen: share of the frames.
        held: share of the frames in which a hand holds the leader; None for a dancer alone.
    """

    iteration: int
    reward: float | None
    terms: Mapping[str, float | None] = {}
    kl: float | None = 0.0
    jerk: float | None = None
    diversity: float | None = None
    frozen: float | None = None
    held: float | None = None


class Check(Look):
    """A look and what the guard says of it: a line of the record."""

    better: bool  # than all that passed before
    faults: tuple[str, ...] = ()  # for which it was refused

    @property
    def verdict(self) -> str:
        """What is said of it, in words."""
        if self.faults:
            return f"refused: {'; '.join(self.faults)}"
        return "the best so far" if self.better else "no better"


class Guard:
    """Judges looks one after the other, and says when it is enough.

    The best is the look of the highest reward among those without a fault. What the follower was
    before counts as the first of them, so that nothing worse is ever kept.

    Args:
        config: limits.
        before: the look before the first iteration.
        earlier: checks of a run that goes on.
    """

    def __init__(self, config: GuardConfig, before: Look, earlier: Sequence[Check] = ()) -> None:
        self.config, self.before = config, before
        self.checks = [Check(**before.model_dump(), better=True), *earlier]

    @property
    def best(self) -> Check:
        """The check of what is to be kept."""
        return next(check for check in reversed(self.checks) if check.better)

    @property
    def enough(self) -> str:
        """Why to stop; "" to go on."""
        since = self.checks[self.checks.index(self.best) + 1 :]
        if len(since) < self.config.patience:
            return ""
        refused = [check for check in since if check.faults]
        if len(refused) == len(since):
            return f"refused {len(since)} times ({'; '.join(refused[-1].faults)})"
        return f"no better in {len(since)} looks"

    def judge(self, look: Look) -> Check:
        """Return the check of a look, which joins the others."""
        faults = tuple(self._faults(look))
        best = self.best.reward
        gained = look.reward is not None and (
            best is None or look.reward - best > self.config.least_gain
        )
        check = Check(**look.model_dump(), better=gained and not faults, faults=faults)
        self.checks.append(check)
        return check

    def _faults(self, look: Look) -> list[str]:
        """Return what speaks against keeping what was seen."""
        config, before = self.config, self.before
        at_most = {
            "kl": (look.kl, config.most_kl),
            "jerk": (look.jerk, _times(before.jerk, config.most_jerk)),
            "frozen share": (look.frozen, _plus(before.frozen, config.most_frozen)),
        }
        faults = ["reward is no number"] if look.reward is None else []
        at_least = {
            "diversity": (look.diversity, _times(before.diversity, config.least_diversity)),
            "held share": (look.held, _times(before.held, config.least_held)),
        }
        faults += _beyond(at_most, "above", lambda value, most: value > most)
        faults += _beyond(at_least, "below", lambda value, least: value < least)
        return faults


def _beyond(
    limits: Mapping[str, tuple[float | None, float | None]],
    side: str,
    is_beyond: Callable[[float, float], bool],
) -> list[str]:
    """Return what lies on the wrong side of its limit; without a limit nothing does."""
    faults = []
    for name, (value, limit) in limits.items():
        if limit is None:  # there was nothing to be held against
            continue
        if value is None:
            faults.append(f"{name} is no number")
        elif is_beyond(value, limit):
            faults.append(f"{name} {value:.3g} {side} {limit:.3g}")
    return faults


def number(value: float) -> float | None:
    """Return a number as JSON knows it: None for what is none."""
    return value if math.isfinite(value) else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _plus(value: float | None, more: float) -> float | None:
    return None if value is None else value + more
