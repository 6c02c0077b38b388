"""Another frame rate, part by part: slerp on the way up, a low-pass on the way down."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.rotations import matrix_to_axis_angle

_LOBES = 3  # of the Lanczos kernel, each one new frame wide
_BLOCK = 512  # frames made at a time
_TIME_SLACK = 1e-4  # frames; a last frame that is late by less still counts

Part = Callable[[int, int], Motion]
"""Returns the frames of a take from a first up to a last one, both within the take."""


def whole_at(part: Part, frames: int, fps: float, wanted: float | None) -> Motion:
    """Return a take at another frame rate; it is never whole in memory at its own.

    Coming down, movements faster than the new rate can show are taken out first (a Lanczos
    low-pass of rotations and pelvis), so that they do not turn into slow ones that nobody danced.

    Args:
        part: reads the take.
        frames: of the take.
        fps: of the take.
        wanted: frames per second; that of the take if None.
    """
    if wanted is None or wanted >= fps:
        parts = [part(at, min(at + _BLOCK, frames)) for at in range(0, frames, _BLOCK)]
        motion = _joined(parts)
        return motion if wanted is None else motion.resample(wanted)
    step = fps / wanted  # old frames a new one
    count = int((frames - 1) / step + _TIME_SLACK) + 1
    return _joined(
        [
            _low_passed(part, frames, step, range(at, min(at + _BLOCK, count)), wanted)
            for at in range(0, count, _BLOCK)
        ]
    )


def _low_passed(part: Part, frames: int, step: float, new: range, fps: float) -> Motion:
    time = torch.tensor(list(new), dtype=torch.float64) * step
    reach = int(_LOBES * step) + 1
    first, last = int(time[0]) - reach, int(time[-1]) + 1 + reach
    motion = part(max(first, 0), min(last + 1, frames))
    turns = _continuous(_quaternions(motion.rotations))
    values = torch.cat([motion.root, turns.flatten(1)], dim=1)
    values = _beyond(values, before=max(-first, 0), after=max(last + 1 - frames, 0))
    taps = time.floor().long()[:, None] + torch.arange(-reach + 1, reach + 1)  # (M, taps)
    away = (time[:, None] - taps) / step
    kernel = torch.special.sinc(away) * torch.special.sinc(away / _LOBES)
    kernel = torch.where(away.abs() < _LOBES, kernel, 0.0)
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(values)
    smooth = torch.stack([k @ values[row] for k, row in zip(kernel, taps - first, strict=True)])
    root, turned = smooth[:, :3], smooth[:, 3:].unflatten(1, (-1, 4))
    return Motion.from_rotations(root, _matrices(turned), motion.skeleton, fps)


def _beyond(values: Float[Tensor, "T C"], before: int, after: int) -> Float[Tensor, "M C"]:
    """Return values that go on beyond both ends as if mirrored in the end points."""
    last = len(values) - 1
    head = 2 * values[0] - values[torch.arange(before, 0, -1).clamp_max(last)]
    tail = 2 * values[last] - values[(last - 1 - torch.arange(after)).clamp_min(0)]
    return torch.cat([head, values, tail])


def _quaternions(rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Return (w, x, y, z) of length 1."""
    vector = matrix_to_axis_angle(rotations)
    angle = vector.norm(dim=-1, keepdim=True)
    # sin(a / 2) / a, which is 1 / 2 where nothing is turned
    return torch.cat([(angle / 2).cos(), torch.sinc(angle / (2 * torch.pi)) / 2 * vector], dim=-1)


def _continuous(turns: Float[Tensor, "T J 4"]) -> Float[Tensor, "T J 4"]:
    """Return the same rotations with the sign of each quaternion that is nearer to the last's."""
    flips = torch.where((turns[1:] * turns[:-1]).sum(-1) < 0, -1.0, 1.0).cumprod(0)
    return torch.cat([turns[:1], turns[1:] * flips[..., None]])


def _matrices(turns: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotations of quaternions of any length."""
    w, x, y, z = torch.nn.functional.normalize(turns, dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def _joined(parts: list[Motion]) -> Motion:
    joints = torch.cat([one.joints for one in parts])
    rotations = torch.cat([one.rotations for one in parts])
    return Motion(joints, rotations, parts[0].skeleton, parts[0].fps)
