"""How lively a motion is: whether it stands frozen, rests on its feet, shakes, or hangs in the air.

What happened `recently`, up to a frame, looks at earlier frames only, so that it is known when a
motion is streamed.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from duet_rl.body.contact import feet_above_floor
from duet_rl.body.skeleton import FEET, LOWER, WRISTS

# Of captured and of synthetic dances, under 5 % of the frames are so slow, under 1 % shake so.
FROZEN_SPEED = 0.05  # m/s, mean over the body's joints; a slower frame is frozen
JITTER_ACCELERATION = 25.0  # m/s^2, mean over the body's joints; a frame with more of it shakes
OFF_FLOOR = 0.03  # m; what captured feet on the floor float above it, at most
_BODY = slice(WRISTS[-1] + 1)  # pelvis to wrists
_ABOVE_LEGS = tuple(joint for joint in range(WRISTS[-1] + 1) if joint not in LOWER)


def frozen_share(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the share of frames in which the body hardly moves; 0 for a single frame."""
    return _share(_body_speed(joints, fps) < FROZEN_SPEED)


def jitter_share(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the share of frames in which the body shakes; 0 for fewer than three frames."""
    acceleration = torch.diff(_body(joints), n=2, dim=1).norm(dim=-1).mean(-1) * fps**2
    return _share(acceleration > JITTER_ACCELERATION)


def recent_body_speed(
    joints: Float[Tensor, "B T 55 3"], fps: float, seconds: float
) -> Float[Tensor, "B T"]:
    """Return the highest speed of the body, mean over its joints, in the last `seconds`, m/s.

    It is infinite in the first frames, before so much is known.
    """
    speed = pad(_body_speed(joints, fps), (1, 0), value=torch.inf)
    return _recent_highest(speed, _frames(seconds, fps))


def recent_foot_reach(
    joints: Float[Tensor, "B T 55 3"], fps: float, seconds: float
) -> Float[Tensor, "B T"]:
    """Return the size of the space that a foot was in during the last `seconds`, metres.

    That is the diagonal of the box around the way of the foot that went farther. It is infinite
    in the first frames, before so much is known.
    """
    feet = joints[:, :, FEET]
    soles = ((feet[:, :, :2] + feet[:, :, 2:]) / 2).flatten(2).mT.contiguous()  # (B, 6, T)
    frames = _frames(seconds, fps) + 1  # so many steps have one frame more
    high = _recent_highest(soles, frames)
    low = -_recent_highest(-soles, frames)
    return (high - low).mT.unflatten(2, (2, 3)).norm(dim=-1).amax(-1)


def recent_jerk(
    joints: Float[Tensor, "B T 55 3"], fps: float, seconds: float
) -> Float[Tensor, "B T"]:
    """Return the mean jerk of the joints above the hips over the last `seconds`, m/s^3.

    Feet that strike the floor do not count. What came before the first frame counts as smooth.
    """
    third = torch.diff(_body(joints), n=3, dim=1).norm(dim=-1)[:, :, _ABOVE_LEGS].mean(-1) * fps**3
    frames = _frames(seconds, fps)
    before = joints.shape[1] - third.shape[1] + frames - 1
    return avg_pool1d(pad(third, (before, 0))[:, None], frames, stride=1)[:, 0]


def seconds_aloft(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B T"]:
    """Return for how long no foot has been on the floor; it was before the first frame, seconds."""
    frame = torch.arange(joints.shape[1], device=joints.device)
    on_floor = feet_above_floor(joints).amin(-1) < OFF_FLOOR
    since = torch.where(on_floor, frame, -1).cummax(dim=1).values
    return (frame - since) / fps


def _body_speed(joints: Tensor, fps: float) -> Tensor:
    """Return the mean speed of the body's joints between frames, `(B, T - 1)`, m/s."""
    return torch.diff(_body(joints), dim=1).norm(dim=-1).mean(-1) * fps


def _body(joints: Tensor) -> Tensor:
    return joints[:, :, _BODY].contiguous()  # norms over strided joints are slow


def _recent_highest(values: Tensor, frames: int) -> Tensor:
    """Return the highest of the last `frames` values of `(..., T)`; infinite before so many."""
    spanned = 1
    while spanned < frames:  # each round doubles the span
        step = min(spanned, frames - spanned, values.shape[-1])
        earlier = pad(values[..., : values.shape[-1] - step], (step, 0), value=torch.inf)
        values = torch.maximum(values, earlier)
        spanned += step
    return values


def _frames(seconds: float, fps: float) -> int:
    return max(1, round(seconds * fps))


def _share(frames: Tensor) -> Tensor:
    if not frames.shape[1]:
        return torch.zeros(len(frames), device=frames.device)
    return frames.float().mean(1)
