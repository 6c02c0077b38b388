"""A dancer as twelve capsules, and how deep the capsules of two dancers lie in each other."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import JOINT

_SHORTEST = 1e-8  # m^2; a shorter segment is a point


class Capsule(NamedTuple):
    """All points within `radius` metres of the segment between two joints."""

    name: str
    start: int
    end: int
    radius: float


def _capsule(name: str, start: str, end: str, radius: float) -> Capsule:
    return Capsule(name, JOINT[start], JOINT[end], radius)


def _limbs(side: str) -> tuple[Capsule, ...]:
    return (
        _capsule(f"{side}_upper_arm", f"{side}_shoulder", f"{side}_elbow", 0.045),
        _capsule(f"{side}_forearm", f"{side}_elbow", f"{side}_wrist", 0.035),
        _capsule(f"{side}_thigh", f"{side}_hip", f"{side}_knee", 0.065),
        _capsule(f"{side}_shin", f"{side}_knee", f"{side}_ankle", 0.045),
    )


# Radii in metres of a slim adult. Hands and feet are left out: they are there to touch and to
# step between the partner's.
CAPSULES: tuple[Capsule, ...] = (
    _capsule("hips", "left_hip", "right_hip", 0.10),
    _capsule("trunk", "pelvis", "spine3", 0.11),
    _capsule("shoulders", "left_shoulder", "right_shoulder", 0.07),
    _capsule("head", "neck", "head", 0.09),
    *_limbs("left"),
    *_limbs("right"),
)
CAPSULE: dict[str, Capsule] = {capsule.name: capsule for capsule in CAPSULES}

_STARTS = [capsule.start for capsule in CAPSULES]
_ENDS = [capsule.end for capsule in CAPSULES]
_RADII = [capsule.radius for capsule in CAPSULES]


def segment_distance(
    start_a: Float[Tensor, "*batch P 3"],
    end_a: Float[Tensor, "*batch P 3"],
    start_b: Float[Tensor, "*batch Q 3"],
    end_b: Float[Tensor, "*batch Q 3"],
) -> Float[Tensor, "*batch P Q"]:
    """Return the distance between every segment of `a` and every segment of `b`, metres.

    Closed form, from dot products only (Ericson, Real-Time Collision Detection, 2005, 5.1.9).
    """
    along_a, along_b = end_a - start_a, end_b - start_b
    square_a = along_a.square().sum(-1)[..., :, None].clamp_min(_SHORTEST)
    square_b = along_b.square().sum(-1)[..., None, :].clamp_min(_SHORTEST)
    across = along_a @ along_b.mT  # (*batch, P, Q)
    between_a = (along_a * start_a).sum(-1)[..., :, None] - along_a @ start_b.mT
    between_b = start_a @ along_b.mT - (along_b * start_b).sum(-1)[..., None, :]
    spread = (square_a * square_b - across.square()).clamp_min(_SHORTEST)
    # The nearest points lie at the fractions `s` of a and `t` of b. For parallel segments any
    # start will do, since `s` is found again for the `t` that follows from it.
    s = torch.addcmul(-between_a * square_b, across, between_b).div_(spread).clamp_(0, 1)
    t = torch.addcmul(between_b, across, s).div_(square_b).clamp_(0, 1)
    s = torch.addcmul(-between_a, across, t).div_(square_a).clamp_(0, 1)
    apart = (
        start_a.square().sum(-1)[..., :, None]
        + start_b.square().sum(-1)[..., None, :]
        - 2 * (start_a @ start_b.mT)
    )
    apart = torch.addcmul(apart, s, torch.addcmul(2 * between_a, s, square_a))
    apart = torch.addcmul(apart, t, torch.addcmul(-2 * between_b, t, square_b))
    apart = torch.addcmul(apart, s * t, across, value=-2)
    return apart.clamp_min(0).sqrt()


def capsule_penetration(
    a: Float[Tensor, "*batch 55 3"], b: Float[Tensor, "*batch 55 3"]
) -> Float[Tensor, "*batch"]:
    """Return how deep the worst pair of capsules of two bodies overlaps, metres; 0 if none does.

    Forearms may cross: joined hands bring them together, and a capsule is too coarse to tell.

    Args:
        a: joints of one body, metres, any axes.
        b: joints of the other body, in the same axes.
    """
    centre = b[..., :1, :]  # keeps the squares small, so that the place in the room changes nothing
    a, b = a - centre, b - centre
    distance = segment_distance(
        a[..., _STARTS, :], a[..., _ENDS, :], b[..., _STARTS, :], b[..., _ENDS, :]
    )
    return (_reach(distance) - distance).flatten(-2).amax(-1).clamp_min(0)


def surface_distance(
    points: Float[Tensor, "*batch P 3"], joints: Float[Tensor, "*batch 55 3"], capsule: Capsule
) -> Float[Tensor, "*batch P"]:
    """Return how far `points` are from the surface of one capsule, metres; 0 inside it."""
    start, end = joints[..., None, capsule.start, :], joints[..., None, capsule.end, :]
    along, offset = end - start, points - start
    fraction = (offset * along).sum(-1) / along.square().sum(-1).clamp_min(_SHORTEST)
    nearest = fraction.clamp(0, 1)[..., None] * along
    return ((offset - nearest).norm(dim=-1) - capsule.radius).clamp_min(0)


def _reach(like: Tensor) -> Tensor:
    """Return the distance at which each pair of capsules touches, `(P, Q)`."""
    radii = like.new_tensor(_RADII)
    forearms = like.new_tensor([float("forearm" in capsule.name) for capsule in CAPSULES])
    return (radii[:, None] + radii[None, :]) * (1 - forearms[:, None] * forearms[None, :])
