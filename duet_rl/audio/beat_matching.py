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


def beat_f1(
    motion: Bool[Tensor, "B T"], music: Bool[Tensor, "B T"], fps: float, tolerance: float = 0.07
) -> Float[Tensor, "B"]:
    """Return the F1 of the beats of a motion against those of its music.

    Precision is the share of motion beats with a music beat within `tolerance`, recall the share
    of music beats with a motion beat as near.

    Args:
        motion: motion beats.
        music: music beats.
        fps: frames per second.
        tolerance: seconds.

    Returns:
        `(B,)`; 0 where nothing meets, NaN where the music has no beat.
    """
    slack = 1e-3 / fps  # a distance of whole frames is not spoilt by rounding
    on_music = nearest_beat(music, fps).distance <= tolerance + slack
    on_motion = nearest_beat(motion, fps).distance <= tolerance + slack
    hits, met = (motion & on_music).sum(1), (music & on_motion).sum(1)
    precision, recall = hits / motion.sum(1).clamp_min(1), met / music.sum(1)
    return 2 * precision * recall / torch.where(met > 0, precision + recall, 1.0)
