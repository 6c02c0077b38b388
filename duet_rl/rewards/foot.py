"""Foot reward: a foot on the floor stays where it is."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.contact import ANKLE_ON_FLOOR, TOES_ON_FLOOR, foot_slide
from duet_rl.config import Config

FOOT_CREDITS = ("lower", "placement")  # both move the feet, and they must agree


class FootConfig(Config):
    """What counts as a foot on the floor, and how much sliding costs."""

    toes_on_floor: float = Field(TOES_ON_FLOOR, gt=0)  # m; lower toes are on the floor
    ankle_on_floor: float = Field(ANKLE_ON_FLOOR, gt=0)  # m; a lower ankle: the heel is on it
    free_speed: float = Field(0.10, ge=0)  # m/s; slower than this costs nothing
    scale: float = Field(0.50, gt=0)  # m/s of sliding at which the reward falls to 1/e


_DEFAULTS = FootConfig()


def foot_reward(
    joints: Float[Tensor, "B T 55 3"], fps: float, config: FootConfig = _DEFAULTS
) -> Float[Tensor, "B T"]:
    """Score how still the planted feet are, 1 (still) down to 0 (sliding).

    Args:
        joints: follower joints, `(B, T, 55, 3)`, metres, Y-up, floor at y = 0.
        fps: frames per second of `joints`.

    Returns:
        `(B, T)`; a frame with no foot on the floor scores 1.
    """
    slide = foot_slide(joints, fps, config.toes_on_floor, config.ankle_on_floor).amax(-1)
    return torch.exp(-(slide - config.free_speed).clamp_min(0) / config.scale)
