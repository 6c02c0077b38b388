"""Rewards brought to mean 0 and standard deviation 1, stream by stream."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_SMALLEST_STD = 1e-3  # what hardly varies is not blown up


class RewardMoments(NamedTuple):
    """What is known of the rewards of `S` streams."""

    seen: Float[Tensor, ""]  # rewards of each stream
    mean: Float[Tensor, "S"]
    squares: Float[Tensor, "S"]  # sum of squared deviations from the mean


class RewardScale:
    """Normalises the rewards of each batch, by its own moments or by those of all so far.

    Args:
        by: `batch`, `running`, or None to leave rewards as they are.
    """

    def __init__(self, by: Literal["batch", "running"] | None) -> None:
        self.by = by
        self._moments: RewardMoments | None = None  # of all rewards so far, this batch included

    def __call__(self, rewards: Float[Tensor, "B N S"]) -> Float[Tensor, "B N S"]:
        if self.by is None:
            return rewards
        now = moments_of(rewards)
        if not torch.isfinite(now.squares).all():  # the step will be left out: learn nothing of it
            return rewards
        if self.by == "batch":
            return normalised(rewards, now)
        if self._moments is not None:
            now = merged(RewardMoments(*(part.to(rewards) for part in self._moments)), now)
        self._moments = now
        return normalised(rewards, now)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is known of the rewards, for a checkpoint."""
        return {} if self._moments is None else self._moments._asdict()

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` returned."""
        self._moments = RewardMoments(**tensors) if tensors else None


def moments_of(rewards: Float[Tensor, "B N S"]) -> RewardMoments:
    """Return the moments of one batch."""
    seen = torch.as_tensor(float(rewards[..., 0].numel()), device=rewards.device)
    mean = rewards.mean(dim=(0, 1))
    return RewardMoments(seen, mean, (rewards - mean).square().sum(dim=(0, 1)))


def merged(before: RewardMoments, now: RewardMoments) -> RewardMoments:
    """Return the moments of two batches together (Chan et al. 1983)."""
    seen = before.seen + now.seen
    shift = now.mean - before.mean
    mean = before.mean + shift * (now.seen / seen)
    between = shift.square() * (before.seen * now.seen / seen)
    return RewardMoments(seen, mean, before.squares + now.squares + between)


def normalised(rewards: Float[Tensor, "B N S"], moments: RewardMoments) -> Float[Tensor, "B N S"]:
    """Return rewards with the mean taken off, in standard deviations."""
    std = (moments.squares / moments.seen).sqrt().clamp_min(_SMALLEST_STD)
    return (rewards - moments.mean) / std
