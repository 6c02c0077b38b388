"""Arms and hands of synthetic dancers: holds that meet, and hands that are free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from duet_rl.body.kinematics import global_to_local, two_bone_ik
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import JOINT, LEFT_HAND, RIGHT_HAND, UP, Skeleton
from duet_rl.datasets.synthetic_body import Noise, aim
from duet_rl.datasets.synthetic_curves import through_beats
from duet_rl.datasets.synthetic_figures import HOLDS, Hold
from duet_rl.datasets.synthetic_holds import HAND_POSES, Frame, HandPose, Role, Side

_JOINED: tuple[tuple[Side, Side], ...] = (("left", "right"), ("right", "left"))  # leader, follower
_PALMS_APART = 0.016  # m; between the middles of two joined palms: hands have a thickness
_MEETING_ROUNDS = 6  # in which a meeting point comes within reach of both arms
_STRETCH = 0.985  # of an arm's length that a dancer uses
_HAND_NOISE, _HAND_SWING = 0.025, 0.05  # m; of free hands
_ARM_CARRY = 0.1  # speed of a soloist's hand on a beat, a share of its mean speed
_THUMB_CURL = 0.4  # of that of the fingers
_LEVEL = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Body:
    """A dancer whose arms are not yet placed."""

    root: Float[Tensor, "T 3"]
    rotations: Float[Tensor, "T 55 3 3"]  # global; arms and hands follow the chest
    joints: Float[Tensor, "T 55 3"]  # m
    skeleton: Skeleton
    noise: Noise
    swing: Float[Tensor, "T"]  # -1 to 1: weight on the right or on the left foot


class _Axes(NamedTuple):
    origin: Float[Tensor, "T 3"]
    axes: Float[Tensor, "T 3 3"]  # columns: left, up, forward


class _HandGoal(NamedTuple):
    """Where a hand shall be and how, world axes; directions need not be of length 1."""

    palm: Tensor  # (T, 3), m
    fingers: Tensor  # (T, 3)
    facing: Tensor  # (T, 3)
    elbow: Tensor  # (T, 3)
    curl: Tensor  # (T, 1), rad


@dataclass(frozen=True, eq=False)
class _Arm:
    """The fixed end and the bones of one arm."""

    side: Side
    shoulder: Tensor  # (T, 3), m
    upper: float  # m
    lower: float  # m
    palm: Tensor  # (3,), m; the middle of the palm from the wrist, in the rest pose

    def hand(self, goal: _HandGoal) -> Tensor:
        """Return the hand's global rotation."""
        out = 1.0 if self.side == "left" else -1.0
        fingers, facing = self.palm.new_tensor([out, 0, 0]), self.palm.new_tensor([0, -1.0, 0])
        return aim(fingers, facing, goal.fingers, goal.facing)


def join_couple(leader: Body, follower: Body, holds: Float[Tensor, "T 5"], fps: float) -> Duet:
    """Return the couple with its arms placed.

    Args:
        leader: the leader without arms.
        follower: the follower without arms.
        holds: how much of each of `HOLDS` is taken; rows sum to 1. Where one of them is 1, joined
            hands meet.
        fps: frames per second.
    """
    bodies: dict[Role, Body] = {"leader": leader, "follower": follower}
    arms = {(role, side): _arm(bodies[role], side) for role in bodies for side in _sides()}
    frames = _frames(leader, follower)
    blended: dict[tuple[Role, Side], list[Tensor]] = {}
    for weight, hold in zip(holds.unbind(1), HOLDS, strict=True):
        if not weight.any():
            continue
        for key, goal in _goals(hold, arms, frames, bodies).items():
            parts = [part * weight[:, None] for part in goal]
            so_far = blended.get(key)
            blended[key] = [a + b for a, b in zip(so_far, parts, strict=True)] if so_far else parts
    for (role, side), parts in blended.items():
        _set_arm(bodies[role], arms[role, side], _HandGoal(*parts))
    return Duet(_motion(leader, fps), _motion(follower, fps))


