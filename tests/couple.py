"""A couple with a known answer: face to face, both hands joined, swaying from beat to beat."""

import math

import torch

from duet_rl.body.kinematics import reach
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import yaw_matrix
from duet_rl.body.skeleton import NUM_JOINTS, default_skeleton

FPS = 30
BEAT_SECONDS = 0.5
SWAY = 0.12  # m to either side
DISTANCE = 0.7  # m between the roots
HANDS = (0.35, 1.15)  # m beside the couple's axis and above the floor


def swaying_couple(
    seconds: float = 4.0, fps: float = FPS, beat_seconds: float = BEAT_SECONDS
) -> Duet:
    """Return leader (facing +Z) and follower (facing -Z) with joined hands, at rest on each beat.

    Their feet stay, their bodies and hands sway along x; the beats are those of `beats`.
    """
    time = torch.arange(round(seconds * fps)) / fps
    sway = SWAY * torch.cos(torch.pi * time / beat_seconds)  # turns round on every beat
    return Duet(_dancer(0.0, 0.0, sway, fps), _dancer(DISTANCE, math.pi, sway, fps))


def beats(seconds: float = 4.0, fps: float = FPS) -> torch.Tensor:
    """Return the beats of the couple's music, `(1, T)`."""
    frame = torch.arange(round(seconds * fps))
    return (frame % round(BEAT_SECONDS * fps) == 0)[None]


def joints_of(couple: Duet) -> tuple[torch.Tensor, torch.Tensor]:
    """Return follower and leader, `(1, T, 55, 3)` each."""
    return couple.follower.joints[None], couple.leader.joints[None]


def slide(joints: torch.Tensor, metres_per_second: float, fps: float = FPS) -> torch.Tensor:
    """Drag the whole dancer along x at a constant speed."""
    x = torch.arange(joints.shape[1]) * metres_per_second / fps
    return joints + torch.stack([x, x * 0, x * 0], dim=-1)[None, :, None]


def shake(joints: torch.Tensor, metres: float) -> torch.Tensor:
    """Move every joint of every frame by noise of this size."""
    generator = torch.Generator().manual_seed(0)
    return joints + metres * torch.randn(joints.shape, generator=generator)


def moved(joints: torch.Tensor, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> torch.Tensor:
    """Put the dancer elsewhere, metres."""
    return joints + torch.tensor([x, y, z])


def turned(joints: torch.Tensor, angle: float) -> torch.Tensor:
    """Turn the world about the vertical axis, radians."""
    return joints @ yaw_matrix(torch.tensor(angle)).T


def _dancer(z: float, yaw: float, sway: torch.Tensor, fps: float) -> Motion:
    skeleton = default_skeleton()
    still = torch.zeros_like(sway)
    root = torch.stack([sway, still + skeleton.hip_height - 0.03, still + z], dim=-1)
    rotations = torch.eye(3).repeat(len(sway), NUM_JOINTS, 1, 1)
    rotations[:, 0] = yaw_matrix(torch.tensor(yaw))
    facing = 1.0 if yaw == 0 else -1.0  # the left hand is at +X for who faces +Z
    middle = torch.stack([sway, still, still + DISTANCE / 2], dim=-1)
    targets = {
        "left_arm": middle + torch.tensor([facing * HANDS[0], HANDS[1], 0.0]),
        "right_arm": middle + torch.tensor([-facing * HANDS[0], HANDS[1], 0.0]),
        "left_leg": torch.tensor([facing * 0.09, 0.08, z]).expand_as(root),
        "right_leg": torch.tensor([-facing * 0.09, 0.08, z]).expand_as(root),
    }
    for limb, target in targets.items():
        rotations = reach(rotations, root, skeleton.offsets, limb, target)
    return Motion.from_rotations(root, rotations, skeleton, fps)
