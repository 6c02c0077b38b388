"""Steps against the beats of the music, and against the same beats at any other time."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.beat_matching import nearest_beat
from duet_rl.body.contact import foot_landings
from duet_rl.metrics.masked import ratio

TOLERANCE = 0.07  # s between a landing and a beat that are one to the ear
REACH = 0.75  # of the median time between beats; a landing farther from any beat has none to meet
_SLACK = 1e-3  # frames; a distance of whole frames is not spoilt by rounding
_MILLISECONDS = 1000.0


class BeatMatch(NamedTuple):
    """How well steps and beats meet, `(B,)` each; NaN where the music has no beat."""

    precision: Float[Tensor, "B"]  # share of landings on a beat; NaN where no foot lands
    recall: Float[Tensor, "B"]  # share of beats with a landing
    f1: Float[Tensor, "B"]  # harmonic mean of both; 0 where nothing meets
    phase_error: Float[Tensor, "B"]  # ms from a landing to its beat, mean; NaN where none lands


class BeatControl(NamedTuple):
    """The match with the music as it is, and what chance makes of it."""

    met: BeatMatch
    shuffled: BeatMatch  # mean over all times at which the music could have started


def step_beats(joints: Float[Tensor, "B T 55 3"], fps: float) -> Bool[Tensor, "B T"]:
    """Return whether a foot lands on each frame.

    Landings, and not the minima of the body's speed (`audio.beats.motion_beats`): on captured
    salsa the minima of the true partners meet the beats no more often than those of shuffled
    music (mean gain in F1 0.00, 5 of 10 clips above it); their landings do (0.03, 8 of 10). On
    synthetic couples both tell alike (0.55 and 0.57, all clips above it).
    """
    return foot_landings(joints, fps).any(-1)


def match_beats(
    landings: Bool[Tensor, "B T"],
    music: Bool[Tensor, "B T"],
    fps: float,
    tolerance: float = TOLERANCE,
) -> BeatControl:
    """Return how well landings meet beats, beside shuffled music.

    The shuffled music is the clip's own, turned about in its length by every number of frames: its
    tempo is kept, and how it lies to the steps is not. The mean over all of them is exact, and so
    the same for every run. Steady steps at any tempo and phase score in it what chance gives them.

    Args:
        landings: of either foot.
        music: beats.
        fps: frames per second.
        tolerance: seconds between a landing and a beat that meet.
    """
    within = tolerance + _SLACK / fps
    to_beat, to_landing = (nearest_beat(x, fps).distance for x in (music, landings))
    reach = REACH * _median_gap(music, fps)[:, None] + _SLACK / fps
    near = (to_beat <= reach) & to_beat.isfinite()
    # Of each: one value for every turn of the music, the first of which leaves it as it is.
    hits = _turned_sums(landings, to_beat <= within)
    caught = _turned_sums(to_landing <= within, music)
    apart = _turned_sums(landings, torch.where(near, to_beat, 0)).clamp_min(0)
    judged = _turned_sums(landings, near)
    precision = ratio(hits, landings.sum(1)[:, None])
    recall = ratio(caught, music.sum(1)[:, None])
    f1 = 2 * precision * recall / torch.where(hits > 0.5, precision + recall, 1)
    f1 = torch.where(hits > 0.5, f1, 0)
    error = ratio(apart, judged) * _MILLISECONDS
    silent = ~music.any(1)[:, None]
    every = [torch.where(silent, torch.nan, x) for x in (precision, recall, f1, error)]
    return BeatControl(
        BeatMatch(*(x[:, 0].float() for x in every)),
        BeatMatch(*(x.nanmean(1).float() for x in every)),
    )


def beat_measures(
    joints: Float[Tensor, "B T 55 3"], beats: Bool[Tensor, "B T"], fps: float
) -> dict[str, Float[Tensor, "B"]]:
    """Return the measures `beat_*` of `metrics.duet.MEASURES`; all NaN for a clip without beats."""
    met, shuffled = match_beats(step_beats(joints, fps), beats, fps)
    return {
        "beat_precision": met.precision,
        "beat_recall": met.recall,
        "beat_f1": met.f1,
        "beat_f1_shuffled": shuffled.f1,
        "beat_gain": met.f1 - shuffled.f1,
        "beat_phase_error": met.phase_error,
        "beat_phase_shuffled": shuffled.phase_error,
    }


def _turned_sums(fixed: Tensor, turning: Tensor) -> Tensor:
    """Return the sum over t of `fixed[t] * turning[t - s]` for every turn `s`, `(B, T)`."""
    frames = fixed.shape[1]
    spectrum = torch.fft.rfft(fixed.double()) * torch.fft.rfft(turning.double()).conj()
    sums = torch.fft.irfft(spectrum, n=frames)
    return sums if turning.is_floating_point() else sums.round()  # counts are whole


def _median_gap(music: Tensor, fps: float) -> Tensor:
    """Return the median time between the beats of each clip, s; infinite for fewer than two."""
    gaps = [row.nonzero()[:, 0].diff() / fps for row in music]
    return torch.stack([x.median() if len(x) else x.new_tensor(torch.inf) for x in gaps])
