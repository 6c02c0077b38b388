"""The stage: what stands where a leader would, when a dancer dances alone."""

import math

import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import UP, default_skeleton

STAGE = "stage"  # name of its skeleton


def stage(frames: int, fps: float = 30.0) -> Motion:
    """Return a body that stands motionless at the origin and faces +Z.

    A soloist's place beside it is the place on the floor. Nobody is told of it, nobody draws it
    and no reward looks at it.
    """
    skeleton = default_skeleton()
    joints = skeleton.rest_joints().expand(frames, -1, -1).clone()
    rotations = torch.eye(3).expand(frames, len(skeleton.offsets), 3, 3).clone()
    return Motion(joints, rotations, type(skeleton)(skeleton.offsets, STAGE), fps)


def put_on_stage(motion: Motion) -> Motion:
    """Return the dancer moved and turned to begin over the origin and facing +Z."""
    yaw = float(facing_angle(motion.joints[None, :1])[0, 0])
    root = motion.joints[0, 0].clone()
    root[UP] = 0.0
    centred = motion.moved(-root)
    return centred.turned(math.remainder(-yaw, math.tau))
