"""Foot reward: a foot on the floor stays where it is, and a dancer's feet step."""

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.activity import recent_foot_reach, seconds_aloft
from duet_rl.body.contact import ANKLE_ON_FLOOR, TOES_ON_FLOOR, foot_slide
from duet_rl.config import Config

FOOT_CREDITS = ("lower", "placement")  # both move the feet, and they must agree


class FootConfig(Config):
    """What counts as a foot on the floor, and how much sliding, resting and floating cost.

    With `rest_seconds` and `jump_seconds` None, nothing but sliding costs.
    """

    toes_on_floor: float = Field(TOES_ON_FLOOR, gt=0)  # m; lower toes are on the floor
    ankle_on_floor: float = Field(ANKLE_ON_FLOOR, gt=0)  # m; a lower ankle: the heel is on it
    free_speed: float = Field(0.10, ge=0)  # m/s; slower than this costs nothing
    scale: float = Field(0.50, gt=0)  # m/s of sliding at which the reward falls to 1/e
    rest_seconds: float | None = Field(2.0, gt=0)  # s that feet may rest while the dance goes on
    rest_reach: float = Field(0.03, ge=0)  # m; feet that kept within this have rested ...
    step_reach: float = Field(0.08, gt=0)  # m; ... and feet that got this far have not
    jump_seconds: float | None = Field(0.6, ge=0)  # s that a jump takes; longer is floating
    float_scale: float = Field(0.2, gt=0)  # s beyond it at which the reward falls to 1/e


_DEFAULTS = FootConfig()
_PAUSE = 2.0  # s; music without a beat for so long pauses


def foot_reward(
    joints: Float[Tensor, "B T 55 3"],
    fps: float,
    config: FootConfig = _DEFAULTS,
    leader: Float[Tensor, "B T 55 3"] | None = None,
    beats: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T"]:
    """Score how still the planted feet are, 1 (still) down to 0 (sliding).

    Feet that never step and feet that never touch the floor do not slide either, and earn
    nothing for it: not after `rest_seconds` on one spot while the dance went on, nor after more
    than a jump in the air. The dance goes on while the leader's feet do and, for a dancer alone,
    while the music has beats. Each frame is judged by earlier frames only.

    Args:
        joints: follower joints, `(B, T, 55, 3)`, metres, Y-up, floor at y = 0.
        fps: frames per second of `joints`.
        leader: joints of the partner.
        beats: of the music, which tell where there is no leader. Without both nobody knows whether
            the dance goes on, and feet may rest.

    Returns:
        `(B, T)`; a frame with no foot on the floor, in a jump, scores 1.
    """
    slide = foot_slide(joints, fps, config.toes_on_floor, config.ankle_on_floor).amax(-1)
    score = torch.exp(-(slide - config.free_speed).clamp_min(0) / config.scale)
    if (dance := _going_on(leader, beats, fps, config)) is not None:
        score = score * (1 - dance * (1 - _stepping(joints, fps, config)))
    if config.jump_seconds is not None:
        too_long = (seconds_aloft(joints, fps) - config.jump_seconds).clamp_min(0)
        score = score * torch.exp(-too_long / config.float_scale)
    return score


def _going_on(
    leader: Tensor | None, beats: Tensor | None, fps: float, config: FootConfig
) -> Tensor | None:
    """Return whether the dance went on of late, 1 (yes) down to 0 (no); None if nobody knows."""
    if config.rest_seconds is None:
        return None
    if leader is not None:
        return _stepping(leader, fps, config)
    return None if beats is None else _music_went_on(beats, fps, config.rest_seconds)


def _music_went_on(beats: Bool[Tensor, "B T"], fps: float, seconds: float) -> Float[Tensor, "B T"]:
    """Return 1 where the music had no pause in the last `seconds`; a beat may precede the cut."""
    frame = torch.arange(beats.shape[1], device=beats.device).expand(beats.shape)
    last_beat = torch.where(beats, frame, 0).cummax(dim=1).values
    pauses = frame - last_beat >= _PAUSE * fps
    last_pause = torch.where(pauses, frame, frame[:, :1] - round(seconds * fps)).cummax(1).values
    return (frame - last_pause >= seconds * fps).float()


def _stepping(joints: Tensor, fps: float, config: FootConfig) -> Tensor:
    """Return whether the feet went anywhere of late, 1 (yes, or not known yet) down to 0 (no)."""
    assert config.rest_seconds is not None
    reach = recent_foot_reach(joints, fps, config.rest_seconds)
    return ((reach - config.rest_reach) / (config.step_reach - config.rest_reach)).clamp(0, 1)
