"""How far a motion is from the one it stands for, joint by joint: after decoding, for instance."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_FLAT = 1e-12  # m^2; a body of less spread is one point, which no scale makes another


class PublishedErrors(NamedTuple):
    """What CoMo and PGR2M print of reconstructed clips."""

    mpjpe: float
    pa_mpjpe: float
    acceleration: float
    joints: Float[Tensor, "J"]


def joint_errors(
    joints: Float[Tensor, "B T J 3"], truth: Float[Tensor, "B T J 3"]
) -> Float[Tensor, "B J"]:
    """Return each joint's mean distance, both bodies moved so that their roots are one, metres."""
    return (_rooted(joints) - _rooted(truth)).norm(dim=-1).mean(1)


def mpjpe(
    joints: Float[Tensor, "B T J 3"], truth: Float[Tensor, "B T J 3"], count_root: bool = False
) -> Float[Tensor, "B"]:
    """Return the mean per-joint position error of each clip, roots put upon each other, metres.

    Args:
        joints: the root first.
        truth: what they stand for.
        count_root: take the root, whose error is always 0, into the mean, as published.
    """
    return joint_errors(joints, truth)[:, 0 if count_root else 1 :].mean(1)


def pa_mpjpe(
    joints: Float[Tensor, "B T J 3"], truth: Float[Tensor, "B T J 3"]
) -> Float[Tensor, "B"]:
    """Return the mean joint error after the best turn, shift and scale of every frame, metres.

    Procrustes analysis (Gower 1975) with scale, over all joints, without reflection.
    """
    return (_aligned(joints, truth) - truth).norm(dim=-1).mean((1, 2))


def acceleration_error(
    joints: Float[Tensor, "B T J 3"], truth: Float[Tensor, "B T J 3"], fps: float | None = None
) -> Float[Tensor, "B"]:
    """Return the mean distance of the joints' second differences; roots are not put together.

    Args:
        joints: metres.
        truth: what they stand for.
        fps: frames per second, for m/s^2; None: metres a frame^2, as published.

    Returns:
        NaN for clips of fewer than three frames.
    """
    error = (joints - truth).diff(n=2, dim=1).norm(dim=-1).mean((1, 2))
    return error if fps is None else error * fps**2


def published_errors(
    joints: Float[Tensor, "B T J 3"], truth: Float[Tensor, "B T J 3"], factor: float = 1.0
) -> PublishedErrors:
    """Return the errors as published, means over clips.

    Args:
        joints: of one length, the root first.
        truth: what they stand for.
        factor: between the joints' unit and the metre. The original divides positions by it and
            multiplies accelerations, so that with 1000 the two are in different units.
    """
    return PublishedErrors(
        float(mpjpe(joints, truth, count_root=True).mean()) / factor,
        float(pa_mpjpe(joints, truth).mean()) / factor,
        float(acceleration_error(joints, truth).mean()) * factor,
        joint_errors(joints, truth).mean(0) / factor,
    )


def _rooted(joints: Tensor) -> Tensor:
    return joints - joints[:, :, :1]


def _aligned(
    joints: Float[Tensor, "B T J 3"], truth: Float[Tensor, "B T J 3"]
) -> Float[Tensor, "B T J 3"]:
    """Return `joints` after the similarity that brings them nearest to `truth`, frame by frame."""
    centres = [x.mean(2, keepdim=True) for x in (joints, truth)]
    ours, theirs = (x - c for x, c in zip((joints, truth), centres, strict=True))
    left, sizes, right = torch.linalg.svd(ours.mT.double() @ theirs.double())  # (B, T, 3, 3)
    signs = torch.ones_like(sizes)
    signs[..., 2] = torch.det(left @ right).sign()
    turn = (left * signs[..., None, :]) @ right
    spread = ours.double().square().sum((-2, -1))
    scale = (sizes * signs).sum(-1) / torch.where(spread > _FLAT, spread, torch.inf)
    moved = scale[..., None, None] * (ours.double() @ turn)
    return moved.to(joints) + centres[1]
