"""How smoothly a body moves, and whether its motion is cut into tokens."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.metrics.masked import ratio

BODY_JOINTS = 22  # pelvis to wrists: the joints before jaw, eyes and fingers
TOKEN_FRAMES = 4  # frames that one motion token stands for


def jerk(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the mean jerk of the body's joints, m/s^3; NaN for fewer than four frames."""
    third = torch.diff(joints[:, :, :BODY_JOINTS], n=3, dim=1).norm(dim=-1) * fps**3
    return third.mean((1, 2))


def boundary_jumps(
    joints: Float[Tensor, "B T 55 3"], token_frames: int = TOKEN_FRAMES
) -> Float[Tensor, "B"]:
    """Return how much of the acceleration lies at the boundaries of tokens, 1 where no more does.

    The mean acceleration of the body's joints over three frames of which not all belong to one
    token, over the mean of this and of the acceleration within tokens. It lies in [0, 2]: 2 is a
    body that moves between tokens only.

    Args:
        joints: metres; the first frame begins a token.
        token_frames: at least three.

    Returns:
        `(B,)`; NaN for a clip of one token, and for a body that never accelerates.
    """
    assert token_frames >= 3, "no acceleration lies within a token of fewer than three frames"
    second = torch.diff(joints[:, :, :BODY_JOINTS], n=2, dim=1).norm(dim=-1).mean(-1)
    if joints.shape[1] <= token_frames:
        return joints.new_full((len(joints),), torch.nan)
    first = torch.arange(second.shape[1], device=joints.device) % token_frames
    across = first > token_frames - 3  # the third frame is the next token's
    outer, inner = second[:, across].mean(1), second[:, ~across].mean(1)
    return ratio(outer, (outer + inner) / 2)
