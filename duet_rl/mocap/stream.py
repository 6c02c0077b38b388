"""Poses of any skeleton as they come, one by one, as our 55 joints: what `motion_file` does live.

A file is looked at as a whole before its first frame is made. A stream has shown nothing yet when
its first pose comes: what there is to find (who is who, unit, which way is up, floor, how joints
are turned) is found in the first pose that tells it, and stays. Each pose is then retargeted by
itself, so the joints are those that the same retargeting gives the whole take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import FEET, JOINT_NAMES, NUM_JOINTS, UP
from duet_rl.errors import InputError
from duet_rl.mocap.axes import UpAxis, turn_to_y_up
from duet_rl.mocap.body_plan import plan_of
from duet_rl.mocap.bvh import BvhMotion
from duet_rl.mocap.detect import (
    FLOOR_SLACK,
    PERSON_RANGE,
    SOLE_LIMIT,
    scale_of,
    standing_height,
    up_of,
)
from duet_rl.mocap.joint_arrays import JointFit
from duet_rl.mocap.retarget_any import Retargeter, is_a_person, leg_length
from duet_rl.mocap.skeleton_match import rig_of

_NAME = "the stream"  # in messages
_FPS = 30.0  # of single poses, which have none


class TurnedPose(NamedTuple):
    """A pose by rotations."""

    root: Float[Tensor, "3"]  # its place in the world, in units of the stream
    rotations: Float[Tensor, "J 3 3"]  # each joint from its parent


class PlacedPose(NamedTuple):
    """A pose by places."""

    places: Float[Tensor, "J 3"]  # of the joints in the world, in units of the stream


@dataclass(frozen=True, eq=False)
class StreamSkeleton:
    """What is said of a skeleton before its poses come.

    Args:
        names: of its joints; the root is the first.
        parents: index of each joint's parent, -1 for the root; parents come first.
        offsets: joint minus its parent where nothing is turned, in units of the stream; None where
            poses are places.
        ends: where limbs end beyond a joint, seen from it, as BVH's end sites; for poses that turn.
        scale: metres per unit; None: such that legs are a person's.
        up: the axis that is up; None: the one along which the body is long.
        floor: its height, metres; None: the lower foot of the first pose stands on it.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[Tensor, "J 3"] | None = None
    ends: Mapping[str, Float[Tensor, "3"]] = field(default_factory=dict)
    scale: float | None = None
    up: UpAxis | None = None
    floor: float | None = None


@dataclass(frozen=True)
class StreamFound:
    """What a stream was taken for.

    Args:
        family: whose skeleton it is.
        joints: our joint -> the stream's.
        missing: ours that the stream lacks; they follow from the others or are at rest.
        scale: metres per unit.
        scale_from: why.
        up: the axis that is up.
        floor: how high the floor was above ours, metres; it was brought down by that.
    """

    family: str
    joints: Mapping[str, str]
    missing: tuple[str, ...]
    scale: float
    scale_from: str
    up: UpAxis
    floor: float


