"""Retargeting of any skeleton: the joints stay where a file has them, whatever its rest pose.

The rotations of a file are relative to a pose that each program chooses: a T, an A, arms down, or
no pose of a person at all. So no local rotation is copied. A joint of ours turns in the world as
the file's does, times a constant turn per joint that is found where the body's shape tells how the
joint must be turned: in the rest pose, if that is a person's, or else in the frames of the take in
which the dancer stands most upright.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.kinematics import global_to_local
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import project_to_rotation, rotation_between
from duet_rl.body.skeleton import (
    CHILDREN,
    JOINT,
    NUM_JOINTS,
    PARENTS,
    SMPL_JOINTS,
    UP,
    Skeleton,
    default_skeleton,
)
from duet_rl.mocap.body_plan import plan_of
from duet_rl.mocap.bvh import BvhMotion
from duet_rl.mocap.skeleton_names import SIDES, Rig
from duet_rl.mocap.smpl_fit import hinge_twist

_UPRIGHT = 0.5  # share of the frames, the more upright ones, that tell how joints are turned
_SNAP = 0.966  # cosine of 15 degrees; a body axis so near to an axis of the file is meant to be it
_OPPOSED = -0.7  # cosine between trunk and legs of a pose that can be a person's
_STRETCHED = 0.9  # share of a leg's length from hip to ankle in a rest pose
_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow")
_KNUCKLES = tuple(f"{f}{k}" for f in ("thumb", "index", "middle", "ring", "pinky") for k in (1, 2))
# Joints whose one bone points in our rest pose as in the default skeleton: rest poses differ there.
_STRAIGHTENED = frozenset(JOINT[f"{side}_{name}"] for side in SIDES for name in _LIMBS + _KNUCKLES)
_TRUNK = frozenset(
    JOINT[name]
    for name in (
        *("pelvis", "spine1", "spine2", "spine3", "neck", "head", "jaw"),
        *("left_eye", "right_eye", "left_collar", "right_collar"),
    )
)
_HINGED = frozenset(JOINT[f"{side}_{name}"] for side in SIDES for name in ("hip", "shoulder"))
_WRISTS = {JOINT[f"{side}_wrist"]: side for side in SIDES}
_SOLES = tuple(JOINT[f"{side}_foot"] for side in SIDES)


class Retargeter:
    """What turns the frames of one file into motions of one skeleton, part by part."""

    def __init__(self, sample: BvhMotion, rig: Rig) -> None:
        """Learn the skeleton of a file from some of its frames.

        Raises:
            InputError: the limbs of the file hang together in another way than a person's.
        """
        self.plan = plan_of(sample, rig)
        self._ideal = default_skeleton()
        self._told = [joint not in self.plan.attached for joint in range(NUM_JOINTS)]
        places, turned = self.plan.read(sample)
        self.leg = float(leg_length(places).mean())  # m, or units of the file
        rest, still = self.plan.read(_at_rest(sample))
        self.rest_is_a_pose = is_a_person(rest[0])
        if not self.rest_is_a_pose:
            chosen = _most_upright(places)
            rest, still = places[chosen], turned[chosen]
        ideal = self._turns_of(rest)
        self._turns = project_to_rotation((still.mT @ ideal).mean(0))  # (55, 3, 3)
        self.offsets = self._bones(places, turned @ self._turns)
        self.name = sample.name
        self._carried = [
            joint
            for joint in range(1, NUM_JOINTS)
            if not self._told[joint] or joint in self.plan.ends
        ]
        aims = {
            joint: child
            for joint in set(range(1, NUM_JOINTS)).difference(self._carried)
            if (child := self._only_child(joint)) is not None
        }
        self._aims, self._ends = list(aims), list(aims.values())  # joints with one bone; its end

    def lower_toes(self, drop: float) -> None:
        """Put the toes lower under the ankles, metres: files have no soles."""
        for foot in _SOLES:
            self.offsets[foot, UP] -= drop

    def motion(self, bvh: BvhMotion) -> Motion:
        """Return frames of the file as a motion, in the axes and units that they come in."""
        places, turned = self.plan.read(bvh)
        turned = turned @ self._turns
        turned[:, self._aims] = self._aimed(turned[:, self._aims], places)
        for joint in self._carried:  # parents come first
            turned[:, joint] = turned[:, PARENTS[joint]]
        skeleton = Skeleton(self.offsets.clone(), name=self.name)
        return Motion.from_rotations(places[:, 0], global_to_local(turned), skeleton, bvh.fps)

    def strays(self, bvh: BvhMotion) -> Float[Tensor, "T"]:
        """Return, frame by frame, how far the joint that is farthest from the file's is off."""
        places, _ = self.plan.read(bvh)
        told = [joint for joint, told in enumerate(self._told) if told and joint not in _SOLES]
        return (self.motion(bvh).joints - places)[:, told].norm(dim=-1).amax(-1)

    def _aimed(
        self, turned: Float[Tensor, "T K 3 3"], places: Float[Tensor, "T 55 3"]
    ) -> Float[Tensor, "T K 3 3"]:
        """Return the rotations of some joints, turned on so that bones point as in the file."""
        straight = torch.tensor([joint in _STRAIGHTENED for joint in self._aims])[:, None]
        rest = torch.where(straight, self._ideal.offsets[self._ends], self.offsets[self._ends])
        bones = places[:, self._ends] - places[:, self._aims]
        return rotation_between((turned @ rest[..., None]).squeeze(-1), bones) @ turned

    def _only_child(self, joint: int) -> int | None:
        """Return the end of the one bone of a joint, if the file says where it is."""
        if joint in _WRISTS or joint in (JOINT["head"], JOINT["pelvis"], JOINT["spine3"]):
            return None
        child = next(iter(CHILDREN[joint]), None)
        return child if child is not None and self._told[child] else None

    def _turns_of(self, places: Float[Tensor, "N 55 3"]) -> Float[Tensor, "N 55 3 3"]:
        """Return how our joints are turned in upright poses, by the shape of the body alone."""
        ideal = self._ideal
        trunk = _trunk_axes(places)
        rest = ideal.rest_joints()
        smpl = places[:, list(SMPL_JOINTS)]
        turns: list[Tensor] = []
        for joint in range(NUM_JOINTS):
            above = turns[PARENTS[joint]] if joint else trunk
            child = self._only_child(joint)
            if joint in _TRUNK:
                turn = trunk
            elif joint in _WRISTS and self._has_palm(_WRISTS[joint]):
                side = _WRISTS[joint]
                turn = palm_axes(places, side) @ palm_axes(rest, side).mT
            elif joint in _STRAIGHTENED and child is not None:
                carried = (above @ ideal.offsets[child][:, None]).squeeze(-1)
                turn = rotation_between(carried, places[:, child] - places[:, joint]) @ above
                if joint in _HINGED:
                    turn = hinge_twist(joint, turn, smpl) @ turn
            else:
                turn = above
            turns.append(turn)
        return torch.stack(turns, dim=1)

    def _has_palm(self, side: str) -> bool:
        names = ("middle1", "index1", "pinky1")
        return all(self._told[JOINT[f"{side}_{name}"]] for name in names)

    def _bones(
        self, places: Float[Tensor, "T 55 3"], turned: Float[Tensor, "T 55 3 3"]
    ) -> Float[Tensor, "55 3"]:
        """Return the bones of the skeleton: as long as in the file, and those it lacks to scale."""
        ideal = self._ideal
        ratio = self.leg / float(leg_length(ideal.rest_joints()))
        offsets = ideal.offsets * ratio
        for joint in range(1, NUM_JOINTS):
            if not self._told[joint]:
                continue
            parent = PARENTS[joint]
            bones = places[:, joint] - places[:, parent]
            length = bones.norm(dim=-1).mean()
            way = ideal.offsets[joint]
            if parent not in _STRAIGHTENED:
                way = (turned[:, parent].mT @ bones[..., None]).squeeze(-1).mean(0)
            offsets[joint] = torch.nn.functional.normalize(way, dim=0) * length
        return offsets


