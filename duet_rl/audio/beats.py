"""Beats: of music, of moving bodies, and the tempo that a pair of feet keeps."""

import math
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from duet_rl.audio.features import BEAT, FPS
from duet_rl.body.heading import low_pass
from duet_rl.body.skeleton import FEET
from duet_rl.errors import InputError

SMOOTHING = 0.05  # s; sigma of the Gaussian over a body's speed
DEPTH = 0.05  # a motion beat is slower than the faster moments around it by this share at least
SLOWEST, FASTEST = 70.0, 210.0  # beats a minute between which dances lie

PUBLISHED_SIGMA = 5  # frames; of the Gaussian over a body's speed in the published dance beats

_NEIGHBOURHOOD = 0.25  # s; what "around" a motion beat means
_STILL = 1e-3  # m/s; a body slower than this all through stands, and keeps no beat
_LANDING_SPEED = 0.2  # m/s; a foot that falls below this speed has landed
_FOOT_SMOOTHING = 0.03  # s; sigma of the Gaussian over a foot's speed
_STEP_SPEED = 0.5  # m/s; a foot that was never faster than this on its way made no step
_STEP_SECONDS = 0.4  # s before a landing in which the foot was on its way
_FEWEST_LANDINGS = 4
_WINDOW = 8.0  # s; dancers keep one tempo at least so long
_TEMPO_STEP = 0.25  # beats a minute between two tempi that are tried
_ALMOST_AS_GOOD = 0.8  # of two tempi that fit, the slower is the beat if it fits this well


class Tempo(NamedTuple):
    """A steady beat."""

    bpm: float  # beats a minute
    phase: float  # s; time of the first beat, at least 0 and less than one beat


def tempo_of(features: Float[Tensor, "T 54"]) -> float:
    """Return the beats per minute of music, from the median distance of its beats; 0 without."""
    gaps = music_beats(features).nonzero()[:, 0].diff().tolist()  # frames
    return 60 * FPS / median(gaps) if gaps else 0.0


def music_beats(features: Float[Tensor, "*batch T 54"]) -> Bool[Tensor, "*batch T"]:
    """Return whether a beat of the music falls on each frame."""
    return features[..., BEAT] > 0


def motion_beats(
    joints: Float[Tensor, "B T J 3"],
    fps: float,
    smoothing: float = SMOOTHING,
    depth: float = DEPTH,
) -> Bool[Tensor, "B T"]:
    """Return whether a body comes to rest on each frame: the minima of its mean joint speed.

    Args:
        joints: any set of joints, metres.
        fps: frames per second.
        smoothing: sigma of the Gaussian that smooths the speed, seconds.
        depth: how far the speed must dip below the fastest moment within a quarter of a second
            on either side, as a share of it; keeps ripples from counting as beats.
    """
    if joints.shape[1] < 3:
        return joints.new_zeros(joints.shape[:2], dtype=torch.bool)
    speed = low_pass(mean_speed(joints, fps)[..., None], smoothing * fps)[..., 0]
    inner = speed[:, 1:-1]
    lowest = pad((inner < speed[:, :-2]) & (inner <= speed[:, 2:]), (1, 1))
    reach = max(1, round(_NEIGHBOURHOOD * fps))
    before, after = _max_before(speed, reach), _max_before(speed.flip(-1), reach).flip(-1)
    dips = speed < (1 - depth) * torch.minimum(before, after)
    return lowest & dips & (before > _STILL)


def published_motion_beats(joints: Float[Tensor, "B T J 3"]) -> Bool[Tensor, "B T"]:
    """Return whether the mean speed of the joints, smoothed, has a minimum after each frame.

    The dance beats of Bailando and Duolando (their spec 7.5): however shallow, and counted in
    frames, so that they mean one thing at 60 fps and another at 30. `motion_beats` has units.

    Args:
        joints: metres; computed in their own precision.
    """
    beats = torch.zeros(joints.shape[:2], dtype=torch.bool)
    if joints.shape[1] > 3:
        # By numpy as in the original: on a flat minimum the order of a sum's terms can make a beat.
        speed = np.linalg.norm(np.diff(joints.cpu().numpy(), axis=1), axis=-1).mean(-1)
        smooth = torch.from_numpy(gaussian_filter1d(speed, PUBLISHED_SIGMA, mode="reflect"))
        inner = smooth[:, 1:-1]
        beats[:, 1:-2] = (inner < smooth[:, :-2]) & (inner < smooth[:, 2:])
    return beats.to(joints.device)


