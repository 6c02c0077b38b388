"""The follower that is the leader's mirror image: it learns nothing, and sets a mark."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import low_pass, smooth_heading
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import rotate_yaw, yaw_matrix
from duet_rl.body.skeleton import UP

COUPLE_SMOOTHING = 0.3  # s; the couple's axis follows the leader no faster than this


def typical_distance(duets: Sequence[Duet]) -> float:
    """Return the mean level distance between the roots of a couple, metres."""
    apart = torch.cat([duet.follower.root - duet.leader.root for duet in duets])
    return float(on_floor(apart).norm(dim=-1).mean())


def mirror_leader(leader: Motion, distance: float) -> Motion:
    """Return the follower that is the leader's image in an upright mirror before his chest.

    The mirror stands at half the distance, square to the leader's smoothed heading, and goes along
    with him, so that the couple keeps together where it turns and travels.

    Args:
        leader: the motion to mirror.
        distance: metres between the two roots, such as `typical_distance` of the training set.
    """
    sigma = COUPLE_SMOOTHING * leader.fps
    heading = smooth_heading(leader.joints, sigma)
    forward = torch.stack([heading.sin(), torch.zeros_like(heading), heading.cos()], dim=-1)
    centre = low_pass(on_floor(leader.root), sigma) + forward * distance / 2
    # A reflection in the plane x = 0, turned by `turn`, is one in a plane square to `forward`.
    turn = 2 * heading - torch.pi
    shift = 2 * (centre * forward).sum(-1, keepdim=True) * forward
    return _placed(leader.mirrored(), turn, shift)


def on_floor(points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Return `points` let down to the floor."""
    level = points.new_ones(3)
    level[UP] = 0
    return points * level


def _placed(motion: Motion, turn: Tensor, shift: Tensor) -> Motion:
    """Return `motion` with each frame turned about the vertical axis of the world, then shifted."""
    joints = rotate_yaw(motion.joints, turn[:, None]) + shift[:, None]
    rotations = motion.rotations.clone()
    rotations[:, 0] = yaw_matrix(turn) @ rotations[:, 0]
    return replace(motion, joints=joints, rotations=rotations)
