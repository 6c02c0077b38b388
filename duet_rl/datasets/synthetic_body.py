"""Bodies over their feet: pelvis, legs, spine and head of a synthetic dancer."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool1d, normalize, pad

from duet_rl.body.heading import low_pass
from duet_rl.body.kinematics import two_bone_ik
from duet_rl.body.rotations import (
    axis_angle_to_matrix,
    euler_to_matrix,
    matrix_to_axis_angle,
    rotate_yaw,
)
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, UP, Skeleton
from duet_rl.datasets.synthetic_curves import through_beats, wobble
from duet_rl.datasets.synthetic_steps import Footwork, Placement

_SIDES = ("left", "right")
_SPINE = (JOINT["spine1"], JOINT["spine2"], JOINT["spine3"])
_CARRY = 0.2  # speed of the body on a beat, a share of its mean speed
_TURN_CARRY = 0.3
_OVER_FOOT = 0.02  # m; the pelvis stands so far behind the middle of the foot
_STRETCH, _FULL_STRETCH = 0.992, 0.9995  # of the leg's length: what a dancer uses, what there is
_HEIGHT_SMOOTHING = 2.0  # frames; sigma
_HIP_TWIST = 0.35  # rad per metre that one foot is ahead of the other
_CHEST_TWIST = 0.5  # how much of it the chest turns the other way
_ACCENT = 0.06  # rad; the chest swings so far, to one side and the other in turn
_LEVELLING = 0.85  # how much of the hips' roll the spine takes back


@dataclass(frozen=True)
class Posture:
    """How a dancer of one style and role carries the body; radians and metres."""

    flex: float = 0.008  # m; how much lower than upright the hips are
    hip_roll: float = 0.03  # the hip over the standing foot is so much higher
    hip_shift: float = 0.0  # m; and pushed so far out
    lean: float = 0.03  # chest forward
    opening: float = 0.0  # chest towards the joined hands, which are to the leader's left
    gaze: float = 0.0  # head to the left
    chin: float = 0.0  # head down


@dataclass(frozen=True, eq=False)
class Noise:
    """Unit-variance slow noise of one dancer, one column a use."""

    height: Float[Tensor, "T 1"]
    chest: Float[Tensor, "T 3"]
    head: Float[Tensor, "T 3"]
    hands: Float[Tensor, "T 6"]
    knees: Float[Tensor, "T 2"]


_CHEST_NOISE = (0.025, 0.03, 0.02)  # rad; pitch, yaw, roll
_HEAD_NOISE = (0.05, 0.09, 0.03)
_HEIGHT_NOISE = 0.004  # m
_KNEE_NOISE = 0.06  # rad


def draw_noise(seconds: Float[Tensor, "T"], amount: float, rng: np.random.Generator) -> Noise:
    """Return the style noise of one dancer; `amount` 1 is human, 0 none."""
    columns = wobble(seconds, 15, rng) * amount
    return Noise(*columns.split([1, 3, 3, 6, 2], dim=1))


def stand(
    placement: Placement,
    footwork: Footwork,
    beat: Float[Tensor, "T"],
    rise: Float[Tensor, "K 1"],
    posture: Posture,
    noise: Noise,
    skeleton: Skeleton,
) -> tuple[Float[Tensor, "T 3"], Float[Tensor, "T 55 3 3"]]:
    """Return the pelvis, and global rotations of a body whose arms are not yet placed.

    Args:
        placement: the dancer beat by beat.
        footwork: the feet frame by frame.
        beat: time of each frame, in beats.
        rise: how much higher than usual the body is on each beat, metres.
        posture: how the body is carried.
        noise: smooth deviations.
        skeleton: the dancer's bones.
    """
    offsets = skeleton.offsets.double()
    yaw = through_beats(placement.yaw[:, None], beat, _TURN_CARRY)[:, 0]
    _, forward = _axes(placement.yaw)  # (K, 2)
    ahead = ((placement.feet[:, 0] - placement.feet[:, 1])[:, :2] * forward).sum(-1, keepdim=True)
    over = placement.weight[:, :1] - placement.weight[:, 1:]  # (K, 1), 1 on the left foot
    accent = _ACCENT * (-1) ** torch.arange(len(over))[:, None]
    hips_yaw, over, accent = through_beats(
        torch.cat([-_HIP_TWIST * ahead, over, accent], dim=1), beat, _TURN_CARRY
    ).unbind(1)
    roll = posture.hip_roll * over
    hips = euler_to_matrix(torch.stack([yaw + hips_yaw, 0 * yaw, roll], dim=-1), "YXZ")

    feet = (placement.feet[..., :2] * placement.weight[..., None]).sum(1) - _OVER_FOOT * forward
    level = through_beats(feet, beat, _CARRY) + posture.hip_shift * over[:, None] * _axes(yaw)[0]
    wanted = skeleton.hip_height - posture.flex + through_beats(rise, beat)[:, 0]
    wanted = wanted + _HEIGHT_NOISE * noise.height[:, 0]
    height = _height(wanted, level, hips, footwork, offsets)
    root = torch.stack([level[:, 0], height, level[:, 1]], dim=-1)

    rotations = hips[:, None].repeat(1, NUM_JOINTS, 1, 1)
    for index, side in enumerate(_SIDES):
        _set_leg(rotations, root, hips, index, side, footwork, noise, offsets)
    chest = _chest(yaw + posture.opening - _CHEST_TWIST * hips_yaw + accent, roll, posture, noise)
    _set_chain(rotations, hips, chest, _SPINE)
    rotations[:, [*range(12, 25), *range(25, NUM_JOINTS)]] = chest[:, None]
    gaze = torch.stack([yaw + posture.gaze, 0 * yaw + posture.chin, 0 * yaw], dim=-1)
    gaze = gaze + noise.head[:, [1, 0, 2]] * gaze.new_tensor([_HEAD_NOISE[i] for i in (1, 0, 2)])
    head = euler_to_matrix(gaze, "YXZ")
    _set_chain(rotations, chest, head, (JOINT["neck"], JOINT["head"]))
    rotations[:, [JOINT["jaw"], JOINT["left_eye"], JOINT["right_eye"]]] = head[:, None]
    return root, rotations


def aim(
    rest_bone: Float[Tensor, "3"],
    rest_side: Float[Tensor, "3"],
    bone: Float[Tensor, "*batch 3"],
    side: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation that takes `rest_bone` to `bone`, and `rest_side` as near to `side`."""
    return _frame(bone, side) @ _frame(rest_bone, rest_side).mT


