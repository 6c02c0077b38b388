"""What touches what: palms and holds between two dancers, feet and the floor."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from duet_rl.body.capsules import CAPSULE, surface_distance
from duet_rl.body.heading import low_pass
from duet_rl.body.skeleton import FEET, JOINT, UP, WRISTS

PALM_KNUCKLES = (JOINT["left_middle1"], JOINT["right_middle1"])
HOLD_TARGETS = ("left_palm", "right_palm", "shoulder", "waist")  # of the partner
BODY_TARGETS = {"shoulder": "shoulders", "waist": "trunk"}  # target -> capsule that is held

TOES_ON_FLOOR = 0.05  # m; lower toes are on the floor (they rest at 0.02)
ANKLE_ON_FLOOR = 0.11  # m; under a lower ankle the heel is on the floor (it rests at 0.08)
NO_JUMP = 0.10  # m above these heights up to which the lower foot still carries the body
LANDING_SPEED = 0.3  # m/s; a foot that falls below this speed has landed
STEP_SPEED = 0.6  # m/s; a foot that was never faster than this on its way made no step
STEP_SECONDS = 0.4  # s before a landing in which the foot was on its way
SOLE_SMOOTHING = 0.05  # s; sigma of the Gaussian over a foot's speed


def palms(joints: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch 2 3"]:
    """Return the middle of the left and of the right palm: between wrist and middle knuckle."""
    return (joints[..., WRISTS, :] + joints[..., PALM_KNUCKLES, :]) / 2


def hold_distances(
    follower: Float[Tensor, "*batch 55 3"], leader: Float[Tensor, "*batch 55 3"]
) -> Float[Tensor, "*batch 2 4"]:
    """Return how far each palm of the follower is from what it may hold, metres.

    Args:
        follower: joints of the dancer whose palms are measured.
        leader: joints of the partner, in the same axes.

    Returns:
        `(*batch, 2, 4)`: left and right palm against the partner's `HOLD_TARGETS`. The palms are
        points; shoulder (either one, and the back between) and waist are surfaces of capsules.
    """
    hands = palms(follower)
    to_palms = (hands[..., :, None, :] - palms(leader)[..., None, :, :]).norm(dim=-1)
    to_body = [
        surface_distance(hands, leader, CAPSULE[capsule]) for capsule in BODY_TARGETS.values()
    ]
    return torch.cat([to_palms, torch.stack(to_body, dim=-1)], dim=-1)


def hold_due(
    leader: Float[Tensor, "*batch T 55 3"],
    follower: Float[Tensor, "*batch T 55 3"],
    fps: float = 30.0,
    threshold: float = 0.35,
    body_threshold: float = 0.05,
    min_seconds: float = 0.3,
) -> Bool[Tensor, "*batch T 2 4"]:
    """Return which holds the true couple keeps: what a generated follower should hold too.

    A palm holds the target that is nearest in proportion to its threshold. Gaps shorter than
    `min_seconds` are closed, then shorter holds are dropped, so that noise opens no hold.

    Args:
        leader: joints, metres.
        follower: joints of the true partner, metres.
        fps: frames per second.
        threshold: metres between two palms that hold each other. Captured couples with equal
            bones need 0.35; couples whose palms really meet need less.
        body_threshold: metres from the surface of the shoulder or the waist.
        min_seconds: the shortest hold, and the shortest pause in one.
    """
    body = len(BODY_TARGETS)
    limits = leader.new_tensor([threshold, threshold, *[body_threshold] * body])
    nearness = hold_distances(follower, leader) / limits  # (*batch, T, 2, 4)
    nearest = nearness == nearness.amin(-1, keepdim=True)
    held = nearest & (nearness < 1)
    return _drop_short_runs(held, max(1, round(min_seconds * fps)))


def dilate_time(mask: Bool[Tensor, "*batch T C"], frames: int) -> Bool[Tensor, "*batch T C"]:
    """Return `mask` (time second last), true also up to `frames` before and after it is true."""
    return _dilate(mask, frames, frames)


def foot_speed(joints: Float[Tensor, "*batch T 55 3"], fps: float) -> Float[Tensor, "*batch T 4"]:
    """Return the level speed of ankles and toes (`FEET`), m/s; the first frame has speed 0."""
    feet = joints[..., FEET, :]
    step = torch.diff(feet, dim=-3, prepend=feet[..., :1, :, :])
    x, _, z = step.unbind(-1)  # lifting a foot is not sliding
    return torch.hypot(x, z) * fps


def feet_above_floor(
    joints: Float[Tensor, "*batch T 55 3"],
    toes_on_floor: float = TOES_ON_FLOOR,
    ankle_on_floor: float = ANKLE_ON_FLOOR,
) -> Float[Tensor, "*batch T 2"]:
    """Return how much higher the left and right foot are than one on the floor, metres."""
    height = joints[..., FEET, UP]
    return torch.minimum(height[..., :2] - ankle_on_floor, height[..., 2:] - toes_on_floor)


def planted_feet(
    joints: Float[Tensor, "*batch T 55 3"],
    toes_on_floor: float = TOES_ON_FLOOR,
    ankle_on_floor: float = ANKLE_ON_FLOOR,
) -> Bool[Tensor, "*batch T 2"]:
    """Return whether the left and the right foot carry the body, by toes or by heel.

    Feet on the floor do. So does the lower foot of a dancer who is less than `NO_JUMP` too high:
    nobody escapes the floor by floating a little above it.
    """
    above = feet_above_floor(joints, toes_on_floor, ankle_on_floor)
    lower = above <= above.amin(-1, keepdim=True)
    return (above < 0) | (lower & (above < NO_JUMP))


def floor_error(joints: Float[Tensor, "*batch T 55 3"]) -> Float[Tensor, "*batch T"]:
    """Return how far the lower foot floats above the floor or a joint sinks below it, metres."""
    floating = feet_above_floor(joints).amin(-1).clamp_min(0)
    return floating + (-joints[..., FEET, UP].amin(-1)).clamp_min(0)


def foot_slide(
    joints: Float[Tensor, "*batch T 55 3"],
    fps: float,
    toes_on_floor: float = TOES_ON_FLOOR,
    ankle_on_floor: float = ANKLE_ON_FLOOR,
) -> Float[Tensor, "*batch T 2"]:
    """Return how fast the planted left and right foot slide over the floor, m/s; 0 in the air.

    A foot slides as fast as the slower of its ankle and toes: turning on the ball or on the heel
    leaves one of them where it is.
    """
    speed = foot_speed(joints, fps)
    slower = torch.minimum(speed[..., :2], speed[..., 2:])
    return torch.where(planted_feet(joints, toes_on_floor, ankle_on_floor), slower, 0.0)


def support_speed(joints: Float[Tensor, "*batch T 55 3"], fps: float) -> Float[Tensor, "*batch T"]:
    """Return the level speed of the foot that moves least, m/s: what carries the body is still."""
    speed = foot_speed(joints, fps)
    return torch.minimum(speed[..., :2], speed[..., 2:]).amin(-1)


def sole_speed(
    joints: Float[Tensor, "*batch T 55 3"], fps: float, smoothing: float = SOLE_SMOOTHING
) -> Float[Tensor, "*batch T-1 2"]:
    """Return the smoothed speed of the left and right foot between each frame and the next, m/s.

    Args:
        joints: metres.
        fps: frames per second.
        smoothing: sigma of the Gaussian that smooths the speed, seconds.
    """
    feet = joints[..., FEET, :]
    soles = (feet[..., :2, :] + feet[..., 2:, :]) / 2
    return low_pass(torch.diff(soles, dim=-3).norm(dim=-1) * fps, smoothing * fps)


def foot_landings(
    joints: Float[Tensor, "*batch T 55 3"],
    fps: float,
    landing_speed: float = LANDING_SPEED,
    step_speed: float = STEP_SPEED,
) -> Bool[Tensor, "*batch T 2"]:
    """Return whether the left and the right foot end a step on each frame.

    A trembling foot makes no step: it must have been fast, and come to rest.

    Args:
        joints: metres.
        fps: frames per second.
        landing_speed: m/s; a foot that falls below this speed has landed ...
        step_speed: ... if it was faster than this, m/s, within `STEP_SECONDS` before.
    """
    speed = sole_speed(joints, fps)
    fast = _dilate(speed > step_speed, round(STEP_SECONDS * fps), 0)
    falls = (speed[..., :-1, :] >= landing_speed) & (speed[..., 1:, :] < landing_speed)
    return pad(falls & fast[..., :-1, :], (0, 0, 1, 1))


def _drop_short_runs(held: Tensor, shortest: int) -> Tensor:
    """Return `(*batch, T, 2, 4)` without gaps, then without runs, of under `shortest` frames."""
    rows = held.flatten(-2)  # (*batch, T, 8)
    before, after = shortest // 2, shortest - 1 - shortest // 2
    closed = _erode(_dilate(rows, before, after), after, before)
    opened = _dilate(_erode(closed, before, after), after, before)
    return opened.reshape(held.shape)


def _dilate(mask: Tensor, before: int, after: int) -> Tensor:
    rows = mask.mT.to(torch.float32).flatten(0, -2)[:, None]  # (rows, 1, T)
    rows = pad(rows, (before, after))
    return max_pool1d(rows, before + after + 1, stride=1)[:, 0].reshape(mask.mT.shape).mT > 0


def _erode(mask: Tensor, before: int, after: int) -> Tensor:
    return ~_dilate(~mask, before, after)
