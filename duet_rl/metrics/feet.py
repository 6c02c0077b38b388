"""Feet and the floor: sliding, floating, and feet that move while the body is thrown about."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.contact import floor_error, foot_slide, foot_speed, planted_feet
from duet_rl.body.skeleton import UP
from duet_rl.metrics.masked import mean_where, ratio

PFC_FPS = 30.0  # frames per second at which PFC is defined: its speeds are lengths a frame
CENTIMETRES = 100.0  # in a metre; PFC counts in cm a frame, which is the factor 10^4 of its authors
STEADY = 0.01  # m/s^2; a root that never accelerates more is never pushed, and PFC means nothing


def slide_speed(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the mean speed at which planted feet slide, m/s; NaN if no foot is ever planted.

    The first frame has no speed and is left out. A dancer in the air does not slide: see
    `floating_share`.
    """
    return mean_where(foot_slide(joints, fps)[:, 1:], planted_feet(joints)[:, 1:])


def floating_share(joints: Float[Tensor, "B T 55 3"]) -> Float[Tensor, "B"]:
    """Return the share of frames in which no foot is near enough to the floor to carry the body."""
    return (~planted_feet(joints).any(-1)).float().mean(1)


def mean_floor_error(joints: Float[Tensor, "B T 55 3"]) -> Float[Tensor, "B"]:
    """Return how far the lower foot is above the floor or a foot below it, mean, metres."""
    return floor_error(joints).mean(1)


def physical_foot_contact(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the Physical Foot Contact score (Tseng et al., EDGE, CVPR 2023, section 4).

    `PFC = 1 / (N max_i |a_i|) * sum_i |a_i| |v_left,i| |v_right,i|`, where `a` is the acceleration
    of the root with its downward part set to 0 (gravity is no push), and `v` is the level speed of
    a foot: the slower of its ankle and toes. A body that accelerates needs one foot at rest.

    Args:
        joints: metres.
        fps: frames per second; the score is that of the same motion at 30.

    Returns:
        `(B,)`, cm^2 a frame^2; NaN for fewer than three frames, and for a root that is never
        pushed, where the share of each push is noise.
    """
    if joints.shape[1] < 3:
        return joints.new_full((len(joints),), torch.nan)
    acceleration = torch.diff(joints[:, :, 0], n=2, dim=1) * fps**2  # (B, T - 2, 3)
    x, up, z = acceleration[..., 0], acceleration[..., UP].clamp_min(0), acceleration[..., 2]
    push = torch.stack([x, up, z], dim=-1).norm(dim=-1)
    hardest = push.amax(1)
    speed = foot_speed(joints, fps)[:, 2:] * (CENTIMETRES / PFC_FPS)  # cm a frame
    left, right = torch.minimum(speed[..., :2], speed[..., 2:]).unbind(-1)
    whole = torch.where(hardest > STEADY, hardest, 0)
    return ratio((push * left * right).mean(1), whole)
