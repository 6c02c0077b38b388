"""A mean over clips and seeds with an interval that says how far to trust it."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.errors import InputError

DRAWS = 2000  # resamples; the ends of a 95 % interval then wobble by a few percent of its width
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean and the ends of its bootstrap interval."""

    mean: float
    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        """Return whether the two intervals have a value in common."""
        return self.low <= other.high and other.low <= self.high

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def bootstrap_mean(
    values: Float[Tensor, "clips seeds"], seed: int = 0, draws: int = DRAWS, level: float = LEVEL
) -> Interval:
    """Return the mean of `values` with its percentile bootstrap interval.

    Each draw resamples the clips, then the seeds within each clip drawn (Davison and Hinkley,
    Bootstrap Methods, 1997, 3.8), so both sources of chance widen the interval. Every clip counts
    alike, however many of its seeds have a value; one without any is left out (`applies`).

    Args:
        values: one measurement per clip and sampling seed; one column for what has no seed. NaN
            where the measure does not apply.
        seed: of the resampling; the same seed gives the same interval.
        draws: number of resamples.
        level: share of the draws inside the interval.

    Raises:
        InputError: there is no value that is not NaN, or one that is infinite.
    """
    if applies(values) == 0 or torch.isinf(values).any():
        raise InputError(
            f"{values.numel()} values, {int((~torch.isfinite(values)).sum())} of them not finite; "
            "a mean needs a finite value of at least one clip, and none that is infinite"
        )
    values = values.detach().double().cpu()
    values = values[torch.isfinite(values).any(1)]
    found = torch.isfinite(values)
    order = found.long().argsort(dim=1, descending=True, stable=True)
    values, counts = values.gather(1, order), found.sum(1)  # each clip's values first, then NaN
    clips, seeds = values.shape
    generator = torch.Generator().manual_seed(seed)
    picked_clips = torch.randint(clips, (draws, clips, 1), generator=generator)
    places = torch.rand((draws, clips, seeds), generator=generator, dtype=torch.float64)
    picked_seeds = (places * counts[picked_clips]).long()
    means = values[picked_clips, picked_seeds].mean(dim=(1, 2))
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = means.quantile(tails).tolist()
    return Interval(values.nanmean(1).mean().item(), low, high)


def applies(values: Float[Tensor, "clips seeds"]) -> int:
    """Return to how many clips a measure applies: those with a value that is not NaN."""
    return int(torch.isfinite(values).any(1).sum())
