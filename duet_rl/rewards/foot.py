"""Foot reward: a foot on the floor stays where it is, and a dancer's feet step."""

import torch
from jaxtyping import Float
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
    rest_seconds: float | None = Field(2.0, gt=0)  # s that feet may rest while the leader's go ...
    rest_reach: float = Field(0.03, ge=0)  # m; ... feet that kept within this have rested ...
    step_reach: float = Field(0.08, gt=0)  # m; ... and feet that got this far have not
    jump_seconds: float | None = Field(0.6, ge=0)  # s that a jump takes; longer is floating
    float_scale: float = Field(0.2, gt=0)  # s beyond it at which the reward falls to 1/e


_DEFAULTS = FootConfig()


def foot_reward(
    joints: Float[Tensor, "B T 55 3"],
    fps: float,
    config: FootConfig = _DEFAULTS,
    leader: Float[Tensor, "B T 55 3"] | None = None,
) -> Float[Tensor, "B T"]:
    """Score how still the planted feet are, 1 (still) down to 0 (sliding).

    Feet that never step and feet that never touch the floor do not slide either, and earn
    nothing for it: not after `rest_seconds` on one spot while the leader's feet went on, nor
    after more than a jump in the air. Each frame is judged by earlier frames only.

    Args:
        joints: follower joints, `(B, T, 55, 3)`, metres, Y-up, floor at y = 0.
        fps: frames per second of `joints`.
        leader: joints of the partner; without them nobody knows whether the dance goes on, and
            feet may rest.

    Returns:
        `(B, T)`; a frame with no foot on the floor, in a jump, scores 1.
    """
    slide = foot_slide(joints, fps, config.toes_on_floor, config.ankle_on_floor).amax(-1)
    score = torch.exp(-(slide - config.free_speed).clamp_min(0) / config.scale)
    if leader is not None and config.rest_seconds is not None:
        own, his = (_stepping(dancer, fps, config) for dancer in (joints, leader))
        score = score * (1 - his * (1 - own))
    if config.jump_seconds is not None:
        too_long = (seconds_aloft(joints, fps) - config.jump_seconds).clamp_min(0)
        score = score * torch.exp(-too_long / config.float_scale)
    return score


def _stepping(joints: Tensor, fps: float, config: FootConfig) -> Tensor:
    """Return whether the feet went anywhere of late, 1 (yes, or not known yet) down to 0 (no)."""
    assert config.rest_seconds is not None
    reach = recent_foot_reach(joints, fps, config.rest_seconds)
    return ((reach - config.rest_reach) / (config.step_reach - config.rest_reach)).clamp(0, 1)
