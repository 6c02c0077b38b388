"""Beat reward: the body comes to rest on the beats of the music, and only there."""

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from duet_rl.audio.beat_matching import nearest_beat
from duet_rl.audio.beats import mean_speed, motion_beats
from duet_rl.config import Config

BEAT_CREDITS = ("upper", "lower", "placement")

_BODY = slice(0, 22)  # fingers and face keep no beat
_TINY = 1e-6  # keeps 0 / 0 at 0


class BeatConfig(Config):
    """How exact a beat must be met, and what counts as dancing."""

    sigma: float = Field(0.08, gt=0)  # s between beat and motion beat at which 0.61 is left
    lively: float = Field(0.15, gt=0)  # m/s of mean joint speed below which a body hardly dances


_DEFAULTS = BeatConfig()


def beat_reward(
    joints: Float[Tensor, "B T 55 3"],
    beats: Bool[Tensor, "B T"],
    fps: float,
    config: BeatConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score how well motion beats meet music beats, 1 (all meet) down to 0 (none).

    The frames nearest to one music beat share one score: the harmonic mean of recall (the best
    motion beat among them) and precision (the mean of all motion beats among them), so that jitter
    costs precision and standing still costs recall. A step may be held over one beat: a beat with
    no motion beat of its own takes the score of the better neighbour.

    Args:
        joints: follower joints, metres.
        beats: music beats.
        fps: frames per second.

    Returns:
        `(B, T)`; 1 all through a dance whose music has no beat.
    """
    body = joints[:, :, _BODY]
    music = nearest_beat(beats, fps)
    # A motion beat before the first or after the last music beat may belong to one that is cut off.
    counted = motion_beats(body, fps) & (music.distance <= _half_period(beats, fps))
    met = counted * torch.exp(-0.5 * (music.distance / config.sigma).square())
    count = _sum_per_beat(counted.to(met.dtype), music.rank)
    precision = _sum_per_beat(met, music.rank) / count.clamp_min(1)
    recall = torch.zeros_like(met).scatter_reduce(1, music.rank, met, "amax")
    score = 2 * precision * recall / (precision + recall).clamp_min(_TINY)
    neighbours = torch.maximum(pad(score, (1, 0))[:, :-1], pad(score, (0, 1))[:, 1:])
    score = torch.where(count > 0, score, neighbours)
    speed = mean_speed(body, fps)
    speed = _sum_per_beat(speed, music.rank) / _sum_per_beat(
        torch.ones_like(speed), music.rank
    ).clamp_min(1)
    score = score * (speed / config.lively).clamp_max(1)
    return torch.where(beats.any(1, keepdim=True), score.gather(1, music.rank), 1.0)


def _sum_per_beat(values: Tensor, rank: Tensor) -> Tensor:
    """Return the sum of `values` over the frames nearest to each beat, `(B, T)` by rank."""
    return torch.zeros_like(values).scatter_add(1, rank, values)


def _half_period(beats: Tensor, fps: float) -> Tensor:
    """Return half the mean time between beats of each row, seconds, `(B, 1)`."""
    frame = torch.arange(beats.shape[1], device=beats.device)
    last = torch.where(beats, frame, 0).amax(1)
    first = torch.where(beats, frame, beats.shape[1]).amin(1)
    intervals = beats.sum(1) - 1
    period = (last - first) / (intervals * fps)
    return torch.where(intervals > 0, period / 2, torch.inf)[:, None]
