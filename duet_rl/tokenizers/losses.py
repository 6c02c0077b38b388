"""Reconstruction losses over time: the values, their velocity and their acceleration."""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config


class MotionLossConfig(Config):
    """Weights of the L1 terms (spec 3.5)."""

    velocity: float = Field(1.0, ge=0)  # first difference over frames
    acceleration: float = Field(1.0, ge=0)  # second difference over frames


def motion_loss(
    predicted: Float[Tensor, "*batch T"],
    target: Float[Tensor, "*batch T"],
    config: MotionLossConfig,
) -> Float[Tensor, ""]:
    """Return the mean absolute error plus that of the first and second difference over time.

    The differences of the error are those of the motions, so the error is all that is needed.

    Args:
        predicted: any channels, time last.
        target: the same shape.
        config: weights of the differences.
    """
    error = predicted - target
    total = error.abs().mean()
    change = error.diff(dim=-1)
    if config.velocity and change.shape[-1]:
        total = total + config.velocity * change.abs().mean()
    if config.acceleration and change.shape[-1] > 1:
        total = total + config.acceleration * change.diff(dim=-1).abs().mean()
    return total
