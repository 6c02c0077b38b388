"""Curves of the synthetic dancers: through the beats, easing, and slow wobbles."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_WAVES = 5  # sine waves in a wobble
_SLOWEST, _FASTEST = 0.12, 0.7  # Hz


def ease(share: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return the minimum-jerk way from 0 to 1 (Flash & Hogan 1985), still at both ends."""
    x = share.clamp(0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def through_beats(
    keys: Float[Tensor, "K C"], beat: Float[Tensor, "T"], carry: float = 0.0
) -> Float[Tensor, "T C"]:
    """Return a curve that is at `keys[k]` on beat `k`, slow there and fast between.

    Args:
        keys: one row a beat.
        beat: the time of each frame in beats, within [0, K - 1].
        carry: the speed on a beat as a share of the mean speed around it; 0 stops on each.
    """
    slope = torch.zeros_like(keys)
    slope[1:-1] = carry * (keys[2:] - keys[:-2]) / 2
    before = beat.floor().long().clamp(0, len(keys) - 2)
    x = (beat - before)[:, None]
    x3, x4, x5 = x**3, x**4, x**5  # quintic Hermite with no acceleration on the beats
    arrive = 10 * x3 - 15 * x4 + 6 * x5
    leave_slope, arrive_slope = x - 6 * x3 + 8 * x4 - 3 * x5, -4 * x3 + 7 * x4 - 3 * x5
    after = before + 1
    return (
        keys[before] * (1 - arrive)
        + keys[after] * arrive
        + slope[before] * leave_slope
        + slope[after] * arrive_slope
    )


def wobble(
    seconds: Float[Tensor, "T"], channels: int, rng: np.random.Generator
) -> Float[Tensor, "T C"]:
    """Return slow smooth noise of unit variance: sums of sine waves."""
    hertz = torch.from_numpy(rng.uniform(_SLOWEST, _FASTEST, (_WAVES, channels)))
    phase = torch.from_numpy(rng.uniform(0, 2 * math.pi, (_WAVES, channels)))
    waves = torch.sin(2 * math.pi * hertz * seconds[:, None, None].double() + phase)
    return waves.sum(1) * math.sqrt(2 / _WAVES)
