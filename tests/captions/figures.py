"""Dancers who do one known thing: limbs that go somewhere and stay, bodies that walk and turn."""

import math

import torch
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics, reach
from duet_rl.body.skeleton import JOINT, MIRROR, NUM_JOINTS
from duet_rl.captions.detect import facts_of
from duet_rl.captions.facts import Fact
from tests.posecodes.poses import SKELETON, STANDING

FPS = 30
Target = tuple[float, float, float]

HANGING: Target = (0.03, -0.5, 0.02)  # m, of the left hand seen from its shoulder
UP: Target = (0.05, 0.5, 0.0)
LEVEL: Target = (0.5, 0.0, 0.05)
FOLDED: Target = (0.02, -0.2, 0.15)
DOWN = {"left_arm": HANGING, "right_arm": (-0.03, -0.5, 0.02)}


def still(seconds: float = 3.0, **targets: Target) -> Tensor:
    """Return a dancer who stands with arms down, but for the limbs whose targets are given."""
    one = _posed({limb: torch.tensor([target]) for limb, target in {**DOWN, **targets}.items()})
    return one.repeat(round(seconds * FPS), 1, 1)


def reaching(
    seconds: float = 4.0, start: float = 1.5, stop: float = 2.2, **ends: tuple[Target, Target]
) -> Tensor:
    """Return a dancer whose limbs go from one target to another between two times."""
    way = (1 - torch.cos(math.pi * _ramp(round(seconds * FPS), start, stop)))[:, None] / 2
    both = {**{limb: (target, target) for limb, target in DOWN.items()}, **ends}
    return _posed(
        {
            limb: torch.lerp(torch.tensor([first]), torch.tensor([last]), way)
            for limb, (first, last) in both.items()
        }
    )


def carried(joints: Tensor, start: float, stop: float, ahead: float = 0, left: float = 0) -> Tensor:
    """Return a dancer who is carried over the floor between two times, metres."""
    return joints + _ramp(len(joints), start, stop)[:, None, None] * torch.tensor(
        [left, 0.0, ahead]
    )


def turning(joints: Tensor, start: float, stop: float, degrees: float) -> Tensor:
    """Return a dancer who turns to the left by so much between two times."""
    angle = math.radians(degrees) * _ramp(len(joints), start, stop)
    sine, cosine, zero, one = angle.sin(), angle.cos(), angle * 0, angle * 0 + 1
    rows = torch.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], dim=-1)
    return torch.einsum("tij,tkj->tki", rows.view(-1, 3, 3), joints)


def mirrored(joints: Tensor) -> Tensor:
    """Return a dancer as a mirror shows him."""
    return joints[:, list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])


def keys(joints: Tensor, partner: Tensor | None = None) -> set[str]:
    """Return all that is said of a dancer."""
    return {stated.fact.key for stated in facts_of(joints, partner)}


def other_side(fact: Fact) -> Fact:
    """Return what the mirror makes of a fact."""
    swapped = {"left": "right", "right": "left"}

    def told(text: str) -> str:
        return " ".join(swapped.get(word, word) for word in text.split())

    return Fact(fact.kind, told(fact.subject), told(fact.what))


def _ramp(frames: int, start: float, stop: float) -> Tensor:
    time = torch.arange(frames) / FPS
    return ((time - start) / (stop - start)).clamp(0, 1)


def _posed(targets: dict[str, Tensor]) -> Tensor:
    """Return a standing dancer whose limbs reach targets seen from where each begins, `(T, 3)`."""
    frames = len(next(iter(targets.values())))
    root = torch.tensor(STANDING).repeat(frames, 1)
    rotations = torch.eye(3).repeat(frames, NUM_JOINTS, 1, 1)
    rest = SKELETON.rest_joints()
    for limb, target in targets.items():
        side, kind = limb.split("_")
        start = rest[JOINT[f"{side}_{'shoulder' if kind == 'arm' else 'hip'}"]]
        rotations = reach(rotations, root, SKELETON.offsets, limb, start + target)
    return forward_kinematics(rotations, root, SKELETON.offsets).joints
