"""Twice as many frames, and back: the frames that were there stay as they are."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import slerp

_NEAR, _FAR = 9 / 16, -1 / 16  # of a cubic half way between the two inner ones of four points


def doubled(values: Float[Tensor, "B T *channels"]) -> Float[Tensor, "B T2 *channels"]:
    """Return `values` with a frame half way after each, on the cubic through its four neighbours.

    Beyond the ends they go on as they came; a single frame is repeated.
    """
    if values.shape[1] == 1:
        return values.repeat_interleave(2, dim=1)
    first = values[:, :1] - values[:, 1:2]
    last = values[:, -1:] - values[:, -2:-1]
    ends = (values[:, :1] + first, values[:, -1:] + last, values[:, -1:] + 2 * last)
    row = torch.cat([ends[0], values, *ends[1:]], dim=1)
    between = _NEAR * (row[:, 1:-2] + row[:, 2:-1]) + _FAR * (row[:, :-3] + row[:, 3:])
    return torch.stack([values, between], dim=2).flatten(1, 2)


def doubled_rotations(
    rotations: Float[Tensor, "B T J 3 3"],
) -> Float[Tensor, "B T2 J 3 3"]:
    """Return rotations with one half way after each; beyond the end they turn on as they came."""
    if rotations.shape[1] == 1:
        return rotations.repeat_interleave(2, dim=1)
    starts = torch.cat([rotations[:, :-1], rotations[:, -2:-1]], dim=1)
    ends = torch.cat([rotations[:, 1:], rotations[:, -1:]], dim=1)
    weight = torch.full_like(rotations[..., 0, 0], 0.5)
    weight[:, -1] = 1.5
    return torch.stack([rotations, slerp(starts, ends, weight)], dim=2).flatten(1, 2)
