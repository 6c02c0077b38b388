"""What a judge made of an attack: whether it scored worse than the truth, beyond chance."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.audit.judges import Better
from duet_rl.metrics.bootstrap import LEVEL, Interval, bootstrap_mean

Said = Literal["sees", "barely", "fooled", "prefers", "n/a"]
FOOLED: tuple[Said, ...] = ("fooled", "prefers")
BARELY = 0.02  # of the worst attack's loss; a smaller one nobody would act on
ROUNDING = 1e-5  # of the greatest loss or gain; a smaller one is none
FEWEST_TAKES = 3  # for an interval over takes
GROUPS = 10  # of takes, at most, that the jackknife leaves out one by one


class Verdict(NamedTuple):
    """One judge on one attack.

    `sees`: it scores worse. `barely`: worse, but by under 2 % of what the worst attack loses.
    `fooled`: not worse beyond chance. `prefers`: better than the truth, beyond chance.
    """

    said: Said
    truth: float  # the judge's number of the true partners ...
    value: float  # ... and of the attack, on the same windows
    loss: Interval | None  # by how much the attack is worse, in the judge's unit
    share: float  # of the loss of the attack that this judge finds worst; NaN without a loss
    reason: str  # why it is n/a, or what else there is to say

    @property
    def fooled(self) -> bool:
        """Whether the attack scores as well as the truth, or better."""
        return self.said in FOOLED


class Trial(NamedTuple):
    """What was counted of truth and attack, before attacks are held against each other."""

    truth: float
    value: float
    difference: Interval | None  # attack less truth
    reason: str


def try_clips(
    truth: Float[Tensor, "R"], attack: Float[Tensor, "R"], takes: Int[Tensor, "R"], seed: int = 0
) -> Trial:
    """Return the paired difference, with a bootstrap interval over takes and their windows.

    Args:
        truth: of each window; NaN where the judge does not apply.
        attack: the same of the attack.
        takes: what each window was cut from.
        seed: of the bootstrap.
    """
    both = torch.isfinite(truth) & torch.isfinite(attack)
    found = takes[both].unique()
    if len(found) < FEWEST_TAKES:
        return Trial(*_means(truth, attack), None, _why(truth, attack, takes))
    difference = (attack - truth)[both].double()
    rows = torch.searchsorted(found, takes[both])
    counts = torch.bincount(rows)
    table = torch.full((len(found), int(counts.max())), torch.nan, dtype=torch.float64)
    for row in range(len(found)):
        table[row, : counts[row]] = difference[rows == row]
    reason = "" if both.all() else f"applies to {int(both.sum())} of {len(both)} windows"
    interval = bootstrap_mean(table, seed)
    return Trial(*_means(truth[both], attack[both]), interval, reason)


def try_sets(
    truth: Callable[[Bool[Tensor, "R"]], tuple[float, str]],
    attack: Callable[[Bool[Tensor, "R"]], tuple[float, str]],
    takes: Int[Tensor, "R"],
) -> Trial:
    """Return the paired difference of two scores of sets, with a jackknife interval over takes.

    Groups of takes are left out of both, one by one (the delete-a-group jackknife, Kott 2001).

    Args:
        truth: which windows are kept -> the score, or NaN and why.
        attack: the same of the attack.
        takes: what each window was cut from.
    """
    everything = torch.ones_like(takes, dtype=torch.bool)
    (before, why), (after, why_not) = truth(everything), attack(everything)
    groups = min(GROUPS, len(takes.unique()))
    reason = why_not or why
    if not math.isfinite(after - before) or groups < FEWEST_TAKES:
        return Trial(before, after, None, reason or f"{groups} takes, too few for an interval")
    left = [
        attack(kept)[0] - truth(kept)[0] for kept in (takes % groups != g for g in range(groups))
    ]
    if not np.isfinite(left).all():
        return Trial(before, after, None, "without some of the takes there are too few windows")
    spread = math.sqrt((groups - 1) / groups * float(np.sum((np.array(left) - np.mean(left)) ** 2)))
    from scipy import stats  # which is slow to load

    reach = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1)) * spread
    difference = after - before
    return Trial(
        before, after, Interval(difference, difference - reach, difference + reach), reason
    )


def verdicts(trials: Sequence[Trial], better: Better) -> list[Verdict]:
    """Return what one judge says of all attacks.

    Args:
        trials: one an attack.
        better: which values of the judge are the better ones.
    """
    losses = [None if t.difference is None else _loss(t.difference, better) for t in trials]
    means = [loss.mean for loss in losses if loss is not None]
    worst, least = max(means, default=0.0), ROUNDING * max(map(abs, means), default=0.0)
    return [_verdict(*pair, worst, least) for pair in zip(trials, losses, strict=True)]


def _verdict(trial: Trial, loss: Interval | None, worst: float, least: float) -> Verdict:
    if loss is None:
        return Verdict("n/a", trial.truth, trial.value, None, math.nan, trial.reason)
    said: Said = "fooled"
    if loss.high < 0 and loss.mean < -least:
        said = "prefers"
    elif loss.low > 0 and loss.mean > least:
        said = "sees" if loss.mean >= BARELY * worst else "barely"
    share = loss.mean / worst if worst > 0 else 0.0
    return Verdict(said, trial.truth, trial.value, loss, share, trial.reason)


def _loss(difference: Interval, better: Better) -> Interval:
    """Return how much worse the attack is; where truth is the best, any difference is worse."""
    negative = Interval(-difference.mean, -difference.high, -difference.low)
    if better == "lower":
        return difference
    if better == "higher":
        return negative
    return difference if difference.mean >= 0 else negative


def _means(truth: Tensor, attack: Tensor) -> tuple[float, float]:
    return float(truth.nanmean()), float(attack.nanmean())


def _why(truth: Tensor, attack: Tensor, takes: Tensor) -> str:
    """Return why a judge of clips says too little of an attack."""
    for name, values in (("the truth", truth), ("the attack", attack)):
        known = int(torch.isfinite(values).sum())
        if not known:
            return f"has no number for {name}"
        if len(takes[torch.isfinite(values)].unique()) < FEWEST_TAKES:
            return f"has a number for {name} in {known} of {len(values)} windows only"
    return f"fewer than {FEWEST_TAKES} takes in which both have a number"