def palm_axes(joints: Float[Tensor, "*batch 55 3"], side: str) -> Float[Tensor, "*batch 3 3"]:
    """Return axes along the hand and across the palm."""
    wrist, middle, index, pinky = (
        joints[..., JOINT[f"{side}_{name}"], :] for name in ("wrist", "middle1", "index1", "pinky1")
    )
    return _axes(middle - wrist, index - pinky)


def _axes(first: Float[Tensor, "*batch 3"], second: Float[Tensor, "*batch 3"]) -> Tensor:
    """Return the rotation whose first column is `first`, and whose second lies towards `second`."""
    x = torch.nn.functional.normalize(first, dim=-1)
    y = second - (second * x).sum(-1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y, dim=-1)], dim=-1)


def _trunk_axes(places: Float[Tensor, "N 55 3"]) -> Float[Tensor, "N 3 3"]:
    """Return where left, up and ahead of the trunk are; up is an axis of the file if it is near."""
    up = torch.nn.functional.normalize(_top(places) - places[:, 0], dim=-1)
    axis = torch.nn.functional.one_hot(up.abs().argmax(-1), 3).to(up) * up.sign()
    up = torch.where((up * axis).sum(-1, keepdim=True) > _SNAP, axis, up)
    return _axes(up, _across(places)) @ up.new_tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])


