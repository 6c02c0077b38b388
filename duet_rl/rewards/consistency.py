"""Consistency reward: one living body; legs carry the root, and the halves face one way."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.activity import FROZEN_SPEED, recent_body_speed, recent_jerk
from duet_rl.body.contact import floor_error, support_speed
from duet_rl.body.skeleton import JOINT, UP
from duet_rl.config import Config

CONSISTENCY_CREDITS = ("upper", "lower", "placement")

_HIPS = (JOINT["left_hip"], JOINT["right_hip"])
_SHOULDERS = (JOINT["left_shoulder"], JOINT["right_shoulder"])


class ConsistencyConfig(Config):
    """How much disagreement between legs, root and halves of the body costs, and lifelessness.

    With `still_seconds` and `free_jerk` None, neither standing frozen nor shaking costs.
    """

    free_speed: float = Field(0.10, ge=0)  # m/s of the supporting foot that cost nothing
    support_scale: float = Field(0.40, gt=0)  # m/s beyond it at which the score falls to 1/e
    free_height: float = Field(0.03, ge=0)  # m of floating or sinking that cost nothing
    height_scale: float = Field(0.05, gt=0)  # m beyond it at which the score falls to 1/e
    free_error: float = Field(0.15, ge=0)  # m/s between predicted and real root that cost nothing
    velocity_scale: float = Field(0.50, gt=0)  # m/s beyond it at which the score falls to 1/e
    free_twist: float = Field(0.8, ge=0)  # rad between hips and shoulders that a dancer can do
    twist_scale: float = Field(0.5, gt=0)  # rad beyond it at which the score falls to 1/e
    still_seconds: float | None = Field(2.0, gt=0)  # s that a pose may be held
    lively_speed: float = Field(0.20, gt=FROZEN_SPEED)  # m/s that a living body reaches in them
    free_jerk: float | None = Field(500.0, ge=0)  # m/s^3 above the hips that cost nothing
    jerk_scale: float = Field(300.0, gt=0)  # m/s^3 beyond it at which the score falls to 1/e


_JERK_SECONDS = 0.25  # s; an accent is over by then, and shaking goes on

_DEFAULTS = ConsistencyConfig()


def consistency_reward(
    joints: Float[Tensor, "B T 55 3"],
    fps: float,
    root_velocity: Float[Tensor, "B T 3"] | None = None,
    config: ConsistencyConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score how well root, legs and upper body belong together, 1 (one body) down to 0.

    Half of the score is for the travel of the root: a foot stands still below it, on the floor,
    and it goes where the lower body says, if that says anything. The other half is for the twist.
    A statue does all of that, and a shaking upper body too: both take their share of the score.

    Args:
        joints: follower joints, metres, Y-up.
        fps: frames per second.
        root_velocity: what the lower body's tokens say of the root, m/s, if they say it.
    """
    travel = _score(support_speed(joints, fps), config.free_speed, config.support_scale)
    if root_velocity is not None:
        error = (root_velocity - forward_velocity(joints[:, :, 0], fps)).norm(dim=-1)
        travel = (travel + _score(error, config.free_error, config.velocity_scale)) / 2
    twist = _angle_between(_across(joints, _HIPS), _across(joints, _SHOULDERS))
    travel = travel * _score(floor_error(joints), config.free_height, config.height_scale)
    body = (travel + _score(twist, config.free_twist, config.twist_scale)) / 2
    return body * _liveliness(joints, fps, config) * _smoothness(joints, fps, config)


def forward_velocity(points: Float[Tensor, "B T 3"], fps: float) -> Float[Tensor, "B T 3"]:
    """Return the step to the next frame in m/s; the last repeats the one before (Duolando 3.6)."""
    if points.shape[1] == 1:
        return torch.zeros_like(points)
    step = torch.diff(points, dim=1) * fps
    return torch.cat([step, step[:, -1:]], dim=1)


def _liveliness(joints: Tensor, fps: float, config: ConsistencyConfig) -> Tensor | float:
    """Return 1 for a body that moved of late, or of which too little is known, down to 0."""
    if config.still_seconds is None:
        return 1.0
    speed = recent_body_speed(joints, fps, config.still_seconds)
    return ((speed - FROZEN_SPEED) / (config.lively_speed - FROZEN_SPEED)).clamp(0, 1)


def _smoothness(joints: Tensor, fps: float, config: ConsistencyConfig) -> Tensor | float:
    if config.free_jerk is None:
        return 1.0
    return _score(recent_jerk(joints, fps, _JERK_SECONDS), config.free_jerk, config.jerk_scale)


def _score(fault: Tensor, free: float, scale: float) -> Tensor:
    return torch.exp(-(fault - free).clamp_min(0) / scale)


def _across(joints: Tensor, pair: tuple[int, int]) -> Tensor:
    """Return the level vector from the right to the left joint of `pair`, `(B, T, 3)`."""
    left, right = pair
    across = joints[:, :, left] - joints[:, :, right]
    level = across.new_ones(3)
    level[UP] = 0
    return across * level


def _angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle in [0, pi] between level vectors; 0 where one of them is too short."""
    turn = torch.linalg.cross(a, b)[..., UP]
    return torch.atan2(turn, (a * b).sum(-1)).abs()
