"""A couple with a known answer: face to face, both hands joined, a side step on every beat."""

import math

import torch

from duet_rl.body.kinematics import reach
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import yaw_matrix
from duet_rl.body.skeleton import NUM_JOINTS, default_skeleton

FPS = 30
BEAT_SECONDS = 0.5
STEP = 0.3  # m to the side
STEP_SECONDS = 0.35  # s that a foot is on its way, at most
LIFT = 0.12  # m that it is lifted
DISTANCE = 0.7  # m between the roots
HANDS = (0.35, 1.15)  # m beside the couple's axis and above the floor


def stepping_couple(
    seconds: float = 4.0, fps: float = FPS, beat_seconds: float = BEAT_SECONDS
) -> Duet:
    """Return leader (facing +Z) and follower (facing -Z) with joined hands.

    On each beat one foot lands: both feet go a step along +X, then both go back. What stands does
    not slide. The beats are those of `beats`.
    """
    time = torch.arange(round(seconds * fps)) / fps
    feet = [_foot(time, beat_seconds, first_beat) for first_beat in (1, 2)]
    return Duet(_dancer(0.0, 0.0, feet, fps), _dancer(DISTANCE, math.pi, feet, fps))


def standing_couple(seconds: float = 1.0, fps: float = FPS) -> Duet:
    """Return the couple before its first step, both with joined hands."""
    first = stepping_couple(1.0, fps).slice(0, 1)
    frames = round(seconds * fps)
    return Duet(*(_held(motion, frames) for motion in (first.leader, first.follower)))


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


def _held(motion: Motion, frames: int) -> Motion:
    root, rotations = (x.expand(frames, *x.shape[1:]) for x in (motion.root, motion.rotations))
    return Motion.from_rotations(root, rotations, motion.skeleton, motion.fps)


def _foot(time: torch.Tensor, beat_seconds: float, first_beat: int) -> torch.Tensor:
    """Return the way of a foot that lands on every other beat, and its height, `(T, 2)`."""
    since = time - first_beat * beat_seconds
    step = torch.div(since, 2 * beat_seconds, rounding_mode="floor")  # landings so far, less one
    until = (step + 1) * 2 * beat_seconds - since
    part = (1 - until / min(STEP_SECONDS, 0.7 * beat_seconds)).clamp_min(0)
    part = part * part * (3 - 2 * part)
    away = (step + 1) % 2
    return torch.stack(
        [
            torch.lerp(away, 1 - away, part) * STEP,
            LIFT * (torch.pi * part).sin().clamp_min(0).sqrt(),
        ],
        1,
    )


def _dancer(z: float, yaw: float, feet: list[torch.Tensor], fps: float) -> Motion:
    skeleton = default_skeleton()
    near, far = feet  # the foot at +X steps first
    middle = (near[:, 0] + far[:, 0]) / 2
    still = torch.zeros_like(middle)
    root = torch.stack([middle, still + skeleton.hip_height - 0.03, still + z], dim=-1)
    rotations = torch.eye(3).repeat(len(middle), NUM_JOINTS, 1, 1)
    rotations[:, 0] = yaw_matrix(torch.tensor(yaw))
    plus, minus = ("left", "right") if yaw == 0 else ("right", "left")  # who stands at +X
    hands = torch.stack([middle, still + HANDS[1], still + DISTANCE / 2], dim=-1)
    beside = torch.tensor([HANDS[0], 0.0, 0.0])
    targets = {
        f"{plus}_arm": hands + beside,
        f"{minus}_arm": hands - beside,
        f"{plus}_leg": torch.stack([near[:, 0] + 0.09, near[:, 1] + 0.08, still + z], dim=-1),
        f"{minus}_leg": torch.stack([far[:, 0] - 0.09, far[:, 1] + 0.08, still + z], dim=-1),
    }
    for limb, target in targets.items():
        rotations = reach(rotations, root, skeleton.offsets, limb, target)
    return Motion.from_rotations(root, rotations, skeleton, fps)
