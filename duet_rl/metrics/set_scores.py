"""KID, FID and DIV of sets of windows, each with an interval, or with the reason for none.

What is drawn anew in the bootstrap is the clip and not the window: windows of a clip are alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.metrics.bootstrap import DRAWS, LEVEL, Interval
from duet_rl.metrics.frechet import Moments, constant_features, frechet_distance, moments

KERNEL_DEGREE = 3  # of KID's polynomial kernel (x . y / d + 1)^3
FID_DRAWS = 200  # resamples; each takes two eigenvalue problems of the features' dimensions
FEWEST_CLIPS = 2
LEAST_DEVIATION = 1e-6  # m, m/s or a share; a feature near 0 that varies less is rounding alone
_PAIRS_AT_ONCE = 1 << 22  # pairs of windows whose kernel is held in memory


class FeatureSet(NamedTuple):
    """Features of windows, and which clip each was cut from."""

    features: Float[Tensor, "N D"]
    clips: Int[Tensor, "N"]  # a number a clip; in two sets that are compared, the same for the same


class SetScore(NamedTuple):
    """A score of two sets."""

    interval: Interval | None  # none where it would mean nothing
    samples: int  # windows, of
    clips: int  # clips
    reference: int  # windows that they were held against
    reason: str  # why there is no interval, or what was left out; "" if nothing is to be said

    def __format__(self, spec: str) -> str:
        return "-" if self.interval is None else format(self.interval, spec)


class _Sets(NamedTuple):
    """Two sets that can be compared: features in units of the reference's deviation."""

    samples: Float[Tensor, "N D"]
    reference: Float[Tensor, "M D"]
    sample_rows: Int[Tensor, "N"]  # the clip of each window, counted through over both sets
    reference_rows: Int[Tensor, "M"]
    in_samples: Bool[Tensor, "C"]  # whether the clip has a window there
    in_reference: Bool[Tensor, "C"]


