"""Where the follower is and faces, against the true partner, by how near the couple dances."""

import math

from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.body.rotations import wrap_angle
from duet_rl.metrics.masked import mean_where

# Of the captured and the synthetic couples, most are in a closed hold below the first of these
# (two hands, or a hand on the body), and most hold no hand any more beyond the second.
NEAR_WITHIN = 0.6  # m between the roots, level
FAR_BEYOND = 1.1  # m between the roots, level


def root_errors(
    joints: Float[Tensor, "B T 55 3"], partner: Float[Tensor, "B T 55 3"]
) -> Float[Tensor, "B T"]:
    """Return how far the root is from the true partner's, metres.

    Both stand before one leader, so that this is the error of the place relative to him, too.
    """
    return (joints[:, :, 0] - partner[:, :, 0]).norm(dim=-1)


def facing_errors(
    joints: Float[Tensor, "B T 55 3"], partner: Float[Tensor, "B T 55 3"]
) -> Float[Tensor, "B T"]:
    """Return the angle between two dancers' facings, degrees in [0, 180]."""
    turn = wrap_angle(facing_angle(joints) - facing_angle(partner))
    return turn.abs() * (180 / math.pi)


def by_distance(
    errors: Float[Tensor, "B T"],
    leader: Float[Tensor, "B T 55 3"],
    partner: Float[Tensor, "B T 55 3"],
) -> dict[str, Float[Tensor, "B"]]:
    """Return the mean of `errors` over the frames of each distance of the true couple.

    Args:
        errors: one a frame.
        leader: joints, metres.
        partner: joints of the true follower.

    Returns:
        `near`, `mid` and `far`, `(B,)` each; NaN where the couple is never so near or so far.
    """
    apart = (partner[:, :, 0] - leader[:, :, 0])[..., ::2].norm(dim=-1)  # on the floor
    near, far = apart < NEAR_WITHIN, apart > FAR_BEYOND
    bins = {"near": near, "mid": ~(near | far), "far": far}
    return {name: mean_where(errors, where) for name, where in bins.items()}