def mean_speed(joints: Float[Tensor, "B T J 3"], fps: float) -> Float[Tensor, "B T"]:
    """Return the mean speed of the joints at each frame, m/s, by central differences."""
    step = torch.diff(joints, dim=1).norm(dim=-1).mean(-1) * fps  # (B, T - 1), between frames
    return (pad(step, (1, 0), mode="replicate") + pad(step, (0, 1), mode="replicate")) / 2


def estimate_tempo_from_feet(joints: Float[Tensor, "T 55 3"], fps: float) -> Tempo:
    """Return the tempo that the feet of one dancer keep, and when its beats fall.

    Feet land on beats, though not on every one. The beat is the slowest pulse on which nearly all
    landings lie, taken over windows of eight seconds, so that a slow drift does no harm.

    Args:
        joints: one dancer, metres, Y-up.
        fps: frames per second.

    Raises:
        InputError: no foot ever lands.
    """
    times, weights = _landings(joints[:, FEET], fps)
    if len(times) < _FEWEST_LANDINGS:
        raise InputError(
            f"the feet land {len(times)} times in {joints.shape[0] / fps:.1f} s; the tempo shows "
            f"from {_FEWEST_LANDINGS} landings on: give a longer take, or music"
        )
    tempi = torch.arange(SLOWEST, FASTEST + _TEMPO_STEP / 2, _TEMPO_STEP, dtype=torch.float64)
    fit = _pulse_fit(times, weights, tempi, seconds=joints.shape[0] / fps)
    bpm = float(tempi[_slowest_peak(fit)])
    turn = (weights * torch.exp(2j * math.pi * bpm / 60 * times)).sum()
    phase = float(turn.angle()) / (2 * math.pi) * 60 / bpm
    return Tempo(bpm, phase % (60 / bpm))


def _landings(feet: Float[Tensor, "T 4 3"], fps: float) -> tuple[Tensor, Tensor]:
    """Return when feet land, seconds, and how clearly, in (0, 1]."""
    soles = (feet[:, :2] + feet[:, 2:]) / 2  # (T, 2, 3)
    step = torch.diff(soles, dim=0).norm(dim=-1).T * fps  # (2, T - 1), between frames
    speed = low_pass(step[..., None], _FOOT_SMOOTHING * fps)[..., 0]
    fastest = _max_before(speed, max(1, round(_STEP_SECONDS * fps)))
    falls = (speed[:, :-1] >= _LANDING_SPEED) & (speed[:, 1:] < _LANDING_SPEED)
    foot, frame = (falls & (fastest[:, :-1] > _STEP_SPEED)).nonzero(as_tuple=True)
    before, after = speed[foot, frame].double(), speed[foot, frame + 1].double()
    part = (before - _LANDING_SPEED) / (before - after)
    times = (frame + 0.5 + part) / fps  # the speed between frames t and t + 1 belongs to t + 1/2
    return times, fastest[foot, frame].double().clamp_max(1.0)


def _pulse_fit(times: Tensor, weights: Tensor, tempi: Tensor, seconds: float) -> Tensor:
    """Return how well the landings lie on a pulse of each tempo, in [0, 1].

    The squared length of the mean phase vector (as in the Rayleigh test), averaged over windows.
    """
    starts = torch.arange(0, max(seconds - _WINDOW / 2, 1e-3), _WINDOW / 2, dtype=times.dtype)
    inside = (times >= starts[:, None]) & (times < starts[:, None] + _WINDOW)
    shares = torch.where(inside, weights, 0.0)  # (W, landings)
    vectors = torch.exp(2j * math.pi * tempi[:, None] / 60 * times)
    total = shares.sum(-1)
    lengths = (vectors @ shares.T.to(vectors.dtype)).abs() / total.clamp_min(1e-9)
    return (lengths.square() * total).sum(-1) / total.sum()


def _slowest_peak(fit: Tensor) -> int:
    inner = (fit[1:-1] >= fit[:-2]) & (fit[1:-1] >= fit[2:])
    peaks = pad(inner, (1, 1), value=True) & (fit >= _ALMOST_AS_GOOD * fit.max())
    return int(peaks.int().argmax())


def _max_before(values: Float[Tensor, "B T"], reach: int) -> Float[Tensor, "B T"]:
    """Return the greatest value among each frame and the `reach` frames before it."""
    padded = pad(values[:, None], (reach, 0), value=-math.inf)
    return max_pool1d(padded, reach + 1, stride=1)[:, 0]
