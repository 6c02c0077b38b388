"""A dancer whom no human body could follow, and how near he must come back from a file."""

import math
from dataclasses import replace

import torch

from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, Skeleton

TENTH_OF_A_MILLIMETRE = 1e-4


def wild(motion: Motion, turn: float = 2.0) -> Motion:
    """The same walk on other bones, with rotations of every size and a joint off its bone."""
    generator = torch.Generator().manual_seed(3)
    vectors = turn * torch.randn(motion.frames, NUM_JOINTS, 3, generator=generator)
    vectors[0] = torch.tensor([0.0, math.pi, 0.0])
    skeleton = Skeleton(motion.skeleton.offsets * 1.1)
    rotations = axis_angle_to_matrix(vectors)
    made = Motion.from_rotations(motion.root, rotations, skeleton, motion.fps)
    joints = made.joints.clone()
    joints[3:, JOINT["left_wrist"] :] += 0.02
    return replace(made, joints=joints)
