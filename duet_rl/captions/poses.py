"""Poses that have a name, each as a coherent set of pose codes: facts check them, edits ask them.

A name that speaks of one limb stands for several groups: a raised arm is a hand above the shoulder,
above the neck and above the hip. To set one of these groups alone changes next to nothing.
"""

from typing import NamedTuple

from duet_rl.captions.edits import GROUP_OF, EditPart
from duet_rl.posecodes.catalogue import BODY_CODES

Wanted = dict[str, tuple[int, ...]]  # name of a group -> acceptable categories
SIDES = ("left", "right")
LEGS: tuple[EditPart, ...] = ("left_leg", "right_leg")
ARMS: tuple[EditPart, ...] = ("left_arm", "right_arm")

_OVER, _LEVEL, _UNDER = (2,), (1,), (0,)
_BENT_ARM = tuple(range(11))  # up to 110 degrees
_STRAIGHT_ARM = (15, 16, 17)  # from 150 degrees
_BENT_KNEE = tuple(range(13))  # up to 130 degrees
_STRAIGHT_KNEE = (16, 17)  # from 160 degrees
_TOUCHING, _NEAR = (0, 1), (0, 1, 2)  # up to 0.2 m; up to 0.3 m


class Pose(NamedTuple):
    """A pose of one limb or of the whole body.

    Args:
        subject: what shows it, such as `left arm`, `hands` or `trunk`.
        what: what is said of the subject.
        wanted: the codes that show it, all of them at once.
        part: the limbs that can bring it about.
        pair: the subject where both sides show it, such as `both arms`; None for no such pair.
        both: what is then said, where it differs.
    """

    subject: str
    what: str
    wanted: Wanted
    part: tuple[EditPart, ...]
    pair: str | None = None
    both: str | None = None


def _arm(side: str) -> tuple[Pose, ...]:
    other = SIDES[1 - SIDES.index(side)]
    hand, out = f"{side}_hand", _OVER if side == "left" else _UNDER
    height, neck, hip = (
        f"up-{hand}-{side}_shoulder",
        f"up-{side}_wrist-neck",
        f"up-{hand}-{side}_hip",
    )
    elbow = f"angle-{side}_shoulder-{side}_elbow-{side}_wrist"
    before = f"forward-{hand}-torso"
    level: Wanted = {height: _LEVEL, hip: _OVER}
    part: tuple[EditPart, ...] = ("left_arm",) if side == "left" else ("right_arm",)
    up: Wanted = {height: _OVER, neck: _OVER, hip: _OVER}
    arms: tuple[tuple[str, Wanted], ...] = (
        ("raised", up),
        ("lowered", {height: _UNDER, neck: _UNDER, hip: (0, 1)}),
        ("bent", {elbow: _BENT_ARM}),
        ("straight", {elbow: _STRAIGHT_ARM}),
        (
            "out to the side",
            {**level, f"left-{hand}-{side}_shoulder": out, elbow: tuple(range(13, 18))},
        ),
    )
    hands: tuple[tuple[str, Wanted, str | None], ...] = (
        ("above head", {**up, f"up-{hand}-head": _OVER}, "above head"),
        ("at shoulder height", level, "at shoulder height"),
        ("in front", {before: _OVER}, "in front"),
        ("behind back", {before: _UNDER}, "behind back"),
        (
            f"on {side} shoulder",
            {f"distance-{hand}-{side}_shoulder": _TOUCHING, **level},
            "on shoulders",
        ),
        (f"on {other} shoulder", {f"distance-{hand}-{other}_shoulder": _TOUCHING, **level}, None),
        (f"near {side} knee", {f"distance-{hand}-{side}_knee": _NEAR}, "near knees"),
        (f"near {other} knee", {f"distance-{hand}-{other}_knee": _NEAR}, None),
        (f"near {side} foot", {f"distance-{hand}-{side}_foot": _NEAR}, "near feet"),
    )
    reached = [
        Pose(f"{side} hand", what, wanted, (*part, *_bending(what)), both and "both hands", both)
        for what, wanted, both in hands
    ]
    return *(
        Pose(f"{side} arm", what, wanted, part, "both arms") for what, wanted in arms
    ), *reached


