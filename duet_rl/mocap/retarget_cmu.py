"""Retargeting of CMU takes, joint by joint; `retarget_any` is for all other skeletons."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.kinematics import global_to_local
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    rotation_between,
)
from duet_rl.body.skeleton import (
    JOINT,
    JOINT_NAMES,
    NUM_JOINTS,
    PARENTS,
    SOLE_DEPTH,
    UP,
    Skeleton,
    default_skeleton,
)
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import BvhMotion
from duet_rl.mocap.retarget_any import palm_axes

CMU_LEAD_IN = 10  # frames of the file; the CMU conversion starts every take from a T-pose

_STANDING = 0.1  # share of the frames in which the lower foot is taken to stand on the floor
_SOLE_LIMIT = 0.1  # m; the most that a sole or heel may add under the foot of the file
_HIP_RANGE = (0.3, 3.0)  # m; a person's hips stand within it, whatever the person

_STRAY = 1e-3  # m; a retargeted joint that is farther from the file's own hung elsewhere

_FINGERS = {"Thumb": "thumb", "Index": "index", "Mid": "middle", "Ring": "ring", "Pinky": "pinky"}


def _cmu_side(letter: str, side: str) -> dict[str, str]:
    names = {
        f"{side}_hip": f"{letter}Thigh",
        f"{side}_knee": f"{letter}Shin",
        f"{side}_ankle": f"{letter}Foot",
        f"{side}_collar": f"{letter}Collar",
        f"{side}_shoulder": f"{letter}Shldr",
        f"{side}_elbow": f"{letter}ForeArm",
        f"{side}_wrist": f"{letter}Hand",
        f"{side}_eye": f"{side}Eye",
    }
    for theirs, ours in _FINGERS.items():
        names |= {f"{side}_{ours}{k}": f"{letter}{theirs}{k}" for k in (1, 2)}
    return names


# Our joint -> the joint of the CMU hierarchy ("3dsmax-friendly" release) at the same place. The
# file's two spine joints stand where our upper two do; our lowest lies between them and the hips.
CMU_JOINTS: dict[str, str] = {
    "pelvis": "hip",
    "spine2": "abdomen",
    "spine3": "chest",
    "neck": "neck",
    "head": "head",
    **_cmu_side("l", "left"),
    **_cmu_side("r", "right"),
}
_CMU_PASSED_OVER = ("lButtock", "rButtock")  # between hip and thigh; they never turn
# Our joint -> the joint of the file whose end site is its place; it turns with that joint.
_CMU_END_SITES: dict[str, str] = {
    f"{side}_{ours}": f"{letter}{theirs}"
    for letter, side in (("l", "left"), ("r", "right"))
    for ours, theirs in (
        ("foot", "Foot"),
        *((f"{finger}3", f"{name}2") for name, finger in _FINGERS.items()),
    )
}
# Joints with one bone whose direction in the rest pose is made the default skeleton's: where the
# file's T-pose holds the forearms forwards, its rotations say so instead. Parents come first.
_STRAIGHTENED: dict[str, str] = {
    f"{side}_{joint}": f"{side}_{child}"
    for side in ("left", "right")
    for joint, child in (
        *(("hip", "knee"), ("knee", "ankle"), ("ankle", "foot")),
        *(("shoulder", "elbow"), ("elbow", "wrist")),
        *((f"{finger}{k}", f"{finger}{k + 1}") for finger in _FINGERS.values() for k in (1, 2)),
    )
}


def is_cmu(bvh: BvhMotion) -> bool:
    """Return whether the file has the joints of the CMU hierarchy."""
    return set(bvh.names) == {*CMU_JOINTS.values(), *_CMU_PASSED_OVER}


def cmu_to_motion(bvh: BvhMotion, drop: float | None = None) -> Motion:
    """Return a CMU take as 55 joints on a skeleton with the bone lengths of the file.

    Joints that both have stand exactly where the file has them. Of the others, the lowest spine
    joint lies between hips and spine and takes half the twist; the last finger joints and the
    toes stand at the file's end sites; the jaw keeps its place in the head. The file has no sole:
    its toes are lowered, by one amount for the take, so that a standing dancer's stand on the
    floor at y = 0. The first `CMU_LEAD_IN` frames are the conversion's way out of its T-pose;
    they are kept here, for the caller to cut.

    Args:
        bvh: a take, or a part of one.
        drop: how far the toes are lowered, metres; by default found in the frames given.

    Raises:
        InputError: another hierarchy than CMU's, or a size that is no person's.
    """
    if not is_cmu(bvh):
        raise _unknown_joints(bvh)
    without = [name for name in _CMU_END_SITES.values() if name not in bvh.end_sites]
    if without:
        raise InputError(
            f"{bvh.name}: no end site under {_some(without)}; wanted one under each foot and finger"
        )
    places, turns = bvh.pose()
    index = {name: bvh.names.index(name) for name in bvh.names}
    source = {ours: index[theirs] for ours, theirs in (CMU_JOINTS | _CMU_END_SITES).items()}
    source |= {"spine1": source["pelvis"], "jaw": source["head"]}
    order = [source[name] for name in JOINT_NAMES]
    require_person(bvh)

    if drop is None:
        drop = cmu_sole(cmu_toe_heights(bvh))
    rest = _cmu_rest(bvh, index, drop)
    straight = _straighten(rest)
    global_rotations = turns[:, order] @ straight.mT
    local = _share_twist(global_to_local(global_rotations), rest)
    # A bone hangs from the parent's joint of the file, so its rest vector turns with the parent.
    parents = list(PARENTS[1:])
    bones = (straight[parents] @ (rest[1:] - rest[parents])[..., None]).squeeze(-1)
    skeleton = Skeleton(torch.cat([torch.zeros(1, 3), bones]), name=bvh.name)
    motion = Motion.from_rotations(bvh.root, local, skeleton, bvh.fps)
    for ours, theirs in CMU_JOINTS.items():
        stray = motion.joints[:, JOINT[ours]] - places[:, index[theirs]]
        if stray.norm(dim=-1).max() > _STRAY:
            raise InputError(
                f"{bvh.name}: {theirs} hangs from another parent than in the CMU hierarchy, or "
                f"{' or '.join(_CMU_PASSED_OVER)} turns; wanted the hierarchy of the CMU release"
            )
    return motion


def cmu_toe_heights(bvh: BvhMotion) -> Float[Tensor, "T"]:
    """Return how high the lower toe of a CMU take is in each frame, metres."""
    places, turns = bvh.pose()
    feet = [(bvh.names.index(name), bvh.end_sites[name]) for name in ("lFoot", "rFoot")]
    heights = [(places[:, foot] + turns[:, foot] @ end)[:, UP] for foot, end in feet]
    return torch.stack(heights).amin(0)


def cmu_sole(heights: Float[Tensor, "T"]) -> float:
    """Return how far the toes of a file are above those of someone who stands on the floor."""
    return min(max(float(heights.quantile(_STANDING)) - SOLE_DEPTH, 0.0), _SOLE_LIMIT)


def _unknown_joints(bvh: BvhMotion) -> InputError:
    cmu = {*CMU_JOINTS.values(), *_CMU_PASSED_OVER}
    wanted, kind = min(
        ((cmu, "CMU"), (set(JOINT_NAMES), "SMPL-X")), key=lambda w: len(w[0] ^ set(bvh.names))
    )
    unknown = [name for name in bvh.names if name not in wanted]
    missing = sorted(wanted - set(bvh.names))
    found = f"unknown joints {_some(unknown)}" if unknown else f"no joints {_some(missing)}"
    return InputError(
        f"{bvh.name}: {found}; wanted the {len(wanted)} joints of the {kind} hierarchy "
        "(55 SMPL-X or 43 CMU names are known); rename them or retarget the take first"
    )


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def require_person(bvh: BvhMotion) -> None:
    """Raise an `InputError` where the legs of a skeleton are no person's, in metres."""
    joints = torch.zeros_like(bvh.offsets)
    for joint, parent in enumerate(bvh.parents[1:], start=1):
        joints[joint] = joints[parent] + bvh.offsets[joint]
    hips = float(-joints[:, UP].min())
    if not _HIP_RANGE[0] < hips < _HIP_RANGE[1]:
        raise InputError(
            f"{bvh.name}: legs of {hips:.3g} m; wanted a person in metres, give the scale "
            "(0.01 for a file in centimetres)"
        )


