"""What published set scores see of a motion: kinetic features and distances within a couple.

The formulas are those of the metric scripts of Duolando (Siyao et al., ICLR 2024) and Bailando
(Siyao et al., CVPR 2022), which took them from AIST++ (Li et al., ICCV 2021) and fairmotion. Their
slips are kept under `PUBLISHED`, each by name, and mended under `corrected`.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import JOINT

FEATURE_JOINTS = 24  # the joints of SMPL, which kinetic and manual features are made of
KINETIC_DIMS = 3 * FEATURE_JOINTS
WINDOW = 2  # frames on either side over which velocities and accelerations are averaged
FEWEST_FRAMES = 3  # for which an acceleration exists

_BODY = 22  # pelvis to wrists: these SMPL and SMPL-X have in common
# A hand of SMPL is put between the second knuckles of the five fingers of SMPL-X.
_LEFT_HAND = (25, 28, 31, 34, 37)
_RIGHT_HAND = (40, 43, 46, 49, 52)
# Between which joints of a couple distances are taken; the head, not the neck, is the uppermost.
DUET_JOINTS = tuple(
    JOINT[name]
    for name in (
        *("pelvis", "left_ankle", "right_ankle", "left_foot", "right_foot"),
        *("head", "left_shoulder", "right_shoulder", "left_wrist", "right_wrist"),
    )
)


@dataclass(frozen=True)
class FeatureRules:
    """What differs between the published features and correct ones.

    Args:
        kinetic_frame_time: seconds between two frames, as velocities and accelerations count them.
        manual_frame_time: the same, as the manual features count them.
        acceleration: `difference` of two velocities over the frame time; in `precedence` the
            earlier velocity is p[k] - p[k-1]/dt, for want of brackets, so that where a dancer
            stands outweighs how he moves.
        moves: which joint a manual feature of a relative movement tells. `third`: the fourth that
            is named is ignored, so that features 5 and 6, of the right and the left hand, are the
            same; `fourth`: as it was meant.
        up: the component of a position that is taken for its height.
    """

    kinetic_frame_time: float
    manual_frame_time: float
    acceleration: Literal["precedence", "difference"]
    moves: Literal["third", "fourth"]
    up: int = 1


# Both time steps are wrong for motion at 30 fps, and one of them for motion at 60 fps.
PUBLISHED = FeatureRules(1 / 60, 1 / 120, acceleration="precedence", moves="third")


def corrected(fps: float) -> FeatureRules:
    """Return the rules without slips, for Y-up motion of this many frames a second."""
    return FeatureRules(1 / fps, 1 / fps, acceleration="difference", moves="fourth")


def joints_of_smpl(joints: Float[Tensor, "*batch T 55 3"]) -> Float[Tensor, "*batch T 24 3"]:
    """Return the 24 joints of SMPL; its hands lie in the middle of the fingers of SMPL-X."""
    hands = [
        joints[..., list(hand), :].mean(-2, keepdim=True) for hand in (_LEFT_HAND, _RIGHT_HAND)
    ]
    return torch.cat([joints[..., :_BODY, :], *hands], dim=-2)


def from_start(joints: Float[Tensor, "*batch T J 3"]) -> Float[Tensor, "*batch T J 3"]:
    """Return positions relative to the first frame's root, in double precision, as published."""
    joints = joints.double()
    return joints - joints[..., :1, :1, :]


def kinetic_features(
    joints: Float[Tensor, "*batch T 24 3"], rules: FeatureRules = PUBLISHED
) -> Float[Tensor, "*batch 72"]:
    """Return energies and effort of each joint (Onuma et al., FMDistance, 2008).

    For each joint: the mean square of its level speed, that of its vertical speed, (m/s)^2, and
    the mean length of its acceleration, m/s^2, all of them first averaged over `WINDOW` frames on
    either side, as far as there are any.

    Args:
        joints: positions, metres; published numbers want them `from_start`.
        rules: `PUBLISHED` or `corrected`.

    Returns:
        Joint by joint; NaN for fewer than three frames, which have no acceleration.
    """
    frames = joints.shape[-3]
    if frames < FEWEST_FRAMES:
        return joints.new_full((*joints.shape[:-3], KINETIC_DIMS), torch.nan)
    dt = rules.kinetic_frame_time
    p = joints.movedim(-3, 0)  # (T, ..., 24, 3)
    velocity = torch.diff(p, dim=0) / dt
    energy = _local_means(velocity, frames - 1).square().mean(0)  # (..., 24, 3)
    vertical = energy[..., rules.up]
    level = energy.sum(-1) - vertical
    before = velocity[:-1]
    if rules.acceleration == "precedence":
        before = p[1:-1] - p[:-2] / dt
    acceleration = (velocity[1:] - before) / dt  # of frames 1 to T - 2
    effort = _local_means(acceleration, frames - 1).norm(dim=-1).mean(0)
    return torch.stack([level, vertical, effort], dim=-1).flatten(-2)


def duet_features(
    follower: Float[Tensor, "*batch T 55 3"], leader: Float[Tensor, "*batch T 55 3"]
) -> Float[Tensor, "*batch 100"]:
    """Return the mean distances between ten joints of the follower and ten of the leader, metres.

    Duolando calls the set scores of these "cross distance". The follower's joint changes slowest.
    """
    ours, theirs = follower[..., DUET_JOINTS, :], leader[..., DUET_JOINTS, :]
    return (ours[..., :, None, :] - theirs[..., None, :, :]).norm(dim=-1).mean(-3).flatten(-2)


def _local_means(values: Float[Tensor, "N *rest"], count: int) -> Float[Tensor, "count *rest"]:
    """Return means over `WINDOW` rows on either side of `count` rows; missing rows do not count."""
    total = values.new_zeros(count, *values.shape[1:])
    there = values.new_zeros(count)
    for shift in range(-WINDOW, WINDOW + 1):
        start, stop = max(0, -shift), min(count, len(values) - shift)
        if start < stop:
            total[start:stop] += values[start + shift : stop + shift]
            there[start:stop] += 1
    return total / there.reshape(-1, *[1] * (values.ndim - 1))
