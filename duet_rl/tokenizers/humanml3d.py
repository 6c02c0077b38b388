"""HumanML3D's features of a body of 22 joints: 263 numbers a frame, and the joints back.

They are a format to read and write, not the motion of this project: their heading mistakes one
sign, and a dancer who turns through half a turn loses the way (see `Quirks`). Guo et al.,
Generating Diverse and Natural 3D Human Motions from Text (CVPR 2022).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import (
    matrix_to_6d,
    rotate_yaw,
    rotation_between,
    wrap_angle,
    yaw_matrix,
)
from duet_rl.errors import InputError

_HIPS, _SHOULDERS = (1, 2), (16, 17)  # left, right
_FEET = (7, 10, 8, 11)  # left ankle, left toe, right ankle, right toe
_STANDING = 0.002  # m^2; a foot whose step to the next frame has a smaller square stands
_HEADING_SIGMA = 20.0  # frames; of the Gaussian over the direction that the body faces
_REACH = 4.0  # standard deviations of a Gaussian that its kernel keeps

# Whose rotation a joint's is relative to; 0 stands for the heading. The shoulders hang on it,
# and not on the chest: they begin chains of their own.
_BEFORE = (0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 12, 13, 14, 16, 17, 18, 19)
_PARENTS = (0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)  # of joints 1-21
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_RIGHT, _DOWN = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)
_REST = (  # where the bone to each of joints 1 to 21 points when nothing is turned
    *(_X, _RIGHT, _Y, _DOWN, _DOWN, _Y, _DOWN, _DOWN, _Y, _Z, _Z),
    *(_Y, _X, _RIGHT, _Z, *[_DOWN] * 6),
)


@dataclass(frozen=True)
class Quirks:
    """Which of the format's two defects its features have; both is what HumanML3D's files hold.

    Args:
        swapped_hips: the heading is across shoulders minus hips and not shoulders plus hips, so
            that it is off by tens of degrees. Models that were trained on the format expect it.
        lost_turns: where the heading passes half a turn, the turn of that frame has a wrong sign
            and `body.humanml3d.joints_of` puts all that follows elsewhere.
    """

    swapped_hips: bool = True
    lost_turns: bool = False


def canonical(joints: Float[Tensor, "*batch T 22 3"]) -> Float[Tensor, "*batch T 22 3"]:
    """Return clips on the floor, whose first frame has its root above the origin and faces +Z.

    Args:
        joints: metres, Y up.
    """
    across = _across(joints[..., 0, :, :], swapped_hips=False)
    heading = torch.atan2(-across[..., 2], across[..., 0])
    turned = rotate_yaw(joints, -heading[..., None, None])
    root = turned[..., :1, :1, :]
    floor = turned[..., 1].amin((-2, -1))[..., None, None]
    return torch.stack(
        [turned[..., 0] - root[..., 0], turned[..., 1] - floor, turned[..., 2] - root[..., 2]],
        dim=-1,
    )


def features_of(
    joints: Float[Tensor, "*batch T 22 3"], quirks: Quirks | None = None
) -> Float[Tensor, "*batch M 263"]:
    """Return the features of all frames but the last, `M = T - 1`.

    Args:
        joints: of clips at 20 fps as `canonical` leaves them, metres.
        quirks: the defects that the features shall have; by default the heading's alone.

    Raises:
        InputError: fewer than two frames.
    """
    quirks = Quirks() if quirks is None else quirks
    if joints.shape[-3] < 2:
        raise InputError(
            f"{joints.shape[-3]} frames are given; HumanML3D's features are of the way from one "
            "frame to the next: give two or more"
        )
    heading = _heading(joints, quirks.swapped_hips)
    turn = heading.diff(dim=-1)  # of angles within half a turn: a turn through it is lost
    if not quirks.lost_turns:
        turn = wrap_angle(turn)
    yaw_speed = torch.arcsin(torch.sin(-turn / 2))
    step = joints.diff(dim=-3)
    path = rotate_yaw(step[..., 0, :], -heading[..., 1:])
    facing = -heading[..., :-1, None]
    now = joints[..., :-1, :, :]
    root = now[..., :1, :] * now.new_tensor([1.0, 0.0, 1.0])
    standing = step[..., list(_FEET), :].square().sum(-1) < _STANDING
    parts = [
        yaw_speed[..., None],
        path[..., [0, 2]],
        now[..., 0, 1:2],
        rotate_yaw((now - root)[..., 1:, :], facing).flatten(-2),
        matrix_to_6d(_joint_rotations(now, heading[..., :-1])).flatten(-2),
        rotate_yaw(step, facing).flatten(-2),
        standing.to(joints),
    ]
    return torch.cat(parts, dim=-1)


def _across(joints: Float[Tensor, "*batch 22 3"], swapped_hips: bool) -> Float[Tensor, "*batch 3"]:
    """Return the direction from the right side to the left, of length 1."""
    sides = (_HIPS, _SHOULDERS)
    hips, shoulders = (joints[..., left, :] - joints[..., right, :] for left, right in sides)
    return F.normalize(shoulders - hips if swapped_hips else shoulders + hips, dim=-1)


def _heading(
    joints: Float[Tensor, "*batch T 22 3"], swapped_hips: bool
) -> Float[Tensor, "*batch T"]:
    """Return the smoothed yaw of each frame within half a turn; the first one counts as 0."""
    across = _across(joints, swapped_hips)
    forward = _smooth(torch.stack([-across[..., 2], across[..., 0]], dim=-1))
    heading = torch.atan2(forward[..., 0], forward[..., 1])
    return torch.cat([torch.zeros_like(heading[..., :1]), heading[..., 1:]], dim=-1)


def _smooth(values: Float[Tensor, "*batch T C"]) -> Float[Tensor, "*batch T C"]:
    """Return values after a Gaussian over time; beyond the ends the last value goes on."""
    radius = math.floor(_REACH * _HEADING_SIGMA + 0.5)
    distance = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (distance / _HEADING_SIGMA).square())
    rows = values.mT.reshape(-1, 1, values.shape[-2])
    padded = F.pad(rows, (radius, radius), mode="replicate")
    return F.conv1d(padded, (kernel / kernel.sum())[None, None]).view_as(values.mT).mT


def _joint_rotations(
    joints: Float[Tensor, "*batch T 22 3"], heading: Float[Tensor, "*batch T"]
) -> Float[Tensor, "*batch T 21 3 3"]:
    """Return how each of joints 1 to 21 turns its bone, seen from the joint before it."""
    bones = joints[..., 1:, :] - joints[..., list(_PARENTS), :]
    whole = rotation_between(joints.new_tensor(_REST), bones)
    chain = torch.cat([yaw_matrix(-heading)[..., None, :, :], whole], dim=-3)
    return chain[..., list(_BEFORE), :, :].mT @ whole