def dance_alone(
    body: Body,
    poses: Mapping[Side, Sequence[HandPose]],
    beat: Float[Tensor, "T"],
    fps: float,
) -> Motion:
    """Return a dancer whose hands come to one pose after the other, each on its beat.

    Args:
        body: the dancer without arms.
        poses: of each hand on every beat, all in own axes.
        beat: time of each frame, in beats.
        fps: frames per second.
    """
    chest = JOINT["spine3"]
    axes = body.rotations[:, chest]

    def turned(keys: list[tuple[float, float, float]]) -> Tensor:
        way = through_beats(torch.tensor(keys, dtype=torch.float64), beat, _ARM_CARRY)
        return (axes @ way[..., None]).squeeze(-1)

    for side, keys in poses.items():
        palm = body.joints[:, chest] + turned([pose.palm for pose in keys])
        curl = torch.tensor([[pose.curl] for pose in keys], dtype=torch.float64)
        goal = _HandGoal(
            palm + _wander(body, side, axes),
            turned([pose.fingers for pose in keys]),
            turned([pose.facing for pose in keys]),
            turned([pose.elbow for pose in keys]),
            through_beats(curl, beat),
        )
        _set_arm(body, _arm(body, side), goal)
    return _motion(body, fps)


def _sides() -> tuple[Side, Side]:
    return "left", "right"


def _arm(body: Body, side: Side) -> _Arm:
    offsets = body.skeleton.offsets.double()
    upper, lower = (float(offsets[JOINT[f"{side}_{name}"]].norm()) for name in ("elbow", "wrist"))
    palm = offsets[JOINT[f"{side}_middle1"]] / 2
    return _Arm(side, body.joints[:, JOINT[f"{side}_shoulder"]], upper, lower, palm)


def _frames(leader: Body, follower: Body) -> dict[tuple[Role, Frame], _Axes]:
    """Return the axes in which each role reads its hand poses."""
    chest = JOINT["spine3"]
    of_leader, of_follower = (
        _Axes(body.joints[:, chest], body.rotations[:, chest]) for body in (leader, follower)
    )
    forward = normalize((of_follower.origin - of_leader.origin) * _LEVEL, dim=-1)
    up = torch.zeros_like(forward)
    up[:, UP] = 1
    axes = torch.stack([torch.linalg.cross(up, forward), up, forward], dim=-1)
    couple = _Axes((of_leader.origin + of_follower.origin) / 2 * _LEVEL, axes)
    return {
        ("leader", "couple"): couple,
        ("follower", "couple"): couple,
        ("leader", "own"): of_leader,
        ("follower", "own"): of_follower,
        ("leader", "partner"): of_follower,
        ("follower", "partner"): of_leader,
    }


def _goals(
    hold: Hold,
    arms: dict[tuple[Role, Side], _Arm],
    frames: dict[tuple[Role, Frame], _Axes],
    bodies: dict[Role, Body],
) -> dict[tuple[Role, Side], _HandGoal]:
    """Return the goals of all four hands in one hold."""
    goals = {}
    for key, pose in HAND_POSES[hold].items():
        goals[key] = _goal(pose, key, frames, bodies[key[0]])
    for sides in _JOINED:
        of_leader: tuple[Role, Side] = ("leader", sides[0])
        of_follower: tuple[Role, Side] = ("follower", sides[1])
        if HAND_POSES[hold][of_leader].frame == "couple":
            keys = (of_leader, of_follower)
            pair = _meet([goals[key] for key in keys], [arms[key] for key in keys])
            goals.update(zip(keys, pair, strict=True))
    return goals