def _across(places: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch 3"]:
    """Return the way from the right side to the left, by hips and shoulders."""
    sides = [
        places[..., JOINT[f"left_{name}"], :] - places[..., JOINT[f"right_{name}"], :]
        for name in ("hip", "shoulder")
    ]
    return sides[0] + sides[1]


def _top(places: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch 3"]:
    return places[..., JOINT["neck"], :]


def _ankles(places: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch 3"]:
    return (places[..., JOINT["left_ankle"], :] + places[..., JOINT["right_ankle"], :]) / 2


def leg_length(places: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch"]:
    """Return how long thigh and shin are together, the mean of both legs."""
    lengths = []
    for side in SIDES:
        hip, knee, ankle = (JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        thigh = (places[..., knee, :] - places[..., hip, :]).norm(dim=-1)
        lengths.append(thigh + (places[..., ankle, :] - places[..., knee, :]).norm(dim=-1))
    return (lengths[0] + lengths[1]) / 2


def _at_rest(bvh: BvhMotion) -> BvhMotion:
    """Return the pose in which nothing is turned."""
    joints = len(bvh.names)
    return BvhMotion(
        bvh.name,
        bvh.names,
        bvh.parents,
        bvh.offsets,
        bvh.end_sites,
        torch.eye(3).expand(1, joints, 3, 3),
        torch.zeros(1, 3),
        bvh.fps,
    )


def is_a_person(places: Float[Tensor, "55 3"]) -> bool:
    """Return whether a pose can be the rest of a person: trunk up, straight legs down."""
    hips = (places[JOINT["left_hip"]] + places[JOINT["right_hip"]]) / 2
    trunk, legs = _top(places) - places[0], _ankles(places) - hips
    opposed = torch.cosine_similarity(trunk, legs, dim=0) < _OPPOSED
    stretched = legs.norm() > _STRETCHED * leg_length(places)
    across = _across(places)
    sideways = torch.cosine_similarity(across, trunk, dim=0).abs() < -_OPPOSED
    return bool(opposed and stretched and sideways and across.norm() > 0)


def _most_upright(places: Float[Tensor, "T 55 3"]) -> Tensor:
    """Return the frames in which trunk and legs make one line."""
    trunk = _top(places) - places[:, 0]
    bend = torch.cosine_similarity(trunk, _ankles(places) - places[:, 0], dim=-1)
    count = max(1, round(_UPRIGHT * len(places)))
    return bend.argsort()[:count]
