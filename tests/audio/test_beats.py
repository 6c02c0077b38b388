"""Beats of bodies and of feet, on motions whose beat is known."""

import math

import pytest
import torch

from duet_rl.audio.beats import estimate_tempo_from_feet, mean_speed, motion_beats, music_beats
from duet_rl.body.skeleton import FEET
from duet_rl.errors import InputError

FPS = 30.0


def swaying(bpm: float, seconds: float = 8.0, fps: float = FPS) -> torch.Tensor:
    """A body that swings to and fro and rests on every beat, `(1, T, 55, 3)`."""
    time = torch.arange(round(seconds * fps)) / fps
    joints = torch.zeros(1, len(time), 55, 3)
    joints[..., 0] = 0.2 * torch.cos(math.pi * bpm / 60 * time)[None, :, None]
    return joints


def stepping(bpm: float, offset: float, pattern: str, seconds: float = 10.0) -> torch.Tensor:
    """Feet that land on the beats of `pattern` ("x" steps, "." waits), `(T, 55, 3)`."""
    time = torch.arange(round(seconds * FPS)) / FPS
    joints = torch.zeros(len(time), 55, 3)
    period, foot = 60 / bpm, 0
    for beat in range(math.ceil(seconds / period) + 1):
        if pattern[beat % len(pattern)] == "x":
            part = ((time - offset - (beat - 0.7) * period) / (0.7 * period)).clamp(0, 1)
            for joint in (FEET[foot], FEET[foot + 2]):
                joints[:, joint, 2] += 0.4 * part * part * (3 - 2 * part)
            foot = 1 - foot
    return joints


@pytest.mark.parametrize("bpm", [80, 100, 140])
def test_a_body_that_rests_on_every_beat_has_these_beats(bpm):
    found = motion_beats(swaying(bpm), FPS)[0].nonzero()[:, 0] / FPS
    true = torch.arange(1, int(7.9 * bpm / 60)) * 60 / bpm
    assert all((found - time).abs().min() < 0.04 for time in true)
    assert len(found) <= len(true) + 2


def test_motion_beats_do_not_depend_on_the_frame_rate():
    slow, fast = (motion_beats(swaying(100, fps=fps), fps)[0].sum() for fps in (30.0, 60.0))
    assert slow == fast


def test_standing_still_has_no_beat():
    assert not motion_beats(torch.ones(1, 60, 55, 3), FPS).any()


def test_ripples_are_no_beats():
    time = torch.arange(120) / FPS
    joints = torch.zeros(1, 120, 55, 3)
    joints[..., 0] = (time + 0.0005 * torch.sin(20 * time))[:, None]
    assert not motion_beats(joints, FPS).any()


def test_speed_is_in_metres_per_second():
    joints = torch.zeros(1, 20, 55, 3)
    joints[..., 2] = torch.arange(20)[:, None] * 0.05
    torch.testing.assert_close(mean_speed(joints, FPS), torch.full((1, 20), 1.5))


def test_music_beats_are_the_flags_of_the_features():
    features = torch.zeros(2, 10, 54)
    features[1, 3, 53] = 1
    assert music_beats(features).nonzero().tolist() == [[1, 3]]


@pytest.mark.parametrize("bpm", [84, 120, 160])
@pytest.mark.parametrize("pattern", ["x", "xxx.", "x.x.xx.."])
def test_the_feet_tell_the_tempo_and_its_phase(bpm, pattern):
    tempo = estimate_tempo_from_feet(stepping(bpm, 0.2, pattern), FPS)
    assert tempo.bpm == pytest.approx(bpm, rel=0.01)
    period = 60 / bpm
    late = (tempo.phase - 0.2 + period / 2) % period - period / 2
    assert abs(late) < 0.07


def test_feet_that_never_land_have_no_tempo():
    with pytest.raises(InputError, match="land 0 times"):
        estimate_tempo_from_feet(torch.zeros(60, 55, 3), FPS)