def _cmu_rest(bvh: BvhMotion, index: dict[str, int], drop: float) -> Float[Tensor, "55 3"]:
    """Return where our joints are in the rest pose of the file, metres from the hips."""
    theirs = torch.zeros_like(bvh.offsets)
    for joint, parent in enumerate(bvh.parents[1:], start=1):
        theirs[joint] = theirs[parent] + bvh.offsets[joint]
    rest = torch.zeros(NUM_JOINTS, 3)
    for ours, name in CMU_JOINTS.items():
        rest[JOINT[ours]] = theirs[index[name]]
    for ours, name in _CMU_END_SITES.items():
        rest[JOINT[ours]] = theirs[index[name]] + bvh.end_sites[name]
    for foot in ("left_foot", "right_foot"):
        rest[JOINT[foot], UP] -= drop
    rest[JOINT["spine1"]] = rest[JOINT["spine2"]] / 2
    rest[JOINT["jaw"]] = rest[JOINT["head"]] + default_skeleton().offsets[JOINT["jaw"]]
    return rest


def _straighten(rest: Float[Tensor, "55 3"]) -> Float[Tensor, "55 3 3"]:
    """Return, per joint, the turn from the rest pose of the file to that of the default skeleton.

    The trunk, neck, collars and head stay as they are: there a bone's direction is proportion.
    """
    ideal = default_skeleton().rest_joints()
    turns = torch.eye(3).repeat(NUM_JOINTS, 1, 1)
    for joint in range(1, NUM_JOINTS):
        name = JOINT_NAMES[joint]
        turns[joint] = turns[PARENTS[joint]]
        if name in _STRAIGHTENED:
            child = JOINT[_STRAIGHTENED[name]]
            bone = turns[joint] @ (rest[child] - rest[joint])
            turns[joint] = rotation_between(bone, ideal[child] - ideal[joint]) @ turns[joint]
        elif name.endswith("_wrist"):
            side = name.removesuffix("_wrist")
            turns[joint] = palm_axes(ideal, side) @ palm_axes(rest, side).mT
    return turns


def _share_twist(
    local: Float[Tensor, "T 55 3 3"], rest: Float[Tensor, "55 3"]
) -> Float[Tensor, "T 55 3 3"]:
    """Return the rotations with half of the upper spine's twist moved to the lowest spine joint.

    A turn about the bone between them moves no joint, so the file's places all stay.
    """
    lower, upper = JOINT["spine1"], JOINT["spine2"]
    axis = torch.nn.functional.normalize(rest[upper] - rest[lower], dim=0)
    twist = (matrix_to_axis_angle(local[:, upper]) @ axis)[:, None] * axis
    half = axis_angle_to_matrix(twist / 2)
    shared = local.clone()
    shared[:, lower] = local[:, lower] @ half
    shared[:, upper] = half.mT @ local[:, upper]
    return shared
