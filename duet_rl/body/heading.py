"""Where a dancer faces: the heading of hips and shoulders, and low-pass filters over time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import wrap_angle
from duet_rl.body.skeleton import JOINT

_SIDES = tuple((JOINT[f"left_{name}"], JOINT[f"right_{name}"]) for name in ("hip", "shoulder"))
_REACH = 4.0  # standard deviations of a Gaussian that its kernel keeps
_DEGENERATE = 1e-6  # m; a shorter vector across the body has no direction


def facing_angle(joints: Float[Tensor, "*batch T 55 3"]) -> Float[Tensor, "*batch T"]:
    """Return the yaw of each frame, radians, unwrapped over time (no jumps of a full turn).

    The body faces across the line through hips and shoulders: forward = left x up. Yaw 0 faces
    +Z, and yaw a faces (sin a, 0, cos a).
    """
    across = sum(joints[..., left, :] - joints[..., right, :] for left, right in _SIDES)
    assert isinstance(across, Tensor)
    sine, cosine = -across[..., 2], across[..., 0]
    lost = torch.hypot(sine, cosine) < _DEGENERATE
    return unwrap(torch.atan2(sine.masked_fill(lost, 0.0), cosine.masked_fill(lost, 1.0)))


def unwrap(
    angle: Float[Tensor, "*batch T"], previous: Float[Tensor, "*batch"] | None = None
) -> Float[Tensor, "*batch T"]:
    """Return the same directions with every step over time within half a turn.

    Args:
        angle: radians.
        previous: the unwrapped angle of the frame before the first, to go on from a chunk.
    """
    if previous is None:
        previous = angle[..., 0]
    steps = wrap_angle(torch.diff(angle, dim=-1, prepend=previous[..., None]))
    # Whole turns are counted apart from the angle, so that the sum gathers no rounding error.
    turns = (previous[..., None] + steps.cumsum(-1) - angle) / (2 * math.pi)
    return angle + 2 * math.pi * turns.round().detach()


def low_pass(
    values: Float[Tensor, "*batch T C"],
    sigma_frames: float,
    causal: bool = False,
    previous: Float[Tensor, "*batch C"] | None = None,
) -> Float[Tensor, "*batch T C"]:
    """Return `values` smoothed over time.

    Args:
        values: one column a channel; angles must be unwrapped.
        sigma_frames: standard deviation of the Gaussian, in frames; 0 leaves the values alone.
        causal: look at no later frame: a one-pole filter with a delay of `sigma_frames` frames.
        previous: the causal filter's output at the frame before the first, to go on from a chunk.

    Returns:
        As many frames as came in. The Gaussian continues the values beyond both ends by point
        reflection, which keeps a steady walk steady; the one-pole starts at the first value.
    """
    if sigma_frames <= 0 or values.shape[-2] == 0:
        return values
    if causal:
        return _one_pole(values, sigma_frames / (1 + sigma_frames), previous)
    frames = values.shape[-2]
    radius = max(1, math.ceil(_REACH * sigma_frames))
    distance = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (distance / sigma_frames).square())
    kernel = kernel / kernel.sum()
    beyond = torch.arange(1, radius + 1, device=values.device).clamp_max(frames - 1)
    first, last = values[..., :1, :], values[..., -1:, :]
    before = 2 * first - values[..., beyond.flip(0), :]
    after = 2 * last - values[..., frames - 1 - beyond, :]
    padded = torch.cat([before, values, after], dim=-2)
    rows = padded.mT.reshape(-1, 1, frames + 2 * radius)
    smooth = torch.nn.functional.conv1d(rows, kernel[None, None])
    return smooth.reshape(*values.shape[:-2], values.shape[-1], frames).mT


def smooth_heading(
    joints: Float[Tensor, "*batch T 55 3"], sigma_frames: float = 5.0, causal: bool = False
) -> Float[Tensor, "*batch T"]:
    """Return the low-passed yaw of each frame, radians, unwrapped over time."""
    return low_pass(facing_angle(joints)[..., None], sigma_frames, causal)[..., 0]


def _one_pole(values: Tensor, decay: float, previous: Tensor | None) -> Tensor:
    smooth = values[..., 0, :] if previous is None else previous
    outputs = []
    for value in values.unbind(-2):
        smooth = decay * smooth + (1 - decay) * value
        outputs.append(smooth)
    return torch.stack(outputs, dim=-2)
