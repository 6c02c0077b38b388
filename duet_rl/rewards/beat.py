"""Beat reward: steps land on the beats of the music, and only there."""

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from duet_rl.audio.beat_matching import nearest_beat
from duet_rl.body.contact import LANDING_SPEED, STEP_SPEED, foot_landings
from duet_rl.config import Config

BEAT_CREDITS = ("lower", "placement")

_TINY = 1e-6  # keeps 0 / 0 at 0


class BeatConfig(Config):
    """What a step is, and how exactly it must meet a beat."""

    landing_speed: float = Field(LANDING_SPEED, gt=0)  # m/s; a slower foot has landed ...
    step_speed: float = Field(STEP_SPEED, gt=0)  # m/s; ... if it was faster than this before
    free_delay: float = Field(0.04, ge=0)  # s beside the beat that cost nothing
    sigma: float = Field(0.05, gt=0)  # s beyond it at which 0.61 is left


_DEFAULTS = BeatConfig()


def beat_reward(
    joints: Float[Tensor, "B T 55 3"],
    beats: Bool[Tensor, "B T"],
    fps: float,
    config: BeatConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score how well steps meet music beats, 1 (all meet) down to 0 (none).

    The frames nearest to one music beat share one score: the harmonic mean of recall (the best
    landing among them) and precision (the mean of all landings among them), so that extra steps
    cost precision and standing still costs recall. Trembling feet never land. A step may be held
    over one beat: a beat without a landing takes the score of the better neighbour.

    The landing of a foot is the motion beat that tells most: minima of the whole body's speed
    (Duolando 7.5) lie anywhere between beats as soon as arms and turns join in.

    Args:
        joints: follower joints, metres.
        beats: music beats.
        fps: frames per second.

    Returns:
        `(B, T)`; 1 all through a dance whose music has no beat.
    """
    music = nearest_beat(beats, fps)
    landings = foot_landings(joints, fps, config.landing_speed, config.step_speed).sum(-1)
    # A step before the first or after the last music beat may belong to a beat that is cut off.
    count = landings * (music.distance <= _half_period(beats, fps))
    late = (music.distance - config.free_delay).clamp_min(0)
    met = count * torch.exp(-0.5 * (late / config.sigma).square())
    steps = _sum_per_beat(count.to(met.dtype), music.rank)
    precision = _sum_per_beat(met, music.rank) / steps.clamp_min(1)
    best = torch.where(count > 0, met / count.clamp_min(1), 0.0)
    recall = torch.zeros_like(met).scatter_reduce(1, music.rank, best, "amax")
    score = 2 * precision * recall / (precision + recall).clamp_min(_TINY)
    neighbours = torch.maximum(pad(score, (1, 0))[:, :-1], pad(score, (0, 1))[:, 1:])
    score = torch.where(steps > 0, score, neighbours)
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
