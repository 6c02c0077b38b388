"""The 55 SMPL-X joints: names, tree, parts, mirror map, and a skeleton of our own proportions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.errors import InputError

UP = 1  # the y axis points up

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")


def _hand(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{finger}{knuckle}" for finger in _FINGERS for knuckle in (1, 2, 3))


JOINT_NAMES: tuple[str, ...] = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck"),
    *("left_collar", "right_collar", "head", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "jaw", "left_eye", "right_eye"),
    *_hand("left"),
    *_hand("right"),
)
NUM_JOINTS = len(JOINT_NAMES)
JOINT: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}


def _hand_parents(wrist: int, first: int) -> tuple[int, ...]:
    knuckles = range(3 * len(_FINGERS))
    return tuple(wrist if knuckle % 3 == 0 else first + knuckle - 1 for knuckle in knuckles)


PARENTS: tuple[int, ...] = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
    *_hand_parents(wrist=20, first=25),
    *_hand_parents(wrist=21, first=40),
)
CHILDREN: tuple[tuple[int, ...], ...] = tuple(
    tuple(child for child, parent in enumerate(PARENTS) if parent == joint)
    for joint in range(NUM_JOINTS)
)


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name


MIRROR: tuple[int, ...] = tuple(JOINT[_other_side(name)] for name in JOINT_NAMES)

FEET = (7, 8, 10, 11)  # left ankle, right ankle, left toes, right toes
WRISTS = (20, 21)  # left, right
UPPER = (3, 6, 9, *range(12, 25))
LOWER = (0, 1, 2, 4, 5, 7, 8, 10, 11)
LEFT_HAND = tuple(range(25, 40))
RIGHT_HAND = tuple(range(40, 55))
PARTS: dict[str, tuple[int, ...]] = {
    "upper": UPPER,
    "lower": LOWER,
    "left_hand": LEFT_HAND,
    "right_hand": RIGHT_HAND,
}
# The joints of SMPL among ours: its hands lie at the knuckles of the middle fingers.
SMPL_JOINTS = (*range(22), JOINT["left_middle1"], JOINT["right_middle1"])
NUM_SMPL_JOINTS = len(SMPL_JOINTS)

SOLE_DEPTH = 0.02  # m; how far the floor lies below the lowest joint of a standing dancer


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Bone vectors of one body in the rest pose: a T-pose facing +Z, left hand towards +X.

    Args:
        offsets: joint minus its parent in the rest pose, `(55, 3)`, metres. The row of the pelvis
            is zero: where the body stands is part of the motion and not of the skeleton.
        name: what to call it in files and messages.

    Raises:
        InputError: the offsets have another shape, are not finite, or move the pelvis.
    """

    offsets: Float[Tensor, "55 3"]
    name: str = "default"

    def __post_init__(self) -> None:
        shape = tuple(self.offsets.shape)
        if shape != (NUM_JOINTS, 3):
            raise InputError(
                f"skeleton {self.name}: offsets of shape {shape}, wanted ({NUM_JOINTS}, 3); "
                "give one xyz row for each SMPL-X joint"
            )
        if not torch.isfinite(self.offsets).all():
            raise InputError(
                f"skeleton {self.name}: offsets hold NaN or infinity, wanted metres; "
                "repair the file"
            )
        if self.offsets[0].any():
            raise InputError(
                f"skeleton {self.name}: the pelvis has the offset {self.offsets[0].tolist()}, "
                "wanted zeros; add it to the root positions instead"
            )

    @property
    def hip_height(self) -> float:
        """Height of the pelvis above the floor in the rest pose, metres."""
        return float(self.rest_joints()[0, UP])

    def rest_joints(self) -> Float[Tensor, "55 3"]:
        """Return the joints of the rest pose, `(55, 3)` metres, standing on the floor."""
        joints = [self.offsets[0]]
        for joint in range(1, NUM_JOINTS):
            joints.append(joints[PARENTS[joint]] + self.offsets[joint])
        rest = torch.stack(joints)
        rest[:, UP] += SOLE_DEPTH - rest[:, UP].min()
        return rest

    def mirrored(self) -> "Skeleton":
        """Return the skeleton with its left and right sides exchanged."""
        flip = self.offsets.new_tensor([-1.0, 1.0, 1.0])
        # Adding zero turns -0.0 into 0.0, so that the pelvis stays exactly zero in print too.
        return Skeleton(self.offsets[list(MIRROR)] * flip + 0.0, self.name)


# Our own proportions (metres), a person of 1.70 m; the right side is the mirror image.
_DEFAULT_OFFSETS: dict[str, tuple[float, float, float]] = {
    "pelvis": (0.0, 0.0, 0.0),
    "left_hip": (0.09, -0.06, 0.0),
    "left_knee": (0.0, -0.395, 0.005),
    "left_ankle": (0.0, -0.395, -0.025),
    "left_foot": (0.015, -0.06, 0.125),
    "spine1": (0.0, 0.11, -0.02),
    "spine2": (0.0, 0.13, 0.0),
    "spine3": (0.0, 0.06, 0.01),
    "neck": (0.0, 0.2, -0.01),
    "head": (0.0, 0.1, 0.03),
    "jaw": (0.0, -0.005, 0.02),
    "left_eye": (0.032, 0.07, 0.075),
    "left_collar": (0.05, 0.13, 0.0),
    "left_shoulder": (0.12, 0.02, -0.01),
    "left_elbow": (0.27, 0.0, 0.0),
    "left_wrist": (0.245, 0.0, 0.0),
    "left_index1": (0.095, 0.0, 0.024),
    "left_index2": (0.034, 0.0, 0.002),
    "left_index3": (0.022, 0.0, 0.001),
    "left_middle1": (0.098, 0.003, 0.002),
    "left_middle2": (0.036, 0.0, 0.0),
    "left_middle3": (0.025, 0.0, 0.0),
    "left_pinky1": (0.08, -0.005, -0.038),
    "left_pinky2": (0.024, 0.0, -0.004),
    "left_pinky3": (0.017, 0.0, -0.002),
    "left_ring1": (0.091, 0.0, -0.019),
    "left_ring2": (0.034, 0.0, -0.002),
    "left_ring3": (0.024, 0.0, -0.001),
    "left_thumb1": (0.024, -0.012, 0.03),
    "left_thumb2": (0.028, -0.006, 0.028),
    "left_thumb3": (0.024, -0.003, 0.019),
}


def default_skeleton() -> Skeleton:
    """Return a skeleton of our own proportions: 1.70 m tall, hips at 0.93 m, arms level."""
    rows = []
    for name in JOINT_NAMES:
        sign = -1.0 if name.startswith("right_") else 1.0
        x, y, z = _DEFAULT_OFFSETS[_other_side(name) if sign < 0 else name]
        rows.append((sign * x, y, z))
    return Skeleton(torch.tensor(rows))
