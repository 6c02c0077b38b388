"""Rotations, and all 55 joints, for a body of which only some joints are known, as SMPL's 24."""

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.kinematics import LIMBS, forward_kinematics, global_to_local
from duet_rl.body.rotations import axis_angle_to_matrix, project_to_rotation, rotation_between
from duet_rl.body.skeleton import (
    CHILDREN,
    FEET,
    NUM_JOINTS,
    PARENTS,
    SMPL_JOINTS,
    SOLE_DEPTH,
    UP,
)

_PLACE = {joint: place for place, joint in enumerate(SMPL_JOINTS)}  # of ours, in the 24
_BENDS = {"leg": -1.0, "arm": 1.0}  # z of where the lower bone goes when a limb at rest bends
_HINGES = {limb.start: (limb, _BENDS[name.split("_")[1]]) for name, limb in LIMBS.items()}
_STRAIGHT = 0.1  # sine of a bend that says as much of a limb's twist as that there be none


def fit_rotations(
    body: Float[Tensor, "*batch 24 3"], offsets: Float[Tensor, "*#batch 55 3"]
) -> Float[Tensor, "*batch 55 3 3"]:
    """Return the local rotations with which a skeleton stands as the 24 joints of SMPL do.

    What the 24 joints do not show stays at rest: head, feet, fingers, jaw and eyes. See
    `fit_known`.

    Args:
        body: metres, world axes, wherever the root is.
        offsets: the skeleton's bone vectors, `(55, 3)` or one set per batch row, metres.
    """
    places = body.new_zeros(*_of(body), NUM_JOINTS, 3)
    places[..., list(SMPL_JOINTS), :] = body
    return fit_known(places, _PLACE.keys(), offsets)


def fit_known(
    places: Float[Tensor, "*batch 55 3"],
    known: Collection[int],
    offsets: Float[Tensor, "*#batch 55 3"],
) -> Float[Tensor, "*batch 55 3 3"]:
    """Return the local rotations with which a skeleton stands as the joints do that are known.

    A joint from which several bones go out turns as fits them best (Kabsch), one with a single
    bone by the smallest turn from its parent that points the bone right, so it does not twist;
    but hips and shoulders twist as knees and elbows bend. What no known joint shows stays at rest.
    Where the bones are as long as those of the skeleton, its joints stand where the known ones do.

    Args:
        places: metres, world axes, wherever the root is; of joints that are not known, anything.
        known: indices of joints; limbs, trunk and neck among them.
        offsets: the skeleton's bone vectors, `(55, 3)` or one set per batch row, metres.
    """
    turns: list[Tensor] = []
    body = places[..., list(SMPL_JOINTS), :]
    for joint in range(NUM_JOINTS):
        above = turns[PARENTS[joint]] if joint else torch.eye(3).to(body).expand(*_of(body), 3, 3)
        ends = [child for child in CHILDREN[joint] if child in known]
        if not ends:
            turns.append(above)
            continue
        bones = places[..., ends, :] - places[..., joint, None, :]  # (..., ends, 3)
        rest = offsets[..., ends, :].expand_as(bones)
        if len(ends) > 1:
            turns.append(project_to_rotation(bones.mT @ rest))
        else:
            carried = (above @ rest.mT).squeeze(-1)
            turn = rotation_between(carried, bones[..., 0, :]) @ above
            if joint in _HINGES:
                turn = hinge_twist(joint, turn, body) @ turn
            turns.append(turn)
    return global_to_local(torch.stack(turns, dim=-3))


def fill_joints(
    body: Float[Tensor, "*batch 24 3"],
    rotations: Float[Tensor, "*batch 55 3 3"],
    offsets: Float[Tensor, "*#batch 55 3"],
) -> Float[Tensor, "*batch 55 3"]:
    """Return 55 joints of which 24 are as given; the others hang on them as the skeleton says.

    Args:
        body: metres, world axes.
        rotations: local, of the same body.
        offsets: the skeleton's bone vectors, `(55, 3)` or one set per batch row, metres.
    """
    posed = forward_kinematics(rotations, body[..., 0, :], offsets).joints
    filled: list[Tensor] = []
    for joint in range(NUM_JOINTS):
        if joint in _PLACE:
            filled.append(body[..., _PLACE[joint], :])
        else:
            bone = posed[..., joint, :] - posed[..., PARENTS[joint], :]
            filled.append(filled[PARENTS[joint]] + bone)
    return torch.stack(filled, dim=-2)


def standing_height(
    joints: Float[Tensor, "*batch 55 3"], offsets: Float[Tensor, "*#batch 55 3"]
) -> Float[Tensor, "*batch"]:
    """Return how high the root is when the lower foot stands on the floor, metres.

    A foot stands on its toes or on its heel, each as high as when the skeleton is at rest.

    Args:
        joints: of any height.
        offsets: the skeleton's bone vectors, `(55, 3)` or one set per batch row, metres.
    """
    still = torch.eye(3).to(offsets).expand(*offsets.shape[:-2], NUM_JOINTS, 3, 3)
    rest = forward_kinematics(still, torch.zeros_like(offsets[..., 0, :]), offsets).joints[..., UP]
    on_floor = rest[..., FEET] - rest.amin(-1, keepdim=True) + SOLE_DEPTH
    heights = joints[..., UP]
    return heights[..., 0] - (heights[..., FEET] - on_floor).amin(-1)


def hinge_twist(
    joint: int, turn: Float[Tensor, "*batch 3 3"], body: Float[Tensor, "*batch 24 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """Return the turn about a limb's upper bone with which knee or elbow bends as it can.

    The straighter the limb, the less it tells of that, and the less it is turned.
    """
    limb, ways = _HINGES[joint]
    start, middle, end = (body[..., _PLACE[place], :] for place in limb)
    upper = torch.nn.functional.normalize(middle - start, dim=-1)
    lower = torch.nn.functional.normalize(end - middle, dim=-1)
    axis = torch.linalg.cross(upper, lower, dim=-1)  # as long as the sine of the bend
    bent = torch.linalg.cross(upper, turn @ turn.new_tensor([0.0, 0.0, ways]), dim=-1)
    sine = (torch.linalg.cross(bent, axis, dim=-1) * upper).sum(-1)
    angle = torch.atan2(sine, (bent * axis).sum(-1) + _STRAIGHT)
    return axis_angle_to_matrix(angle[..., None] * upper)


def _of(body: Float[Tensor, "*batch 24 3"]) -> torch.Size:
    return body.shape[:-2]
