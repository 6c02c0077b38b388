"""Tracking reward: near the place and the facing of the true partner."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.config import Config

TRACKING_CREDITS = ("placement",)


class TrackingConfig(Config):
    """How near is near; without this term RL learns to cling."""

    free_distance: float = Field(0.05, ge=0)  # m from the true root that cost nothing
    distance_scale: float = Field(0.40, gt=0)  # m beyond it at which nearness falls to 1/e
    free_angle: float = Field(0.15, ge=0)  # rad from the true facing that cost nothing
    angle_scale: float = Field(1.0, gt=0)  # rad beyond it at which agreement falls to 1/e
    facing_share: float = Field(0.4, ge=0, le=1)  # of the reward; the rest is for the place


_DEFAULTS = TrackingConfig()


def tracking_reward(
    joints: Float[Tensor, "B T 55 3"],
    partner: Float[Tensor, "B T 55 3"],
    config: TrackingConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score nearness to the true partner's root and facing, 1 (there) down to 0 (far, turned).

    Args:
        joints: follower joints, metres, Y-up.
        partner: joints of the true follower of the same leader, in the same axes.
    """
    distance = (joints[:, :, 0] - partner[:, :, 0]).norm(dim=-1)
    place = torch.exp(-(distance - config.free_distance).clamp_min(0) / config.distance_scale)
    turn = facing_angle(joints) - facing_angle(partner)
    angle = torch.atan2(turn.sin(), turn.cos()).abs()
    facing = torch.exp(-(angle - config.free_angle).clamp_min(0) / config.angle_scale)
    return torch.lerp(place, facing, config.facing_share)
