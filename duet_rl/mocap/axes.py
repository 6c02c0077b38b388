"""Which axis points up: files of others may say z, all our motions say y."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion

UpAxis = Literal["y", "z"]
UP_AXES: tuple[UpAxis, ...] = ("y", "z")

# (x, y, z) with z up becomes (x, z, -y) with y up: a turn by -90 degrees about x.
_Z_UP_TO_Y_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))


def turn_to_y_up(like: Float[Tensor, "..."], up: UpAxis) -> Float[Tensor, "3 3"]:
    """Return the matrix that turns a column vector of a world in which `up` is up into ours."""
    return like.new_tensor(_Z_UP_TO_Y_UP) if up == "z" else torch.eye(3).to(like)


def to_y_up(motion: Motion, up: UpAxis) -> Motion:
    """Return a motion of a world in which `up` points up in ours, where y does."""
    return _turned(motion, turn_to_y_up(motion.joints, up))


def from_y_up(motion: Motion, up: UpAxis) -> Motion:
    """Return our motion in a world in which `up` points up; the inverse of `to_y_up`."""
    return _turned(motion, turn_to_y_up(motion.joints, up).mT)


def _turned(motion: Motion, turn: Float[Tensor, "3 3"]) -> Motion:
    rotations = motion.rotations.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    return Motion(motion.joints @ turn.mT, rotations, motion.skeleton, motion.fps)