class SkeletonStream:
    """Turns the poses of one skeleton into our joints.

    `found` is None until a pose has told all that must be known: the body's line must show which
    way is up, unless that is said, and where the skeleton's own pose is no person's, or there is
    none, somebody must stand upright on straight legs.
    """

    def __init__(self, skeleton: StreamSkeleton) -> None:
        self.skeleton = skeleton
        self.found: StreamFound | None = None
        self._places: Callable[[BvhMotion], Float[Tensor, "1 55 3"]] | None = None
        self._turn = torch.eye(3)
        self._shift = torch.zeros(3)

    def joints(self, pose: TurnedPose | PlacedPose) -> Float[Tensor, "55 3"] | None:
        """Return our joints, metres, Y up, floor at 0; None while too little is known.

        Args:
            pose: finite; its kind is that of every pose of the stream.

        Raises:
            InputError: a skeleton in which no person can be recognised.
        """
        if self._places is None:
            self._begin(pose)
        if self._places is None or self.found is None:
            return None
        places = self._places(self._bvh(pose, self.found.scale))[0]
        return places @ self._turn.mT + self._shift

    def _begin(self, pose: TurnedPose | PlacedPose) -> None:
        """Learn from a pose what there is to learn, if it tells all of it."""
        sample = self._bvh(pose, 1.0)
        rig = rig_of(sample)
        plan = plan_of(sample, rig)
        places, _ = plan.read(sample)
        scale, scale_from = self._scale(float(leg_length(places[0])), rig.units)
        up = up_of(places)
        if self.skeleton.up is None and not up.certain:
            return
        axis = self.skeleton.up or up.axis
        sample = self._bvh(pose, scale)
        lower_toes = None
        if isinstance(pose, PlacedPose):
            told = tuple(joint for joint in range(NUM_JOINTS) if joint not in plan.attached)
            fit = JointFit(places * scale, told, _NAME)
            self._places = lambda bvh: fit.motion(plan.read(bvh)[0], _FPS).joints
        else:
            retargeter = Retargeter(sample, rig)
            if not (retargeter.rest_is_a_pose or is_a_person(places[0])):
                return
            lower_toes = retargeter.lower_toes
            self._places = lambda bvh: retargeter.motion(bvh).joints
        self._turn = turn_to_y_up(places, axis)
        slack = SOLE_LIMIT if set(FEET) & set(plan.attached) else FLOOR_SLACK
        floor = self._floor(self._places(sample) @ self._turn.mT, slack, lower_toes)
        self._shift[UP] = -floor
        joints = {JOINT_NAMES[ours]: sample.names[joint] for ours, joint in plan.joints.items()}
        missing = tuple(name for name in JOINT_NAMES if name not in joints)
        self.found = StreamFound(rig.family, joints, missing, scale, scale_from, axis, floor)

    def _bvh(self, pose: TurnedPose | PlacedPose, scale: float) -> BvhMotion:
        """Return a pose as a take of one frame, metres if the scale is those of a unit."""
        said = self.skeleton
        joints = len(said.names)
        if isinstance(pose, PlacedPose):
            above = pose.places[[max(parent, 0) for parent in said.parents]]
            bones = (pose.places - above) * scale
            still = torch.eye(3).expand(1, joints, 3, 3)
            root = pose.places[:1] * scale
            return BvhMotion(
                _NAME, said.names, said.parents, bones, {}, still, root, _FPS, bones[None]
            )
        assert said.offsets is not None, "poses that turn need a skeleton with offsets"
        return BvhMotion(
            _NAME,
            said.names,
            said.parents,
            said.offsets * scale,
            {name: end * scale for name, end in said.ends.items()},
            pose.rotations[None],
            pose.root[None] * scale,
            _FPS,
        )

    def _scale(self, leg: float, units: tuple[float, ...]) -> tuple[float, str]:
        given = self.skeleton.scale
        if given is None and leg > 0:
            found = scale_of(leg, units)
            return found.metres, found.reason
        metres = leg * (given or 0.0)
        if given is None or not PERSON_RANGE[0] < metres < PERSON_RANGE[1]:
            raise InputError(
                f"legs of {metres:.3g} m; wanted a person in metres: say the scale (0.01 for "
                "centimetres) or leave it out"
            )
        return given, "given"

    def _floor(
        self,
        posed: Float[Tensor, "1 55 3"],
        slack: float,
        lower_toes: Callable[[float], None] | None,
    ) -> float:
        """Give feet without soles their soles, and return how high the floor is, metres."""
        said = self.skeleton.floor
        height = standing_height(posed) - (said or 0.0)
        if lower_toes is not None and 0 < height <= SOLE_LIMIT:
            lower_toes(height)
        elif said is None and abs(height) > slack:
            return height
        return said or 0.0
