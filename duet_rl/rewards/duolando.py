"""The rewards of the Duolando paper, per frame, in metres and seconds (spec section 6.2)."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from duet_rl.body.skeleton import JOINT, UP
from duet_rl.config import Config
from duet_rl.rewards.consistency import forward_velocity

DUOLANDO_CREDITS = ("lower",)

HalfRule = Literal["paper", "corrected"]

# The paper counts cm a frame at 30 fps: 1 cm a frame is 0.3 m/s.
SPEED_SCALE = 0.3  # m/s that cost 1
FREE_ERROR = 0.9  # m/s between predicted and real root below which the score is 1
FREE_SLIP = 0.6  # m/s of the root below which the score is 1
TURN_SCALE = 10.0  # cost of halves that face opposite ways
SOFT_SIGN = 1e-5  # m; the paper's sign(x) is x / (|x| + this)


class DuolandoConfig(Config):
    """What a root costs that does not go where the legs say; the defaults are the paper's."""

    free_error: float = Field(FREE_ERROR, ge=0)  # m/s; a smaller error scores exactly 1 ...
    error_scale: float = Field(SPEED_SCALE, gt=0)  # m/s ... and a larger one -1 for each of these


_DEFAULTS = DuolandoConfig()


def root_consistency(
    joints: Float[Tensor, "B T 55 3"],
    root_velocity: Float[Tensor, "B T 3"],
    fps: float,
    config: DuolandoConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score whether the root goes where the lower body's tokens say: 1, or minus the error.

    The paper's only reward that varies. It has no lower bound, and nothing between 1 and -3: an
    error of 0.9 m/s (3 cm a frame) scores -3.

    Args:
        joints: follower joints, metres.
        root_velocity: what the tokens say, m/s, to the next frame.
        fps: frames per second.
    """
    error = (root_velocity - forward_velocity(joints[:, :, 0], fps)).norm(dim=-1)
    return _one_or_cost(error, config.free_error, config.error_scale)


def slip_penalty(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B T"]:
    """Score how still the root stands: 1 below 0.6 m/s, else minus its speed.

    The paper defines it and trains without it.
    """
    speed = forward_velocity(joints[:, :, 0], fps).norm(dim=-1)
    return _one_or_cost(speed, FREE_SLIP, SPEED_SCALE)


def half_agreement(
    joints: Float[Tensor, "B T 55 3"], rule: HalfRule = "corrected", up: int = UP
) -> Float[Tensor, "B T"]:
    """Score whether chest and hips face one way: 1 within a right angle, down to -10 if opposite.

    The paper defines it and trains without it; its score of a dance is the minimum over `T`.

    Args:
        joints: follower joints, metres.
        rule: `corrected` compares the level directions across collar bones and hips, which turn
            with what they face and, unlike knees, neither cross nor swing. `paper` keeps the
            original's slips: normals of planes through the origin of the world and both collar
            bones, or both knees, each turned by the sign of the upper one, and a cross product
            over the first axis of size 3, which is not xyz in a batch of 3. Its score depends on
            where the dancer stands, and is NaN where such a normal is 0.
        up: the vertical axis, which does not count.
    """
    level = joints.new_ones(3)
    level[up] = 0
    if rule == "paper":
        upper, lower = _normals_through_origin(joints)
    else:
        across = (_bone(joints, f"right_{pair}", f"left_{pair}") for pair in ("collar", "hip"))
        upper, lower = (normalize(vector * level, dim=-1) for vector in across)
    agreement = TURN_SCALE * (upper * lower * level).sum(-1)
    return torch.where(agreement >= 0, 1.0, agreement)


def _one_or_cost(fault: Tensor, free: float, scale: float) -> Tensor:
    return torch.where(fault < free, 1.0, -fault / scale)


def _normals_through_origin(joints: Tensor) -> tuple[Tensor, Tensor]:
    """Return the paper's directions of the halves, `(B, T, 3)`."""
    upper = _unit_normal(joints, "right_collar", "left_collar")
    lower = _unit_normal(joints, "left_knee", "right_knee")
    ahead = (upper * _bone(joints, "neck", "head")).sum(-1, keepdim=True)
    sign = ahead / (ahead.abs() + SOFT_SIGN)
    return upper * sign, lower * sign


def _unit_normal(joints: Tensor, first: str, second: str) -> Tensor:
    a, b = joints[:, :, JOINT[first]], joints[:, :, JOINT[second]]
    normal = torch.linalg.cross(a, b, dim=a.shape.index(3))  # the axis that the paper's code takes
    return normal / normal.norm(dim=-1, keepdim=True)


def _bone(joints: Tensor, start: str, end: str) -> Tensor:
    return joints[:, :, JOINT[end]] - joints[:, :, JOINT[start]]
