"""The figure that stands for a dancer in pictures: round limbs between points of the body."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from duet_rl.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS

Tint = Literal["cloth", "skin"]

# A point is a weighted sum of joints, so that it moves with them in every program that draws it.
# Weights add up to one; what is not listed here is a joint of that name.
_SIDE_POINTS: dict[str, dict[str, float]] = {
    "left_pelvis": {"left_hip": 0.85, "right_hip": 0.15},
    "left_waist": {"spine1": 0.74, "left_hip": 0.31, "right_hip": -0.05},
    "left_chest": {"left_shoulder": 0.42, "spine3": 0.58},
    "left_toes": {"left_foot": 1.3, "left_ankle": -0.3},
    "left_heel": {"left_ankle": 1.27, "left_knee": -0.12, "left_foot": -0.15},
}
_MIDDLE_POINTS: dict[str, dict[str, float]] = {  # head, eyes and jaw turn as one
    "skull": {"head": 2.36, "jaw": -2.40, "left_eye": 0.52, "right_eye": 0.52},
    "chin": {"head": -0.44, "jaw": 1.14, "left_eye": 0.15, "right_eye": 0.15},
    "nose": {"head": -2.29, "jaw": 2.40, "left_eye": 0.445, "right_eye": 0.445},
}


@dataclass(frozen=True)
class Limb:
    """A round limb: a cone with round ends between two points of the figure."""

    start: str
    end: str
    start_radius: float  # m
    end_radius: float  # m
    tint: Tint = "cloth"


def _right(name: str) -> str:
    return name.replace("left_", "right_") if "left_" in name else name.replace("right_", "left_")


_FINGER_RADIUS = 0.0095  # m
_PALM_RADIUS = 0.0165  # m
_FINGERS = ("index", "middle", "ring", "pinky", "thumb")
_LEFT_HAND = tuple(
    limb
    for finger in _FINGERS
    for limb in (
        Limb("left_wrist", f"left_{finger}1", 0.024, _PALM_RADIUS, "skin"),
        Limb(f"left_{finger}1", f"left_{finger}2", 0.012, _FINGER_RADIUS, "skin"),
        Limb(f"left_{finger}2", f"left_{finger}3", _FINGER_RADIUS, _FINGER_RADIUS, "skin"),
    )
)
_LEFT = (
    Limb("left_waist", "left_pelvis", 0.088, 0.098),
    Limb("left_chest", "left_waist", 0.098, 0.088),
    Limb("left_collar", "left_shoulder", 0.058, 0.060),
    Limb("left_chest", "left_shoulder", 0.085, 0.058),
    Limb("left_shoulder", "left_elbow", 0.054, 0.042),
    Limb("left_elbow", "left_wrist", 0.042, 0.029),
    Limb("left_pelvis", "left_knee", 0.092, 0.056),
    Limb("left_knee", "left_ankle", 0.056, 0.037),
    Limb("left_heel", "left_foot", 0.034, 0.034),
    Limb("left_ankle", "left_foot", 0.037, 0.034),
    Limb("left_foot", "left_toes", 0.034, 0.026),
    *_LEFT_HAND,
)
_MIDDLE = (
    Limb("left_pelvis", "right_pelvis", 0.100, 0.100),
    Limb("left_waist", "right_waist", 0.090, 0.090),
    Limb("left_chest", "right_chest", 0.100, 0.100),
    Limb("spine1", "spine3", 0.094, 0.100),
    Limb("spine3", "neck", 0.100, 0.062),
    Limb("neck", "head", 0.054, 0.052, "skin"),
    Limb("skull", "chin", 0.090, 0.064, "skin"),
    Limb("nose", "nose", 0.017, 0.017, "skin"),
)
LIMBS: tuple[Limb, ...] = (
    *_MIDDLE,
    *_LEFT,
    *(
        Limb(_right(limb.start), _right(limb.end), limb.start_radius, limb.end_radius, limb.tint)
        for limb in _LEFT
    ),
)
POINT_NAMES: tuple[str, ...] = tuple(
    dict.fromkeys(name for limb in LIMBS for name in (limb.start, limb.end))
)

LIMB_ENDS: tuple[tuple[int, int], ...] = tuple(  # places in POINT_NAMES
    (POINT_NAMES.index(limb.start), POINT_NAMES.index(limb.end)) for limb in LIMBS
)


def _weights() -> dict[str, dict[str, float]]:
    right = {
        _right(name): {_right(joint): weight for joint, weight in weights.items()}
        for name, weights in _SIDE_POINTS.items()
    }
    tied = {**_SIDE_POINTS, **right, **_MIDDLE_POINTS}
    return {name: tied.get(name, {name: 1.0}) for name in POINT_NAMES}


POINT_WEIGHTS: dict[str, dict[str, float]] = _weights()


def _matrix() -> np.ndarray:
    matrix = np.zeros((len(POINT_NAMES), NUM_JOINTS))
    for row, name in enumerate(POINT_NAMES):
        for joint, weight in POINT_WEIGHTS[name].items():
            matrix[row, JOINT[joint]] = weight
    return matrix


_MATRIX = _matrix()


def figure_points(joints: Float[np.ndarray, "*batch 55 3"]) -> Float[np.ndarray, "*batch P 3"]:
    """Return the points of the figure, in the order of `POINT_NAMES`.

    Args:
        joints: `(..., 55, 3)`, metres.

    Raises:
        ValueError: another number of joints.
    """
    if joints.shape[-2:] != (NUM_JOINTS, 3):
        raise ValueError(
            f"joints of shape {joints.shape}; a figure needs (..., {NUM_JOINTS}, 3), one row for "
            f"each of {JOINT_NAMES[0]} to {JOINT_NAMES[-1]}"
        )
    return _MATRIX @ joints
