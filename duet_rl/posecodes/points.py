"""The points that pose codes look at, in the frame that the rules of a catalogue want."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, pad

from duet_rl.body.contact import PALM_KNUCKLES
from duet_rl.body.heading import facing_angle
from duet_rl.body.kinematics import LIMBS
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, UP, WRISTS
from duet_rl.errors import InputError

BODY_JOINTS = 22  # of SMPL: the joints of the 55 that are neither face nor fingers
COMPLETED = ("left_middle", "right_middle", "left_hand", "right_hand", "torso")
MARKS = ("lowest", "ahead")  # no points of the body: see `body_points`
POINTS: tuple[str, ...] = (*JOINT_NAMES[:BODY_JOINTS], *COMPLETED, *MARKS)
PARTNER = "partner_"  # begins the names of the other dancer's points
POINT: dict[str, int] = {
    name: index for index, name in enumerate((*POINTS, *(PARTNER + name for name in POINTS)))
}
# What moves with a limb, and with nothing but it and the trunk.
LIMB_POINTS: dict[str, tuple[str, ...]] = {
    f"{side}_{limb}": tuple(f"{side}_{name}" for name in names)
    for side in ("left", "right")
    for limb, names in (
        ("arm", ("elbow", "wrist", "middle", "hand")),
        ("leg", ("knee", "ankle", "foot")),
    )
}

REFERENCE_HIPS = 0.92  # m; height of the hips of the body whose metres scaled thresholds mean
_WITH_ANKLE = 1.1  # length of a leg from the sole, of thigh and calf alone
_FINGER_REACH = 0.1367  # m from the wrist to the middle finger, where fingers are not known
_FLIP = (-1.0, 1.0, -1.0)
_TORSO = tuple(JOINT[name] for name in ("pelvis", "neck", "spine3"))
_ELBOWS = (JOINT["left_elbow"], JOINT["right_elbow"])
_LEGS = (LIMBS["left_leg"], LIMBS["right_leg"])
_LEAST_SIZE = 1e-6  # of the reference; a smaller body is a point and stays one

Hands = Literal["knuckles", "forearm"]


@dataclass(frozen=True)
class Rules:
    """In which frame, and how, the rows of a catalogue are measured; by default without defects.

    Args:
        flipped: turn the world by half a turn first, which exchanges left and right, front and
            behind, as the published codes do.
        heading: measure each frame along the dancer's own heading, not along the world's axes.
        scaled: measure in metres of a body whose hips are `REFERENCE_HIPS` high.
        clamped: an angle is a number for every two directions; published ones are NaN where a
            cosine is rounded beyond 1, and NaN falls into the last class.
        hands: the middle finger is its first knuckle, or lies `_FINGER_REACH` beyond the wrist
            along the forearm; the latter in any case where fingers are not given.
    """

    flipped: bool = False
    heading: bool = True
    scaled: bool = True
    clamped: bool = True
    hands: Hands = "knuckles"


CORRECTED = Rules()
IN_METRES = Rules(scaled=False)
UNFLIPPED = Rules(heading=False, scaled=False, clamped=False, hands="forearm")
PUBLISHED = Rules(flipped=True, heading=False, scaled=False, clamped=False, hands="forearm")


def point_words(point: str) -> str:
    """Return how a point is called in words, such as `partner's left hand`."""
    own = point.removeprefix(PARTNER)
    return ("" if own == point else "partner's ") + own.replace("_", " ")


def body_size(joints: Float[Tensor, "*batch T J 3"]) -> Float[Tensor, "*batch T"]:
    """Return how large a body is: 1 where standing would put its hips at `REFERENCE_HIPS`.

    The height of the hips is told by the bones of the legs, and by where the pelvis lies above the
    hip joints; none of this changes with the pose, so that who kneels is as large as who stands.
    """
    bones = [
        (joints[..., upper, :] - joints[..., lower, :]).norm(dim=-1)
        for leg in _LEGS
        for upper, lower in ((leg.start, leg.middle), (leg.middle, leg.end))
    ]
    legs = sum(bones[1:], bones[0]) / len(_LEGS)
    pelvis, spine = joints[..., 0, :], joints[..., JOINT["spine1"], :]
    above_hips = pelvis - joints[..., [leg.start for leg in _LEGS], :].mean(-2)
    rise = (above_hips * normalize(spine - pelvis, dim=-1)).sum(-1)
    return (_WITH_ANKLE * legs + rise) / REFERENCE_HIPS


def body_points(
    joints: Float[Tensor, "*batch T J 3"], rules: Rules = CORRECTED
) -> Float[Tensor, "*batch T 29 3"]:
    """Return the points of one dancer, as the rules want them, in the order of `POINTS`.

    Args:
        joints: 22 joints of SMPL or 55 of SMPL-X, metres, Y-up.
        rules: frame and units.

    Returns:
        Joints; middle fingers, hands (half way from the wrist to the middle finger) and torso (mean
        of pelvis, neck and the third spine joint); then the marks: `lowest`, at the height of the
        lowest point, and `ahead`, one unit before the pelvis.

    Raises:
        InputError: another number of joints, no frame, or joints that are not finite.
    """
    return _points(joints, joints, rules)


def couple_points(
    joints: Float[Tensor, "*batch T J 3"],
    partner: Float[Tensor, "*batch T J 3"],
    rules: Rules = IN_METRES,
) -> Float[Tensor, "*batch T 58 3"]:
    """Return the points of a dancer, then of the partner, both seen from the dancer.

    Raises:
        InputError: as `body_points`.
    """
    return torch.cat([_points(joints, joints, rules), _points(partner, joints, rules)], dim=-2)


def _points(joints: Tensor, viewer: Tensor, rules: Rules) -> Tensor:
    """Return the points of one dancer in the frame of another, who may be the same."""
    for given in (joints, viewer):
        _check(given)
    facing = torch.zeros_like(joints[..., 0, 0])
    if rules.heading:
        centre, turn = viewer[..., :1, :], _facing(viewer)
        facing = _facing(joints) - turn
        joints = rotate_yaw(joints - centre, -turn[..., None])
    if rules.flipped:
        joints = joints * joints.new_tensor(_FLIP)
    if rules.scaled:
        joints = joints / body_size(viewer).clamp_min(_LEAST_SIZE)[..., None, None]
    return _marked(_completed(joints, rules.hands), facing)


def _completed(joints: Tensor, hands: Hands) -> Tensor:
    """Return the 22 joints and the five points that follow from them, `(..., T, 27, 3)`."""
    wrists = joints[..., WRISTS, :]
    if hands == "knuckles" and joints.shape[-2] == NUM_JOINTS:
        middles = joints[..., PALM_KNUCKLES, :]
    else:
        middles = wrists + _FINGER_REACH * normalize(wrists - joints[..., _ELBOWS, :], dim=-1)
    torso = joints[..., _TORSO, :].mean(-2, keepdim=True)
    return torch.cat([joints[..., :BODY_JOINTS, :], middles, (wrists + middles) / 2, torso], dim=-2)


def _marked(points: Tensor, facing: Tensor) -> Tensor:
    lowest = torch.zeros_like(points[..., :1, :])
    lowest[..., UP] = points[..., UP].amin(-1, keepdim=True)
    forward = torch.stack([facing.sin(), torch.zeros_like(facing), facing.cos()], dim=-1)
    return torch.cat([points, lowest, points[..., :1, :] + forward[..., None, :]], dim=-2)


def _facing(joints: Tensor) -> Tensor:
    """Return the yaw of each frame, radians; absent fingers do not matter to it."""
    return facing_angle(pad(joints, (0, 0, 0, NUM_JOINTS - joints.shape[-2])))


def _check(joints: Tensor) -> None:
    frames, count = joints.shape[-3:-1]
    if count not in (BODY_JOINTS, NUM_JOINTS):
        raise InputError(
            f"pose codes of {count} joints; wanted {BODY_JOINTS} of SMPL or {NUM_JOINTS} of "
            "SMPL-X: retarget the motion first"
        )
    if frames == 0:
        raise InputError("pose codes of 0 frames; wanted at least 1: check the range of the take")
    if not torch.isfinite(joints).all():
        raise InputError("pose codes of joints with NaN or infinity; repair or cut the take")
