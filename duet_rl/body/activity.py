"""How lively a motion is: whether it stands frozen, and whether it shakes."""

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import WRISTS

# Of captured and of synthetic dances, under 5 % of the frames are so slow, under 1 % shake so.
FROZEN_SPEED = 0.05  # m/s, mean over the body's joints; a slower frame is frozen
JITTER_ACCELERATION = 25.0  # m/s^2, mean over the body's joints; a frame with more of it shakes
_BODY = slice(WRISTS[-1] + 1)  # pelvis to wrists


def frozen_share(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the share of frames in which the body hardly moves; 0 for a single frame."""
    speed = torch.diff(_body(joints), dim=1).norm(dim=-1).mean(-1) * fps
    return _share(speed < FROZEN_SPEED)


def jitter_share(joints: Float[Tensor, "B T 55 3"], fps: float) -> Float[Tensor, "B"]:
    """Return the share of frames in which the body shakes; 0 for fewer than three frames."""
    acceleration = torch.diff(_body(joints), n=2, dim=1).norm(dim=-1).mean(-1) * fps**2
    return _share(acceleration > JITTER_ACCELERATION)


def _body(joints: Tensor) -> Tensor:
    return joints[:, :, _BODY].contiguous()  # norms over strided joints are slow


def _share(frames: Tensor) -> Tensor:
    if not frames.shape[1]:
        return torch.zeros(len(frames), device=frames.device)
    return frames.float().mean(1)
