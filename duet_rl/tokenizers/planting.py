"""Planting: a foot that carries the decoded body stays where it stands.

Legs and placement are written by streams of their own, and where the two disagree the feet slide.
What the legs say of their own motion tells which foot stands still. The root then gives way to
that foot for a while, and what is left is taken up by the knees.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from scipy.linalg import solveh_banded
from torch import Tensor

from duet_rl.body.contact import feet_above_floor
from duet_rl.body.kinematics import LIMBS, Posed, bend_limb
from duet_rl.body.skeleton import FEET, UP
from duet_rl.config import Config
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import smoothed

_LEGS = ("left_leg", "right_leg")
_TINY = 1e-9  # keeps 0 / 0 at 0
_KEY = "planting"  # of what a cache holds


class PlantingConfig(Config):
    """Which feet stand, and how far the body gives way to them."""

    still_speed: float = Field(0.4, gt=0)  # m/s of a foot at which it stands to 1/e
    still_height: float = Field(0.05, gt=0)  # m above the floor at which it stands to 1/e
    speed_sigma: float = Field(1.0, ge=0)  # frames; low-pass of that speed
    root_seconds: float = Field(0.4, gt=0)  # in which the root finds back to where it was placed
    leg_seconds: float = Field(0.6, gt=0)  # in which a foot finds back to where its leg puts it
    stiffness: float = Field(0.05, ge=0)  # of the shift where no foot stands, 1 where one does


class _Shift(NamedTuple):
    """How the weights and steps of some points shift a path."""

    stands: Float[Tensor, "N T"]
    step: Float[Tensor, "N T 2"]  # m over the floor, from the frame before


def plant_feet(
    posed: Posed,
    travel: Float[Tensor, "B T 3"],
    offsets: Float[Tensor, "*#batch 55 3"],
    fps: float,
    config: PlantingConfig,
    causal: bool = False,
    cache: StreamCache | None = None,
) -> Posed:
    """Return the body moved and its legs bent so that standing feet hardly slide.

    A shift `d` of the root over the floor minimises, over all frames,
    `stands |d[t] - d[t-1] + step|^2 + stiffness |d[t] - d[t-1]|^2 + |d|^2 / (seconds fps)^2`,
    a tridiagonal system; so does then the shift of either ankle. A causal body knows no later
    frames and minimises each frame after the one before. Heights stay as they are.

    Args:
        posed: decoded bodies, `(B, T, ...)`, metres, Y-up.
        travel: how the legs say that the root moved to each frame, m/s.
        offsets: the bones.
        fps: frames per second.
        config: which feet stand, and how far the body gives way.
        causal: look at no later frame.
        cache: continues the clip it was used for before (causal ones only).
    """
    feet = posed.joints[:, :, FEET][..., _level()]  # ankles, then toes: (B, T, 4, 2)
    step = _steps(feet, cache, "feet")
    stands = _standing(posed, feet, travel, fps, config, causal, cache)
    shift = _solve(_joined(stands, step), config.root_seconds * fps, config, causal, cache, "root")
    joints = posed.joints + _over_floor(shift)[:, :, None]
    posed = posed._replace(joints=joints)
    step = step + _steps(shift, cache, "shift")[:, :, None]
    sides = [_joined(stands[:, :, side::2], step[:, :, side::2]) for side in range(len(_LEGS))]
    both = _Shift(*(torch.cat(values) for values in zip(*sides, strict=True)))
    shifts = _solve(both, config.leg_seconds * fps, config, causal, cache, "legs")
    for limb, leg_shift in zip(_LEGS, shifts.chunk(len(_LEGS)), strict=True):
        ankle = joints[:, :, LIMBS[limb].end] + _over_floor(leg_shift)
        posed = bend_limb(posed, offsets, limb, ankle)
    return posed


def _standing(
    posed: Posed,
    feet: Float[Tensor, "B T 4 2"],
    travel: Float[Tensor, "B T 3"],
    fps: float,
    config: PlantingConfig,
    causal: bool,
    cache: StreamCache | None,
) -> Float[Tensor, "B T 4"]:
    """Return how much each ankle and toe stands, 0 to 1, by what the legs say of themselves."""
    about_root = feet - posed.joints[:, :, :1, _level()]
    speed = (_steps(about_root, cache, "legs") * fps + travel[:, :, None, _level()]).norm(dim=-1)
    speed = smoothed(speed, config.speed_sigma, causal, cache, (_KEY, "speed"))
    above = feet_above_floor(posed.joints).clamp_min(0).repeat(1, 1, 2)
    still = (speed / config.still_speed).square() + (above / config.still_height).square()
    return torch.exp(-still)


def _joined(stands: Float[Tensor, "B T P"], step: Float[Tensor, "B T P 2"]) -> _Shift:
    """Return several points as one: how much any stands, and their mean step."""
    whole = stands.sum(-1)
    mean = (stands[..., None] * step).sum(2) / whole.clamp_min(_TINY)[..., None]
    return _Shift(whole, mean)


def _solve(
    asked: _Shift,
    frames: float,
    config: PlantingConfig,
    causal: bool,
    cache: StreamCache | None,
    key: str,
) -> Float[Tensor, "N T 2"]:
    """Return the shift of each path, metres; it is drawn back to 0 over `frames` frames."""
    pull, bond = 1 / frames**2, asked.stands + config.stiffness
    drawn = asked.stands[..., None] * asked.step
    if not causal:
        return _solve_whole(bond, drawn, pull)
    shift, shifts = drawn.new_zeros(len(drawn), 2), []
    if cache is not None:
        shift = cache.get((_KEY, key, "shift"), shift)
    for bonds, draw in zip(bond.unbind(1), drawn.unbind(1), strict=True):
        shift = (bonds[:, None] * shift - draw) / (bonds + pull)[:, None]
        shifts.append(shift)
    if cache is not None:
        cache[_KEY, key, "shift"] = shift
    return torch.stack(shifts, dim=1)


def _solve_whole(
    bond: Float[Tensor, "N T"], drawn: Float[Tensor, "N T 2"], pull: float
) -> Float[Tensor, "N T 2"]:
    """Return the shifts of all frames at once; the clips are one system, not bound together."""
    count, frames = bond.shape
    bonds = bond.double().cpu().numpy()
    bonds[:, 0] = 0
    draws = drawn.double().cpu().numpy()
    draws[:, 0] = 0
    diagonal, right = bonds + pull, -draws
    diagonal[:, :-1] += bonds[:, 1:]
    right[:, :-1] += draws[:, 1:]
    banded = np.stack([-bonds.ravel(), diagonal.ravel()])
    solved = solveh_banded(banded, right.reshape(-1, 2), overwrite_ab=True, overwrite_b=True)
    return torch.from_numpy(solved.reshape(count, frames, 2)).to(drawn)


def _steps(
    values: Float[Tensor, "B T *rest"], cache: StreamCache | None, key: str
) -> Float[Tensor, "B T *rest"]:
    """Return the change from the frame before; nothing comes before the first."""
    before = values[:, :1] if cache is None else cache.get((_KEY, key), values[:, :1])
    if cache is not None:
        cache[_KEY, key] = values[:, -1:]
    return torch.diff(values, dim=1, prepend=before)


def _over_floor(shift: Float[Tensor, "B T 2"]) -> Float[Tensor, "B T 3"]:
    x, z = shift.unbind(-1)
    return torch.stack([x, torch.zeros_like(x), z], dim=-1)


def _level() -> list[int]:
    """Return the axes that span the floor."""
    return [axis for axis in range(3) if axis != UP]
