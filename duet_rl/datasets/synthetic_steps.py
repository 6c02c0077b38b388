"""Footwork of the synthetic couple: where both stand on each beat, and how feet get there."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import axis_angle_to_matrix, rotate_yaw, yaw_matrix
from duet_rl.body.skeleton import JOINT, Skeleton
from duet_rl.datasets.synthetic_curves import ease
from duet_rl.datasets.synthetic_figures import OTHER_FOOT, Beat, Hold

HOLD_DISTANCE: dict[Hold, float] = {  # m between the places of the two dancers
    "closed": 0.52,
    "two_hands": 0.66,
    "one_hand": 0.66,
    "raised": 0.55,
    "free": 0.85,
}
CLOSED_OFFSET = 0.06  # m; in closed hold the follower stands so far to the leader's right

_STANCE = 0.085  # m; half the distance between the feet
_COLLECTED = 1.7  # half distances between the feet when one taps beside the other
_TURN_OUT = 0.10  # rad; toes point outwards
_FOOT_NOISE, _FOOT_TURN_NOISE = 0.008, 0.06  # m and rad; sigma
_LEAVE = 0.18  # beats after which the free foot leaves the floor
_SWING = (0.13, 0.88)  # the part of a swing in which the foot travels
_LIFTING = 0.30  # the part of a swing in which it rises, and in which it sinks
_LIFT, _LIFT_PER_METRE, _HIGHEST_LIFT = 0.045, 0.08, 0.075  # m, m/m, m
_HEEL_OFF, _HEEL_OFF_PER_METRE = 0.55, 1.1  # rad at most; rad per metre stepped forward
_SIDES = (1.0, -1.0)  # left, right


@dataclass(frozen=True, eq=False)
class Placement:
    """One dancer beat by beat, world axes; `K` beats, feet in the order left, right."""

    body: Float[Tensor, "K 2"]  # x, z of the place danced about, m
    yaw: Float[Tensor, "K"]  # rad, unwrapped
    feet: Float[Tensor, "K 2 3"]  # x, z of the middle of the foot, m, and its yaw, rad
    moved: Float[Tensor, "K 2"]  # 1 where a foot lands on the beat
    weight: Float[Tensor, "K 2"]  # share of the body's weight on each foot


@dataclass(frozen=True, eq=False)
class Footwork:
    """The feet of one dancer frame by frame, world axes; feet in the order left, right."""

    toes: Float[Tensor, "T 2 3"]  # m
    ankles: Float[Tensor, "T 2 3"]  # m
    rotations: Float[Tensor, "T 2 3 3"]  # of the ankle joint, global
    flat: Float[Tensor, "T 2 3 3"]  # of the toe joint, global


def place_couple(
    dance: list[tuple[Hold, Beat]],
    step: float,
    start: tuple[float, float, float],
    noise: float,
    rng: np.random.Generator,
) -> tuple[Placement, Placement]:
    """Return where leader and follower stand on every beat of a dance.

    Args:
        dance: hold and step of every beat.
        step: length of a step, metres.
        start: x, z (m) and yaw (rad) of the couple on the first beat.
        noise: how unevenly they step; 1 is human, 0 none.
        rng: draws the unevenness.
    """
    beats = [beat for _, beat in dance]
    turn = np.cumsum([beat.turn for beat in beats]) + start[2]
    travel = np.array([beat.travel for beat in beats]) * step
    halfway = turn - np.array([beat.turn for beat in beats]) / 2
    centre = np.cumsum(_rotate(travel, halfway), axis=0) + np.array(start[:2])
    distance = np.array([HOLD_DISTANCE[hold] for hold, _ in dance]) / 2
    aside = np.array([-CLOSED_OFFSET if hold == "closed" else 0.0 for hold, _ in dance]) / 2
    spin = np.cumsum([beat.spin for beat in beats])
    reach = _rotate(np.array([beat.reach for beat in beats]) * step, turn)
    offset = _rotate(np.stack([aside, distance], axis=1), turn)
    steps = [beat.foot for beat in beats]
    leader = _place(centre - offset, turn, steps, reach, noise, rng)
    mirrored = [OTHER_FOOT[foot] for foot in steps]
    follower = _place(centre + offset, turn + math.pi + spin, mirrored, reach, noise, rng)
    return leader, follower


def place_soloist(
    steps: list[Beat],
    step: float,
    start: tuple[float, float, float],
    noise: float,
    rng: np.random.Generator,
) -> Placement:
    """Return where a dancer alone stands on every beat; turns of either partner are the dancer's.

    Args:
        steps: the leader's step of every beat.
        step: length of a step, metres.
        start: x, z (m) and yaw (rad) on the first beat.
        noise: how unevenly the dancer steps; 1 is human, 0 none.
        rng: draws the unevenness.
    """
    turns = np.array([beat.turn + beat.spin for beat in steps])
    yaw = np.cumsum(turns) + start[2]
    travel = np.array([beat.travel for beat in steps]) * step
    body = np.cumsum(_rotate(travel, yaw - turns / 2), axis=0) + np.array(start[:2])
    reach = _rotate(np.array([beat.reach for beat in steps]) * step, yaw)
    return _place(body, yaw, [beat.foot for beat in steps], reach, noise, rng)


def walk(placement: Placement, beat: Float[Tensor, "T"], skeleton: Skeleton) -> Footwork:
    """Return the feet in every frame: still while they stand, one arc a step.

    A foot lands exactly on its beat and then neither slides nor turns until its next step begins;
    when that step goes forward, the heel leaves the floor first, about the resting toes.

    Args:
        placement: where the feet stand on each beat.
        beat: time of each frame, in beats.
        skeleton: whose feet they are.
    """
    before = beat.floor().long().clamp(0, len(placement.yaw) - 2)
    share = (beat - before)[:, None]  # (T, 1)
    start, end = placement.feet[before], placement.feet[before + 1]  # (T, 2, 3)
    moves = placement.moved[before + 1]  # (T, 2)
    swing = ((share - _LEAVE) / (1 - _LEAVE)).clamp(0, 1) * moves
    first, last = _SWING
    there = ease((swing - first) / (last - first))
    length = (end - start)[..., :2].norm(dim=-1)
    lift = (_LIFT + _LIFT_PER_METRE * length).clamp_max(_HIGHEST_LIFT)
    lift = lift * _smoothstep(swing / _LIFTING) * _smoothstep((1 - swing) / _LIFTING)
    yaw = torch.lerp(start[..., 2], end[..., 2], there)
    pitch = _heel_pitch(start, end, length) * moves * ease(share / _LEAVE) * (1 - ease(swing / 0.7))
    flat = yaw_matrix(yaw)
    rotations = flat @ axis_angle_to_matrix(torch.stack([pitch, 0 * pitch, 0 * pitch], dim=-1))
    toes_from_middle, ankle_to_toes, toe_height = _foot_shape(skeleton)
    x, z = torch.lerp(start[..., :2], end[..., :2], there[..., None]).unbind(-1)
    middle = torch.stack([x, toe_height + lift, z], dim=-1)
    toes = middle + rotate_yaw(toes_from_middle.expand_as(middle), yaw)
    ankles = toes - (rotations @ ankle_to_toes[..., None]).squeeze(-1)
    return Footwork(toes, ankles, rotations, flat)


def _place(
    body: np.ndarray,
    yaw: np.ndarray,
    steps: list,
    reach: np.ndarray,
    noise: float,
    rng: np.random.Generator,
) -> Placement:
    count = len(steps)
    feet, moved, weight = np.zeros((count, 2, 3)), np.zeros((count, 2)), np.zeros((count, 2))
    ahead = np.append(np.diff(yaw), 0.0) / 2  # a foot points to where the body will have turned
    jitter = rng.normal(0, 1, (count, 3)) * (_FOOT_NOISE, _FOOT_NOISE, _FOOT_TURN_NOISE) * noise
    neutral = np.array([_neutral(body[0], yaw[0], side, 1.0) for side in _SIDES])
    standing = 1
    for k, foot in enumerate(steps):
        feet[k] = feet[k - 1] if k else neutral
        weight[k] = 0.5
        if foot == "-":
            weight[k, standing], weight[k, 1 - standing] = 0.72, 0.28
            continue
        moving = "lr".index(foot.lower())
        side = _SIDES[moving]
        if foot.isupper():
            target = _neutral(body[k] + reach[k], yaw[k], side, 1.0)
            standing = moving
            weight[k, moving], weight[k, 1 - moving] = 0.62, 0.38
        else:
            target = _neutral(feet[k, standing, :2], yaw[k], side, _COLLECTED)
            weight[k, moving], weight[k, standing] = 0.14, 0.86
        target[2] = yaw[k] + ahead[k] + side * _TURN_OUT
        feet[k, moving] = target + jitter[k]
        moved[k, moving] = 1
    tensors = (torch.from_numpy(array) for array in (body, yaw, feet, moved, weight))
    return Placement(*tensors)


def _neutral(place: np.ndarray, yaw: float, side: float, widths: float) -> np.ndarray:
    """Return x, z and yaw of a foot beside a place."""
    aside = _rotate(np.array([[side * widths * _STANCE, 0.0]]), np.array([yaw]))[0]
    return np.array([*(place + aside), yaw + side * _TURN_OUT])


def _rotate(vectors: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return level vectors (x, z) turned by `yaw`, which turns +z towards +x."""
    x, z = vectors[:, 0], vectors[:, 1]
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)], axis=1)


def _heel_pitch(start: Tensor, end: Tensor, length: Tensor) -> Tensor:
    """Return how far the heel rises before a step, rad: the more, the further it goes forward."""
    step = end - start
    forward = step[..., 0] * start[..., 2].sin() + step[..., 1] * start[..., 2].cos()
    return (_HEEL_OFF_PER_METRE * forward).clamp(0, _HEEL_OFF)


def _foot_shape(skeleton: Skeleton) -> tuple[Tensor, Tensor, float]:
    """Return toes from the middle of the foot (level), toes from the ankle, and the toes' height.

    The first two are `(2, 3)`, for the left and the right foot pointing along +z.
    """
    rest = skeleton.rest_joints().double()
    toes = rest[[JOINT["left_foot"], JOINT["right_foot"]]]
    ankles = rest[[JOINT["left_ankle"], JOINT["right_ankle"]]]
    level = torch.tensor([1.0, 0.0, 1.0], dtype=rest.dtype)
    return (toes - ankles) / 2 * level, toes - ankles, float(toes[0, 1])


def _smoothstep(share: Tensor) -> Tensor:
    x = share.clamp(0, 1)
    return x * x * (3 - 2 * x)
