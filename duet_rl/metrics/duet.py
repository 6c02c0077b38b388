"""What is measured of a follower: feet, smoothness, room, holds, beats, and nearness to the truth.

Every measurement gives one number a clip, in metres, seconds and degrees, so that a table of them
can be read by a person. Nothing here is bent into a score; that is what the rewards do.
"""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.beat_matching import beat_f1
from duet_rl.audio.beats import motion_beats
from duet_rl.body.capsules import capsule_penetration
from duet_rl.body.contact import foot_slide, hold_due, planted_feet
from duet_rl.body.heading import facing_angle
from duet_rl.body.rotations import wrap_angle

BODY_JOINTS = 22  # pelvis to wrists: the joints before jaw, eyes and fingers
TOUCH_DEPTH = 0.03  # m of overlap from which bodies pass through each other, and not just touch
HOLD_WITHIN = 0.20  # m between two palms that a viewer takes for a hold


class Measure(NamedTuple):
    """What one column of the table means."""

    unit: str
    better: Literal["lower", "higher", "true"]  # true: where the true partner's value is the best
    meaning: str


MEASURES: dict[str, Measure] = {
    "foot_slide": Measure("m/s", "lower", "level speed of the feet while they are planted"),
    "jerk": Measure("m/s^3", "true", "third derivative of the body's joints"),
    "penetration": Measure("m", "lower", "overlap of the two bodies, mean over frames"),
    "penetration_share": Measure("share", "lower", "frames in which the bodies overlap"),
    "hold_share": Measure("share", "true", "frames in which a hand holds the partner"),
    "hold_f1": Measure("F1", "higher", "holds of the follower against the holds due"),
    "beat_f1": Measure("F1", "higher", "motion beats against music beats"),
    "root_error": Measure("m", "lower", "distance from the true partner's root"),
    "facing_error": Measure("deg", "lower", "turn away from the true partner's facing"),
    "diversity": Measure("m", "true", "distance between dances sampled with different seeds"),
}


def measure_duet(
    follower: Float[Tensor, "B T 55 3"],
    leader: Float[Tensor, "B T 55 3"],
    beats: Bool[Tensor, "B T"],
    fps: float,
    hold: Bool[Tensor, "B T 2 4"] | None = None,
    partner: Float[Tensor, "B T 55 3"] | None = None,
) -> dict[str, Float[Tensor, "B"]]:
    """Return every measure of `MEASURES` that the input allows, one value a clip.

    Args:
        follower: joints, metres, Y-up, floor at y = 0.
        leader: joints of the partner.
        beats: music beats; without any, `beat_f1` is left out.
        fps: frames per second.
        hold: the holds that are due; without them `hold_f1` is left out.
        partner: joints of the true follower; without them the two errors are left out.
    """
    depth = capsule_penetration(follower, leader)
    held = hold_due(leader, follower, fps, threshold=HOLD_WITHIN)
    measured = {
        "foot_slide": slide_speed(follower, fps),
        "jerk": jerk(follower, fps),
        "penetration": depth.mean(1),
        "penetration_share": (depth > TOUCH_DEPTH).float().mean(1),
        "hold_share": held.flatten(2).any(-1).float().mean(1),
    }
    if hold is not None:
        measured["hold_f1"] = hold_f1(held, hold)
    if beats.any(1).all():
        measured["beat_f1"] = beat_f1(motion_beats(follower[:, :, :BODY_JOINTS], fps), beats, fps)
    if partner is not None:
        measured["root_error"] = (follower[:, :, 0] - partner[:, :, 0]).norm(dim=-1).mean(1)
        measured["facing_error"] = facing_error(follower, partner)
    return measured


def slide_speed(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the mean speed at which planted feet slide, m/s; 0 if no foot is ever planted."""
    planted = planted_feet(joints)[:, 1:]  # the first frame has no speed
    slide = foot_slide(joints, fps)[:, 1:]
    return slide.sum((1, 2)) / planted.sum((1, 2)).clamp_min(1)


def jerk(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the mean jerk of the body's joints, m/s^3; 0 for fewer than four frames."""
    third = torch.diff(joints[:, :, :BODY_JOINTS], n=3, dim=1).norm(dim=-1) * fps**3
    return third.mean((1, 2)) if third.shape[1] else joints.new_zeros(len(joints))


def hold_f1(held: Bool[Tensor, "B T 2 4"], due: Bool[Tensor, "B T 2 4"]) -> Float[Tensor, "B"]:
    """Return the F1 of holds per frame, hand and target; 1 where none is due and none is held."""
    right, wrong = (held & due).sum((1, 2, 3)), (held ^ due).sum((1, 2, 3))
    return torch.where(right + wrong > 0, 2 * right / (2 * right + wrong).clamp_min(1), 1.0)


def facing_error(
    joints: Float[Tensor, "B T 55 3"], partner: Float[Tensor, "B T 55 3"]
) -> Float[Tensor, "B"]:
    """Return the mean angle between two dancers' facings, degrees in [0, 180]."""
    turn = wrap_angle(facing_angle(joints) - facing_angle(partner))
    return turn.abs().mean(1) * (180 / math.pi)


def diversity(joints: Float[Tensor, "seeds T 55 3"]) -> Float[Tensor, ""]:
    """Return how far dances to one leader lie apart: mean joint distance over all pairs, metres.

    Args:
        joints: one dance a seed; a single seed has diversity 0.
    """
    first, second = torch.triu_indices(len(joints), len(joints), offset=1, device=joints.device)
    body = joints[:, :, :BODY_JOINTS]
    apart = (body[first] - body[second]).norm(dim=-1)
    return apart.mean() if len(first) else joints.new_zeros(())
