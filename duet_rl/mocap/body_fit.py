"""A motion of ours for a dancer of whom only the 22 joints of the body are known."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import (
    CHILDREN,
    PARENTS,
    SOLE_DEPTH,
    UP,
    WRISTS,
    Skeleton,
    default_skeleton,
)
from duet_rl.errors import InputError
from duet_rl.mocap.smpl_fit import fit_rotations

BODY = 22  # our first joints: pelvis to wrists
_ELBOWS = (18, 19)
_HAND = 0.1  # m; how far the hands' points are put beyond the wrists, which tells nothing of turns
_BRANCHES = tuple(
    (joint, ends)
    for joint in range(BODY)
    if len(ends := [child for child in CHILDREN[joint] if child < BODY]) > 1
)
_ROUNDS = 3  # in which bones that leave one joint and its turns are fitted to each other


def motion_of_body(
    joints: Float[Tensor, "T 22 3"], fps: float, name: str = "fitted", floor: bool = True
) -> Motion:
    """Return the motion of a skeleton that stands as 22 joints do.

    Its bones are as long as those of the joints in most frames. Head, feet and hands stay at rest
    on the bone that they end, and limbs twist as knees and elbows bend (`fit_rotations`). Where
    the joints belong to a rigid skeleton, the motion's are theirs to a rounding error.

    Args:
        joints: metres, Y up.
        fps: frames per second.
        name: of the skeleton.
        floor: move the whole take up or down until its lowest joint is where that of somebody who
            stands is; else heights stay.

    Raises:
        InputError: NaN or infinity, no frame, or a bone without length.
    """
    if not len(joints) or not torch.isfinite(joints).all():
        raise InputError(
            f"{len(joints)} frames of joints{', NaN or infinity among them' if len(joints) else ''}"
            "; wanted at least one frame of numbers: repair or cut the take"
        )
    skeleton = fit_skeleton(joints, name)
    rotations = _rotations(joints, skeleton.offsets)
    motion = Motion.from_rotations(joints[:, 0], rotations, skeleton, fps)
    if not floor:
        return motion
    lift = SOLE_DEPTH - motion.joints[..., UP].min()
    return motion.moved([0.0, float(lift), 0.0])


def fit_skeleton(joints: Float[Tensor, "T 22 3"], name: str = "fitted") -> Skeleton:
    """Return a skeleton whose bones are those of a take.

    Lengths are medians over the frames. Bones that leave one joint keep the angles between them
    that they have in the take; single ones point as those of the default skeleton do. What the
    joints do not show, fingers and face, grows with the body.

    Raises:
        InputError: a bone without length.
    """
    rest = default_skeleton().offsets.to(joints)
    bones = joints[:, 1:] - joints[:, list(PARENTS[1:BODY])]
    lengths = bones.norm(dim=-1).median(dim=0).values
    if not bool((lengths > 0).all()):
        short = 1 + int(lengths.argmin())
        raise InputError(f"the bone to joint {short} has no length; give joints of a body")
    usual = rest[1:BODY].norm(dim=-1)
    offsets = rest * (lengths.sum() / usual.sum())
    offsets[1:BODY] = rest[1:BODY] * (lengths / usual)[:, None]
    for _ in range(_ROUNDS):
        pose = forward_kinematics(_rotations(joints, offsets), joints[:, 0], offsets)
        for joint, ends in _BRANCHES:
            own = joints[:, ends] - joints[:, joint, None]  # (T, ends, 3), of the world
            seen = (own @ pose.global_rotations[:, joint]).mean(dim=0)  # seen from the joint
            wanted = lengths[[end - 1 for end in ends], None]
            offsets[ends] = torch.nn.functional.normalize(seen, dim=-1) * wanted
    return Skeleton(offsets, name)


def _rotations(
    joints: Float[Tensor, "T 22 3"], offsets: Float[Tensor, "55 3"]
) -> Float[Tensor, "T 55 3 3"]:
    """Return local rotations; the hands go on as the forearms do."""
    wrists, elbows = joints[:, list(WRISTS)], joints[:, list(_ELBOWS)]
    beyond = torch.nn.functional.normalize(wrists - elbows, dim=-1) * _HAND
    rotations = fit_rotations(torch.cat([joints, wrists + beyond], dim=1), offsets)
    rotations[:, list(WRISTS)] = torch.eye(3).to(rotations)
    return rotations
