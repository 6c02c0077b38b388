"""HumanML3D's 263 numbers a frame: what the channels hold, and the joints that they mean.

How the features are made of joints is in tokenizers/humanml3d.py. Guo et al., Generating Diverse
and Natural 3D Human Motions from Text (CVPR 2022).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import rotate_yaw

FPS = 20.0
JOINTS = 22  # the first of SMPL-X: pelvis to wrists
FEATURES = 263

# What the channels hold, in their order.
YAW_SPEED = 0  # half the turn to the next frame, rad
PATH = slice(1, 3)  # X and Z of the root's step to the next frame, seen from the heading, m
HEIGHT = 3  # of the root, m
POSITIONS = slice(4, 67)  # of joints 1 to 21 around the root, seen from the heading, m
ROTATIONS = slice(67, 193)  # of the same joints as 6D, each relative to the one before
STEPS = slice(193, 259)  # of every joint to the next frame, seen from the heading, m
CONTACTS = slice(259, 263)  # 1 where a foot stands: left ankle, left toe, right ankle, right toe


def joints_of(features: Float[Tensor, "*batch T 263"]) -> Float[Tensor, "*batch T 22 3"]:
    """Return the joints that features mean by their positions and path, metres.

    The first frame has its root above the origin. Rotations, steps and contacts are not read.
    """
    turns = 2 * features[..., :-1, YAW_SPEED].cumsum(-1)
    facing = -F.pad(turns, (1, 0))  # radians
    x, z = features[..., :-1, PATH].unbind(-1)
    step = F.pad(torch.stack([x, torch.zeros_like(x), z], dim=-1), (0, 0, 1, 0))
    # The step to a frame is seen from the heading of that frame, not of the one it starts from.
    path = rotate_yaw(step, facing).cumsum(-2)
    around = features[..., POSITIONS].unflatten(-1, (JOINTS - 1, 3))
    others = rotate_yaw(around, facing[..., None]) + path[..., None, :]
    root = torch.stack([path[..., 0], features[..., HEIGHT], path[..., 2]], dim=-1)
    return torch.cat([root[..., None, :], others], dim=-2)


def with_true_turns(features: Float[Tensor, "*batch T 263"]) -> Float[Tensor, "*batch T 263"]:
    """Return features whose turns go the way that the joints' own steps say.

    Where the heading passes half a turn, the files have the turn of that frame with a wrong sign,
    and a dancer who is put together by them goes on in another direction. The steps of the joints
    tell which of both signs it has; features without the defect come back as they are.
    """
    turn = features[..., :-1, YAW_SPEED]
    around, steps = (features[..., part].unflatten(-1, (-1, 3)) for part in (POSITIONS, STEPS))
    steps = steps[..., 1:, :] - steps[..., :1, :]  # of the others around the root
    flat = steps.new_tensor([1.0, 0.0, 1.0])  # heights of positions are those over the floor
    reached = ((around + steps) * flat)[..., :-1, :, :]
    errors = [
        (rotate_yaw(around[..., 1:, :, :] * flat, -2 * sign * turn[..., None]) - reached)
        .square()
        .sum((-2, -1))
        for sign in (1.0, -1.0)
    ]
    mended = torch.where(errors[1] < errors[0], -turn, turn)
    changed = features.clone()
    changed[..., :-1, YAW_SPEED] = mended
    return changed
