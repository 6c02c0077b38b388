"""The follower of another take: how well people do when they dance the same thing again."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import UP, WRISTS
from duet_rl.errors import InputError

_BODY = slice(WRISTS[-1] + 1)  # pelvis to wrists


def placed_to(leader: Motion, other: Duet) -> Motion:
    """Return the other take's follower, put to `leader` as it stood to its own.

    The other couple is turned and shifted over the floor as one, for all frames alike, so that its
    leader lies on this one with the least squares over the body's joints. Nothing is warped in
    time: takes of one choreography share their music.

    Args:
        leader: whose dance is followed.
        other: a couple that danced the same choreography, at least as long, at the same rate.

    Raises:
        InputError: the other take is shorter, or of another frame rate.
    """
    if other.frames < leader.frames or other.fps != leader.fps:
        raise InputError(
            f"the other take has {other.frames} frames at {other.fps:g} fps and the leader "
            f"{leader.frames} at {leader.fps:g}; at least as many at the same rate are wanted"
        )
    here = leader.joints[:, _BODY].reshape(-1, 3)
    there = other.leader.joints[: leader.frames, _BODY].reshape(-1, 3)
    to, origin = here.mean(0), there.mean(0)
    yaw = _yaw_between(there - origin, here - to)
    follower = other.follower.slice(0, leader.frames).turned(float(yaw), origin.tolist())
    step = to - origin
    step[UP] = 0  # the floor stays the floor
    return follower.moved(step)


def _yaw_between(points: Float[Tensor, "P 3"], targets: Float[Tensor, "P 3"]) -> Tensor:
    """Return the turn about the vertical that brings `points` nearest to `targets`, radians."""
    x, _, z = points.unbind(-1)
    u, _, w = targets.unbind(-1)
    # A turn by `yaw` takes (x, z) to (x cos + z sin, z cos - x sin).
    return torch.atan2((u * z - w * x).sum(), (u * x + w * z).sum())