def _frame(bone: Tensor, side: Tensor) -> Tensor:
    along = normalize(bone, dim=-1)
    across = normalize(side - (side * along).sum(-1, keepdim=True) * along, dim=-1)
    return torch.stack([along, across, torch.linalg.cross(along, across)], dim=-1)


def _axes(yaw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the level directions (x, z) to the left and forward, `(*, 2)`."""
    return (
        torch.stack([yaw.cos(), -yaw.sin()], dim=-1),
        torch.stack([yaw.sin(), yaw.cos()], dim=-1),
    )


def _height(
    wanted: Tensor, level: Tensor, hips: Tensor, footwork: Footwork, offsets: Tensor
) -> Tensor:
    """Return the height of the pelvis: as wanted, but so low that both legs reach their feet."""
    highest = [torch.full_like(wanted, torch.inf) for _ in (_STRETCH, _FULL_STRETCH)]
    for index, side in enumerate(_SIDES):
        hip = (hips @ offsets[JOINT[f"{side}_hip"]][:, None]).squeeze(-1)  # (T, 3)
        leg = float(_leg_bones(offsets, side).sum())
        ankle = footwork.ankles[:, index]
        across = ankle[:, [0, 2]] - level - hip[:, [0, 2]]
        for i, stretch in enumerate((_STRETCH, _FULL_STRETCH)):
            drop = ((stretch * leg) ** 2 - across.square().sum(-1)).clamp_min(0).sqrt()
            highest[i] = torch.minimum(highest[i], ankle[:, UP] + drop - hip[:, UP])
    low = torch.minimum(wanted, highest[0])
    width = 2 * round(_HEIGHT_SMOOTHING) + 1
    rows = pad(-low[None, None], (width // 2, width // 2), mode="replicate")
    low = -max_pool1d(rows, width, stride=1)[0, 0]  # the lowest nearby, so that smoothing is safe
    smooth = low_pass(low[:, None], _HEIGHT_SMOOTHING)[:, 0]
    return torch.minimum(smooth, highest[1])


def _leg_bones(offsets: Tensor, side: str) -> Tensor:
    return offsets[[JOINT[f"{side}_knee"], JOINT[f"{side}_ankle"]]].norm(dim=-1)


def _set_leg(
    rotations: Tensor,
    root: Tensor,
    hips: Tensor,
    index: int,
    side: str,
    footwork: Footwork,
    noise: Noise,
    offsets: Tensor,
) -> None:
    """Write the global rotations of one leg into `rotations`."""
    hip, knee, ankle, toes = (JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "foot"))
    start = root + (hips @ offsets[hip][:, None]).squeeze(-1)
    foot = footwork.rotations[:, index]
    pole = normalize(hips[..., 2] + footwork.flat[:, index, :, 2], dim=-1)  # knees over toes
    pole = rotate_yaw(pole, _KNEE_NOISE * noise.knees[:, index])
    upper, lower = _leg_bones(offsets, side)
    end = footwork.ankles[:, index]
    middle, _ = two_bone_ik(start, end, upper, lower, pole)
    hinge = torch.linalg.cross(start - end, pole)
    across = hinge.new_tensor([1.0, 0.0, 0.0])
    rotations[:, hip] = aim(offsets[knee], across, middle - start, hinge)
    rotations[:, knee] = aim(offsets[ankle], across, end - middle, hinge)
    rotations[:, ankle] = foot
    rotations[:, toes] = footwork.flat[:, index]


def _chest(yaw: Tensor, roll: Tensor, posture: Posture, noise: Noise) -> Tensor:
    """Return the global rotation of the upper spine."""
    pitch, turn, tilt = (noise.chest * noise.chest.new_tensor(_CHEST_NOISE)).unbind(-1)
    angles = [yaw + turn, posture.lean + pitch, (1 - _LEVELLING) * roll + tilt]
    return euler_to_matrix(torch.stack(angles, dim=-1), "YXZ")


def _set_chain(rotations: Tensor, start: Tensor, end: Tensor, joints: tuple[int, ...]) -> None:
    """Bend a chain of joints evenly, so that the last has the global rotation `end`."""
    turn = matrix_to_axis_angle(start.mT @ end)
    for index, joint in enumerate(joints, start=1):
        rotations[:, joint] = start @ axis_angle_to_matrix(turn * (index / len(joints)))
