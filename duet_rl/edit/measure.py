"""What an edit did to a dance: what moved, how it stands, and what becomes of the couple."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.body.contact import hold_due
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT
from duet_rl.metrics.duet import HOLD_WITHIN, capsule_penetration
from duet_rl.metrics.feet import mean_floor_error, slide_speed
from duet_rl.metrics.holds import agreement
from duet_rl.metrics.smoothness import BODY_JOINTS, jerk

MILLIMETRES = 1000.0  # in a metre


class PartPlace(NamedTuple):
    """Where a part is measured, and as seen from which joint, with which it goes."""

    joints: tuple[int, ...]
    seen_from: int


_JOINTS = {"arm": ("elbow", "wrist"), "leg": ("knee", "ankle")}
# An arm that a leaning trunk takes along has not moved: each part is seen from what it hangs on.
PART_PLACES: dict[str, PartPlace] = {
    f"{side}_{limb}": PartPlace(
        tuple(JOINT[f"{side}_{name}"] for name in names),
        JOINT["spine3" if limb == "arm" else "pelvis"],
    )
    for side in ("left", "right")
    for limb, names in _JOINTS.items()
} | {"trunk": PartPlace((JOINT["spine3"], JOINT["neck"]), JOINT["pelvis"])}


class Measured(NamedTuple):
    """One number of a dance: its unit, and what it says."""

    unit: str
    about: str


ALONE = {
    "foot_slide": Measured("m/s", "speed at which planted feet slide"),
    "floor_error": Measured("m", "how far feet float above or sink below the floor"),
    "jerk": Measured("m/s^3", "mean jerk of the joints; more is rougher"),
    "peak_speed": Measured("m/s", "fastest of the joints that were moved; more is a leap"),
}
TOGETHER = {
    "partner_distance": Measured("m", "between the two pelvises over the floor"),
    "hold_share": Measured("share", "frames in which a hand holds the partner"),
    "hold_recall": Measured("share", "of the take's holds, those that are kept"),
    "kept_recall": Measured("share", "the same for hands that were not asked to move"),
    "penetration": Measured("m", "overlap of the two bodies, mean over frames"),
}
MEASURED: Mapping[str, Measured] = ALONE | TOGETHER


def part_movement(one: Motion, other: Motion, frames: Bool[Tensor, "T"]) -> dict[str, float]:
    """Return how far each part of the body is from where it was, mean over frames, millimetres.

    Args:
        one: a take.
        other: the same take, edited.
        frames: those that count; NaN where there are none.
    """
    moved = {}
    for part, place in PART_PLACES.items():
        seen = [_seen(motion, place)[frames] for motion in (one, other)]
        moved[part] = float((seen[1] - seen[0]).norm(dim=-1).mean()) * MILLIMETRES
    return moved


def measure(
    dancer: Motion,
    source: Motion,
    partner: Motion | None,
    free: Bool[Tensor, "2"],
    touched: Bool[Tensor, "T 55"],
) -> dict[str, float]:
    """Return the numbers of `MEASURED`; without a partner those of `ALONE`.

    Args:
        dancer: edited or not.
        source: before the edit.
        partner: the other dancer.
        free: whether the left and the right hand were asked to move.
        touched: the joints of each frame that the edit moved.
    """
    joints = dancer.joints[None]
    found = {
        "foot_slide": slide_speed(joints, dancer.fps),
        "floor_error": mean_floor_error(joints),
        "jerk": jerk(joints, dancer.fps),
        "peak_speed": _peak_speed(dancer, touched),
    }
    if partner is not None:
        other = partner.joints[None]
        apart = (joints[:, :, 0] - other[:, :, 0])[..., [0, 2]].norm(dim=-1)
        now, due = (
            hold_due(other, body, dancer.fps, threshold=HOLD_WITHIN)
            for body in (joints, source.joints[None])
        )
        found |= {
            "partner_distance": apart.mean(1),
            "hold_share": now.flatten(2).any(-1).float().mean(1),
            "hold_recall": agreement(now, due).recall,
            "kept_recall": agreement(now[:, :, ~free], due[:, :, ~free]).recall,
            "penetration": capsule_penetration(joints, other).mean(1),
        }
    return {name: float(value) for name, value in found.items()}


def _peak_speed(motion: Motion, touched: Bool[Tensor, "T 55"]) -> Float[Tensor, "1"]:
    speeds = motion.joints.diff(dim=0).norm(dim=-1) * motion.fps
    moved = touched[1:] | touched[:-1]
    found = speeds[:, :BODY_JOINTS][moved[:, :BODY_JOINTS]]
    return found.amax().reshape(1) if len(found) else found.new_full((1,), torch.nan)


def _seen(motion: Motion, place: PartPlace) -> Float[Tensor, "T P 3"]:
    pose = forward_kinematics(motion.rotations, motion.root, motion.skeleton.offsets)
    away = pose.joints[:, list(place.joints)] - pose.joints[:, place.seen_from, None]
    return away @ pose.global_rotations[:, place.seen_from]  # turned back: seen along its axes