def _goal(
    pose: HandPose,
    key: tuple[Role, Side],
    frames: dict[tuple[Role, Frame], _Axes],
    body: Body,
) -> _HandGoal:
    """Return a hand pose in world axes; free hands swing with the step and wander a little."""
    role, side = key

    def turned(vector: Tensor | tuple[float, float, float], frame: Frame) -> Tensor:
        axes = frames[role, frame].axes
        return (axes @ torch.as_tensor(vector, dtype=axes.dtype)[..., None]).squeeze(-1)

    palm = frames[role, pose.frame].origin + turned(pose.palm, pose.frame)
    if pose.frame == "own":
        palm = palm + _wander(body, side, frames[role, "own"].axes)
    curl = torch.full_like(palm[:, :1], pose.curl)
    fingers, facing = turned(pose.fingers, pose.axes), turned(pose.facing, pose.axes)
    return _HandGoal(palm, fingers, facing, turned(pose.elbow, "own"), curl)


def _wander(body: Body, side: Side, axes: Tensor) -> Float[Tensor, "T 3"]:
    """Return how far a free hand is from where it should be, metres, world axes."""
    first = 0 if side == "left" else 3
    wander = _HAND_NOISE * body.noise.hands[:, first : first + 3]
    wander[:, 2] += _HAND_SWING * (body.swing if side == "right" else -body.swing)
    return (axes @ wander[..., None]).squeeze(-1)


def _meet(goals: list[_HandGoal], arms: list[_Arm]) -> list[_HandGoal]:
    """Return the goals of two joined hands, moved to a point that both arms reach."""
    apart = [-goal.facing * (_PALMS_APART / 2) for goal in goals]
    # The wrist is at `point + from_point`; it must lie in a ball around the shoulder.
    balls = []
    for goal, arm, away in zip(goals, arms, apart, strict=True):
        from_point = away - (arm.hand(goal) @ arm.palm[:, None]).squeeze(-1)
        balls.append((arm.shoulder - from_point, _STRETCH * (arm.upper + arm.lower)))
    point = goals[0].palm
    for _ in range(_MEETING_ROUNDS):
        for centre, radius in balls:
            ray = point - centre
            length = ray.norm(dim=-1, keepdim=True)
            point = centre + ray * (radius / length.clamp_min(radius))
    return [goal._replace(palm=point + away) for goal, away in zip(goals, apart, strict=True)]


def _set_arm(body: Body, arm: _Arm, goal: _HandGoal) -> None:
    """Write the global rotations of one arm and its hand into `body.rotations`."""
    offsets = body.skeleton.offsets.double()
    shoulder, elbow, wrist = (JOINT[f"{arm.side}_{n}"] for n in ("shoulder", "elbow", "wrist"))
    hand = arm.hand(goal)
    target = goal.palm - (hand @ arm.palm[:, None]).squeeze(-1)
    middle, end = two_bone_ik(arm.shoulder, target, arm.upper, arm.lower, goal.elbow)
    up = hand.new_tensor([0, 1.0, 0])
    out = 1.0 if arm.side == "left" else -1.0
    hinge = normalize(torch.linalg.cross(end - arm.shoulder, goal.elbow) * out, dim=-1)
    body.rotations[:, shoulder] = aim(offsets[elbow], up, middle - arm.shoulder, hinge)
    # The forearm turns half of the way from the elbow's hinge to the back of the hand.
    body.rotations[:, elbow] = aim(offsets[wrist], up, end - middle, hinge + hand[..., 1])
    body.rotations[:, wrist] = hand
    _curl(body.rotations, arm.side, hand, goal.curl)


def _curl(rotations: Tensor, side: Side, hand: Tensor, curl: Tensor) -> None:
    """Bend the fingers towards the palm, each joint by `curl`."""
    out = -1.0 if side == "left" else 1.0
    joints = LEFT_HAND if side == "left" else RIGHT_HAND
    for index, joint in enumerate(joints):
        finger, knuckle = divmod(index, 3)
        angle = curl * (knuckle + 1) * (_THUMB_CURL if finger == 4 else 1.0)
        axis = angle.new_tensor([0.0, 0.0, out])
        rotations[:, joint] = hand @ axis_angle_to_matrix(angle * axis)


def _motion(body: Body, fps: float) -> Motion:
    local = global_to_local(body.rotations).float()
    return Motion.from_rotations(body.root.float(), local, body.skeleton, fps)
