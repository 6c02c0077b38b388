"""What can be asked of a motion: for each fact that an edit can bring about the pose that shows it.

Verbs of captions become poses: to raise an arm is to have it raised.
"""

from typing import NamedTuple

from duet_rl.captions.edits import EditPart
from duet_rl.captions.facts import Fact
from duet_rl.captions.poses import ARMS, LEGS, POSES, SIDES, Pose, Wanted, pairs

# By operator and size of the wish: how many classes to go, of 10 degrees, of 0.1 m, or of three.
MOST_STEPS: dict[str, dict[str, int]] = {
    "angle": {"small": 2, "usual": 3, "large": 5},
    "distance": {"small": 1, "usual": 2, "large": 4},
    "up": {"small": 1, "usual": 1, "large": 2},
    "forward": {"small": 1, "usual": 1, "large": 2},
    "left": {"small": 1, "usual": 1, "large": 2},
}
_HANDS, _FEET = "distance-left_hand-right_hand", "distance-left_foot-right_foot"


class Wish(NamedTuple):
    """What an edit asks for.

    Args:
        part: the limbs that may move.
        wanted: the codes that show it, all at once.
        directions: for `more` of it, which way each group goes, 1 or -1.
    """

    part: tuple[EditPart, ...]
    wanted: Wanted
    directions: dict[str, int]


def _wish(pose: Pose, *also: Pose) -> Wish:
    """Return the wish for one or more poses at once; `more` goes on the way that they go."""
    poses = (pose, *also)
    wanted = {group: codes for p in poses for group, codes in p.wanted.items()}
    part = tuple(dict.fromkeys(limb for p in poses for limb in p.part))
    directions = {group: _direction(group, codes) for group, codes in wanted.items()}
    return Wish(part, wanted, {group: way for group, way in directions.items() if way})


def _direction(group: str, categories: tuple[int, ...]) -> int:
    """Return which way a group goes to these classes: up to the last, down to the first, or 0."""
    if group.startswith("tilt") or group.endswith("lowest"):
        return 0
    return -1 if 0 in categories else int(max(categories) >= 2 and categories != (1,))


def _all() -> dict[Fact, Wish]:
    pose_of = {(pose.subject, pose.what): pose for pose in POSES}
    wishes = {Fact("state", pose.subject, pose.what): _wish(pose) for pose in POSES}
    for subject, what, (left, right) in pairs():
        wishes[Fact("symmetric", subject, what)] = _wish(left, right)
    verbs = (
        ("arm", "raises", "raised"),
        ("arm", "lowers", "lowered"),
        ("arm", "bends", "bent"),
        ("arm", "straightens", "straight"),
        ("knee", "bends", "bent"),
        ("knee", "straightens", "straight"),
        ("foot", "lifts", "off ground"),
    )
    for limb, verb, what in verbs:
        for side in SIDES:
            subject = f"{side} {limb}"
            wishes[Fact("transition", subject, verb)] = _wish(pose_of[subject, what])
        if limb != "foot":
            both = _wish(*(pose_of[f"{side} {limb}", what] for side in SIDES))
            wishes[Fact("symmetric", f"both {limb}s", verb)] = both
    for side in SIDES:
        part: tuple[EditPart, ...] = ("left_leg",) if side == "left" else ("right_leg",)
        down = Wish(part, {f"up-{side}_foot-lowest": (0,)}, {})
        wishes[Fact("transition", f"{side} foot", "puts down")] = down
        for fact in (
            ("transition", f"{side} foot", "lifts"),
            ("state", f"{side} foot", "off ground"),
        ):
            higher = {f"up-{side}_foot-{side}_hip": 1, f"up-{side}_hip-{side}_knee": -1}
            wishes[Fact(*fact)] = wishes[Fact(*fact)]._replace(directions=higher)
    crouch: Wanted = {f"angle-{s}_hip-{s}_knee-{s}_ankle": tuple(range(11)) for s in SIDES}
    rise: Wanted = {group: (15, 16, 17) for group in crouch}
    apart = tuple(range(5, 10))  # from 0.5 m
    for subject, verb, wish in (
        ("both hands", "brings together", _wish(pose_of["both hands", "together"])),
        ("both hands", "brings apart", Wish(ARMS, {_HANDS: apart}, {_HANDS: 1})),
        ("both feet", "brings together", _wish(pose_of["both feet", "together"])),
        ("both feet", "brings apart", Wish(LEGS, {_FEET: apart}, {_FEET: 1})),
        ("dancer", "crouches", Wish(LEGS, crouch, {group: -1 for group in crouch})),
        ("dancer", "rises", Wish(LEGS, rise, {group: 1 for group in rise})),
        ("trunk", "bends forward", _wish(pose_of["trunk", "leaning forward"])),
        ("trunk", "straightens up", _wish(pose_of["trunk", "upright"])),
    ):
        wishes[Fact("transition", subject, verb)] = wish
    return wishes


WISHES: dict[Fact, Wish] = _all()