def _bending(what: str) -> tuple[EditPart, ...]:
    """Return what has to bend, beside the arm, for a hand to get there."""
    if not what.startswith("near"):
        return ()
    return ("trunk", *LEGS) if what.endswith("foot") else ("trunk",)


def _leg(side: str) -> tuple[Pose, ...]:
    knee = f"angle-{side}_hip-{side}_knee-{side}_ankle"
    part: tuple[EditPart, ...] = ("left_leg",) if side == "left" else ("right_leg",)
    return (
        Pose(f"{side} knee", "bent", {knee: _BENT_KNEE}, part, "both knees"),
        Pose(f"{side} knee", "straight", {knee: _STRAIGHT_KNEE}, part, "both knees"),
        Pose(
            f"{side} knee",
            "lifted",
            {f"up-{side}_hip-{side}_knee": (0, 1), f"up-{side}_foot-lowest": (1,)},
            part,
        ),
        Pose(f"{side} knee", "on ground", {f"up-{side}_knee-lowest": (0,)}, LEGS, "both knees"),
        Pose(f"{side} foot", "off ground", {f"up-{side}_foot-lowest": (1,)}, part),
        Pose(f"{side} foot", "in front", {f"forward-{side}_foot-torso": _OVER}, part),
        Pose(f"{side} foot", "behind", {f"forward-{side}_foot-torso": _UNDER}, part),
    )


_HANDS, _FEET = "distance-left_hand-right_hand", "distance-left_foot-right_foot"
_WHOLE = (
    Pose("both hands", "together", {_HANDS: _TOUCHING}, ARMS),
    Pose("both hands", "far apart", {_HANDS: (8, 9)}, ARMS),
    Pose("both arms", "crossed", {"left-left_hand-right_hand": _UNDER}, ARMS),
    Pose("left hand", "above right hand", {"up-left_hand-right_hand": _OVER}, ARMS),
    Pose("right hand", "above left hand", {"up-left_hand-right_hand": _UNDER}, ARMS),
    Pose("both feet", "together", {_FEET: _TOUCHING}, LEGS),
    Pose("both feet", "wide apart", {_FEET: tuple(range(5, 10))}, LEGS),
    Pose("both knees", "together", {"distance-left_knee-right_knee": (0, 1)}, LEGS),
    Pose("trunk", "leaning forward", {"forward-neck-pelvis": _OVER}, ("trunk",)),
    Pose("trunk", "leaning back", {"forward-neck-pelvis": _UNDER}, ("trunk",)),
    Pose("trunk", "leaning left", {"left-neck-pelvis": _OVER}, ("trunk",)),
    Pose("trunk", "leaning right", {"left-neck-pelvis": _UNDER}, ("trunk",)),
    Pose(
        "trunk",
        "upright",
        {"tilt-pelvis-neck": (0,), "forward-neck-pelvis": _LEVEL, "left-neck-pelvis": _LEVEL},
        ("trunk",),
    ),
)
POSES: tuple[Pose, ...] = (*(p for side in SIDES for p in (*_arm(side), *_leg(side))), *_WHOLE)


def pairs() -> list[tuple[str, str, tuple[Pose, Pose]]]:
    """Return subject and words of what both sides can show at once, and the pose of each side."""
    found = []
    lefts = [pose for pose in POSES if pose.pair and pose.subject.startswith("left")]
    rights = [pose for pose in POSES if pose.pair and pose.subject.startswith("right")]
    for left, right in zip(lefts, rights, strict=True):
        assert left.pair is not None and left.pair == right.pair
        found.append((left.pair, left.both or left.what, (left, right)))
    return found


def bounds(group: str, categories: tuple[int, ...]) -> tuple[float, float, float]:
    """Return between which values a group shows categories that follow each other, and how far a
    value must be inside them to count for sure, in the unit of the group."""
    scale = BODY_CODES.rows[GROUP_OF[group]].scale
    low, high = min(categories), max(categories)
    assert high - low + 1 == len(categories), (group, categories)
    ends = (float("-inf"), *scale.thresholds, float("inf"))
    return ends[low], ends[high + 1], scale.jitter
