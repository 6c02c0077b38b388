"""Hands that held each other but were captured apart: closing the gap with the arms."""

from jaxtyping import Float
from torch import Tensor

from duet_rl.body.contact import hold_due, palms
from duet_rl.body.heading import low_pass
from duet_rl.body.kinematics import reach
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import WRISTS

HOLD_RANGE = 0.35  # m; palms of a couple with equal bones are this far apart while they hold
PALM_GAP = 0.03  # m; between the middles of two palms that touch
FADE = 4.0  # frames; sigma of the correction's way in and out
_ARMS = ("left_arm", "right_arm")


def close_hands(duet: Duet, hold_range: float = HOLD_RANGE) -> Duet:
    """Return the duet with the palms that hold each other brought together.

    Both hands go half the way, by two-bone inverse kinematics of the arms; hands keep their
    orientation, and nothing else moves. The correction fades in and out with the hold. Motion
    capture that was retargeted to equal bones needs this: its held hands hang 0.1 to 0.35 m apart.

    Args:
        duet: a couple.
        hold_range: metres; palms farther apart do not hold each other.
    """
    leader, follower = duet.leader, duet.follower
    held = hold_due(leader.joints, follower.joints, duet.fps, threshold=hold_range)
    weight = low_pass(held[:, :, :2].flatten(1).float(), FADE).unflatten(1, (2, 2))
    apart = palms(leader.joints)[:, None] - palms(follower.joints)[:, :, None]  # (T, own, other, 3)
    distance = apart.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    # A fading weight must not pull hands that have parted by more than they could hold.
    way = apart / distance * (distance - PALM_GAP).clamp(0, hold_range) * weight[..., None] / 2
    return Duet(
        leader=_moved_hands(leader, -way.sum(1)), follower=_moved_hands(follower, way.sum(2))
    )


def _moved_hands(motion: Motion, shift: Float[Tensor, "T 2 3"]) -> Motion:
    """Return the motion with its left and right wrist moved by `shift`, metres."""
    rotations, offsets = motion.rotations, motion.skeleton.offsets
    for side, arm in enumerate(_ARMS):
        moves = shift[:, side].norm(dim=-1) > 1e-4
        if moves.any():
            target = motion.joints[moves, WRISTS[side]] + shift[moves, side]
            bent = reach(rotations[moves], motion.root[moves], offsets, arm, target)
            rotations = rotations.index_put((moves.nonzero()[:, 0],), bent)
    return Motion.from_rotations(motion.root, rotations, motion.skeleton, motion.fps)
