"""Two series of beats held against each other: how far each moment is from the nearest beat."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class NearestBeat(NamedTuple):
    """The beat nearest to every frame."""

    rank: Int[Tensor, "B T"]  # 0 for the first beat of the row; 0 too in a row without beats
    distance: Float[Tensor, "B T"]  # seconds; infinite in a row without beats


def nearest_beat(beats: Bool[Tensor, "B T"], fps: float) -> NearestBeat:
    """Return which beat is nearest to every frame, and how far away it is.

    Args:
        beats: whether a beat falls on each frame.
        fps: frames per second.
    """
    frame = torch.arange(beats.shape[1], device=beats.device, dtype=torch.float32)
    never = torch.full((), torch.inf, device=beats.device)
    last = torch.where(beats, frame, -never).cummax(dim=1).values
    following = torch.where(beats, frame, never).flip(1).cummin(dim=1).values.flip(1)
    since, until = frame - last, following - frame
    counted = beats.cumsum(1)
    rank = torch.where(since <= until, counted - 1, counted - beats.long())
    return NearestBeat(rank.clamp_min(0), torch.minimum(since, until) / fps)