def kid(
    samples: FeatureSet,
    reference: FeatureSet,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> SetScore:
    """Return KID, the squared maximum mean discrepancy under the kernel (x . y / d + 1)^3.

    The estimate of Bińkowski et al. (Demystifying MMD GANs, 2018) has no bias, so it does not
    depend on how many clips there are and may fall below 0. Here it is made of the kernel's means
    over pairs of clips, every clip counting alike. A clip is never paired with itself, neither
    within a set nor, where a number is in both, across. Resamples weigh clips by how often they
    were drawn, so that a clip drawn twice does not meet its double either.

    Args:
        samples: of the follower.
        reference: by whose mean and deviation all features are standardised.
        seed: of the resampling.
        draws: number of resamples.
        level: share of the draws inside the interval.
    """
    sets, reason = _prepare(samples, reference)
    if sets is None:
        return _score(None, samples, reference, reason)
    within = _clip_means(_kernel, *(2 * (sets.samples, sets.sample_rows)), len(sets.in_samples))
    beside = _clip_means(
        _kernel, *(2 * (sets.reference, sets.reference_rows)), len(sets.in_samples)
    )
    across = _clip_means(
        _kernel,
        *(sets.samples, sets.sample_rows, sets.reference, sets.reference_rows),
        len(sets.in_samples),
    )

    def discrepancy(weights: Tensor) -> Tensor:
        ours, theirs = weights * sets.in_samples, weights * sets.in_reference
        return (
            _pair_mean(within, ours, ours)
            + _pair_mean(beside, theirs, theirs)
            - 2 * _pair_mean(across, ours, theirs)
        )

    interval = _percentiles(discrepancy, sets, seed, draws, level)
    return _score(interval, samples, reference, reason)


def div(
    samples: FeatureSet,
    reference: FeatureSet,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> SetScore:
    """Return the mean distance between windows of different clips, features standardised.

    The reference gives the unit only; `div(reference, reference)` is what to compare it with.

    Args:
        samples: of the follower.
        reference: by whose mean and deviation all features are standardised.
        seed: of the resampling.
        draws: number of resamples.
        level: share of the draws inside the interval.
    """
    sets, reason = _prepare(samples, reference)
    if sets is None:
        return _score(None, samples, reference, reason)
    apart = _clip_means(_distance, *(2 * (sets.samples, sets.sample_rows)), len(sets.in_samples))

    def spread(weights: Tensor) -> Tensor:
        ours = weights * sets.in_samples
        return _pair_mean(apart, ours, ours)

    interval = _percentiles(spread, sets, seed, draws, level)
    return _score(interval, samples, reference, reason)


def fid(
    samples: FeatureSet,
    reference: FeatureSet,
    seed: int = 0,
    draws: int = FID_DRAWS,
    level: float = LEVEL,
) -> SetScore:
    """Return FID, the squared Fréchet distance of normal distributions fitted to the sets.

    FID is biased upwards, the more so the fewer windows there are: compare only numbers of equal
    counts, or take KID. Resampling adds the same bias once more, so the interval has the width of
    the resamples but is centred on the estimate.

    Args:
        samples: of the follower.
        reference: by whose mean and deviation all features are standardised.
        seed: of the resampling.
        draws: number of resamples.
        level: share of the draws inside the interval.
    """
    sets, reason = _prepare(samples, reference)
    if sets is None:
        return _score(None, samples, reference, reason)
    fewest = sets.samples.shape[1] + 1
    for name, count in (("", len(sets.samples)), ("reference ", len(sets.reference))):
        if count < fewest:
            few = f"{count} {name}windows in {fewest - 1} dimensions, at least {fewest} are wanted"
            return _score(None, samples, reference, "; ".join(filter(None, [few, reason])))
    estimate = float(frechet_distance(moments(sets.samples), moments(sets.reference)))
    weights = _weights(sets, seed, draws)
    found = torch.stack(
        [
            frechet_distance(
                _weighted(sets.samples, drawn[sets.sample_rows]),
                _weighted(sets.reference, drawn[sets.reference_rows]),
            )
            for drawn in weights
        ]
    )
    low, middle, high = found.nanquantile(_tails(level, 0.5)).tolist()
    interval = Interval(estimate, max(0.0, estimate + low - middle), estimate + high - middle)
    return _score(interval, samples, reference, reason)


def _prepare(samples: FeatureSet, reference: FeatureSet) -> tuple[_Sets | None, str]:
    """Return the sets ready to be compared, or none, and what there is to say."""
    for name, given in (("", samples), ("reference ", reference)):
        broken = int((~torch.isfinite(given.features)).any(1).sum())
        if broken:
            return None, f"{broken} of {len(given.features)} {name}windows are not finite"
        clips = len(given.clips.unique())
        if clips < FEWEST_CLIPS:
            return None, f"{clips} {name}clips, at least {FEWEST_CLIPS} are wanted"
    deviates = reference.features.double().std(0, correction=0)
    constant = constant_features(reference.features) | (deviates < LEAST_DEVIATION)
    told = f"{int(constant.sum())} of {len(constant)} features are constant in the reference"
    if constant.all():
        return None, told
    ours, theirs = (
        samples.features.double()[:, ~constant],
        reference.features.double()[:, ~constant],
    )
    mean, deviation = theirs.mean(0), theirs.std(0, correction=0)
    numbers, rows = torch.cat([samples.clips, reference.clips]).unique(return_inverse=True)
    sample_rows, reference_rows = rows.split([len(ours), len(theirs)])
    sets = _Sets(
        (ours - mean) / deviation,
        (theirs - mean) / deviation,
        sample_rows,
        reference_rows,
        _present(sample_rows, len(numbers)),
        _present(reference_rows, len(numbers)),
    )
    return sets, f"left out: {told}" if constant.any() else ""


def _score(
    interval: Interval | None, samples: FeatureSet, reference: FeatureSet, reason: str
) -> SetScore:
    clips = len(samples.clips.unique())
    return SetScore(interval, len(samples.features), clips, len(reference.features), reason)


def _kernel(one: Float[Tensor, "N D"], other: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    return (one @ other.mT / one.shape[1] + 1) ** KERNEL_DEGREE


def _distance(one: Float[Tensor, "N D"], other: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    return torch.cdist(one, other)


def _clip_means(
    function: Callable[[Tensor, Tensor], Tensor],
    one: Float[Tensor, "N D"],
    one_rows: Int[Tensor, "N"],
    other: Float[Tensor, "M D"],
    other_rows: Int[Tensor, "M"],
    clips: int,
) -> Float[Tensor, "C C"]:
    """Return the means of a function of two windows over pairs of clips; 0 of a clip with itself.

    Rows of clips that a set does not have are 0.
    """
    total = one.new_zeros(clips, clips)
    step = max(1, _PAIRS_AT_ONCE // max(1, len(other)))
    for part, rows in zip(one.split(step), one_rows.split(step), strict=True):
        columns = one.new_zeros(len(part), clips).index_add_(1, other_rows, function(part, other))
        total.index_add_(0, rows, columns)
    counts = [torch.bincount(rows, minlength=clips).clamp_min(1) for rows in (one_rows, other_rows)]
    return (total / counts[0][:, None] / counts[1]).fill_diagonal_(0)


def _pair_mean(
    means: Float[Tensor, "C C"], ours: Float[Tensor, "draws C"], theirs: Float[Tensor, "draws C"]
) -> Float[Tensor, "draws"]:
    """Return the mean over pairs of different clips by weight; NaN where no pair has any."""
    pairs = ours.sum(1) * theirs.sum(1) - (ours * theirs).sum(1)
    return ((ours @ means) * theirs).sum(1) / torch.where(pairs > 0, pairs, torch.nan)


def _percentiles(
    estimate: Callable[[Tensor], Tensor], sets: _Sets, seed: int, draws: int, level: float
) -> Interval:
    """Return the estimate from clips of equal weight, with the percentiles of its resamples."""
    equal = torch.ones(1, len(sets.in_samples), dtype=sets.samples.dtype)
    low, high = estimate(_weights(sets, seed, draws)).nanquantile(_tails(level)).tolist()
    return Interval(float(estimate(equal.to(sets.samples.device))), low, high)


def _weights(sets: _Sets, seed: int, draws: int) -> Float[Tensor, "draws C"]:
    """Return how often each clip is drawn: those of one set, of the other and of both apart."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.zeros(draws, len(sets.in_samples), dtype=sets.samples.dtype)
    ours, theirs = sets.in_samples.cpu(), sets.in_reference.cpu()
    for group in (ours & ~theirs, ours & theirs, theirs & ~ours):
        rows = group.nonzero()[:, 0]
        if len(rows):
            picked = rows[torch.randint(len(rows), (draws, len(rows)), generator=generator)]
            weights.scatter_add_(1, picked, torch.ones_like(picked, dtype=weights.dtype))
    return weights.to(sets.samples.device)


def _weighted(features: Float[Tensor, "N D"], weights: Float[Tensor, "N"]) -> Moments:
    """Return the moments of a set in which each row is there `weights` times."""
    total = weights.sum()
    mean = weights @ features / total
    centred = features - mean
    return Moments(mean, (centred * weights[:, None]).mT @ centred / (total - 1))


def _present(rows: Int[Tensor, "N"], clips: int) -> Bool[Tensor, "C"]:
    return torch.bincount(rows, minlength=clips) > 0


def _tails(level: float, *between: float) -> Float[Tensor, "Q"]:
    return torch.tensor([(1 - level) / 2, *between, (1 + level) / 2], dtype=torch.float64)
