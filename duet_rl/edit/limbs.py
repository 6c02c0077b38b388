"""What an edit may move: parts of the body as joints, and the codes that tell of them."""

from collections.abc import Sequence

from duet_rl.body.skeleton import JOINT
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.posecodes.points import LIMB_POINTS


def _joints(*names: str) -> tuple[int, ...]:
    return tuple(JOINT[name] for name in names)


# The joints that turn when a part moves. Fingers and the pelvis are of no part: they stay.
PART_JOINTS: dict[str, tuple[int, ...]] = {
    f"{side}_{limb}": _joints(*(f"{side}_{name}" for name in names))
    for side in ("left", "right")
    for limb, names in (
        ("arm", ("collar", "shoulder", "elbow", "wrist")),
        ("leg", ("hip", "knee", "ankle", "foot")),
    )
} | {"trunk": _joints("spine1", "spine2", "spine3")}
LEGS = ("left_leg", "right_leg")
ARMS = ("left_arm", "right_arm")
# Points that are carried by the trunk: a code that compares any two of different parts changes.
_TRUNK_POINTS = ("neck", "torso", "head", "left_shoulder", "right_shoulder")


def joints_of(parts: Sequence[str]) -> tuple[int, ...]:
    """Return the joints that turn when these parts move."""
    return tuple(joint for part in parts for joint in PART_JOINTS[part])


def groups_of(parts: Sequence[str]) -> tuple[int, ...]:
    """Return the groups of `BODY_CODES` that change when these parts move."""
    moved: set[int] = set()
    for part in parts:
        if part in LIMB_POINTS:
            moved.update(BODY_CODES.groups_moved_by(part))
        elif part == "trunk":
            moved.update(g for g, row in enumerate(BODY_CODES.rows) if _tells_of_trunk(row.points))
    return tuple(sorted(moved))


def _tells_of_trunk(points: tuple[str, ...]) -> bool:
    """Return whether a code compares the trunk with what does not go with it."""
    return bool(set(points) & set(_TRUNK_POINTS)) and not set(points) <= set(_TRUNK_POINTS)
