"""Beat scores and foot skating as published: known answers, and no number without beats."""

import math

import pytest
import torch

from duet_rl.metrics.published import (
    BEAT_SIGMA,
    STANDS,
    TRAVELS,
    beat_alignment,
    beat_echo,
    beat_score,
    published_motion_beats,
    skating_frames,
)
from tests.couple import joints_of, moved, standing_couple, stepping_couple, turned

PERIOD = 20  # frames from one rest to the next


def swaying(rests: int = 8, first: int = 0) -> torch.Tensor:
    """Return a body that goes to and fro and rests every `PERIOD` frames."""
    frame = torch.arange(rests * PERIOD, dtype=torch.float64)
    way = 0.5 * torch.cos(torch.pi * (frame - first) / PERIOD)
    standing = joints_of(standing_couple(1 / 30))[0][0].double()
    return standing + torch.stack([way, 0 * way, 0 * way], dim=-1)[:, None]


def skater(frames: int, speed: float, axis: int = 0) -> torch.Tensor:
    joints = joints_of(standing_couple(frames / 30))[0][0]
    joints[..., axis] += torch.arange(frames)[:, None] * speed
    return joints


def test_a_body_has_its_beats_where_it_rests():
    beats = published_motion_beats(swaying())
    inner = [PERIOD * rest - 0.5 for rest in range(2, 8)]  # the ends are smoothed over
    assert beats.tolist() == pytest.approx(inner, abs=0.6)


def test_beats_depend_on_no_place_and_no_direction():
    joints = swaying().float()
    there = moved(turned(joints, 1.0), 1.0, 2.0, 3.0)
    assert published_motion_beats(there).tolist() == published_motion_beats(joints).tolist()


def test_a_score_falls_as_a_gaussian_with_the_distance():
    told = torch.tensor([10, 50])
    assert beat_score(told, torch.tensor([50, 10, 90])) == 1
    once = math.exp(-0.5)
    assert beat_score(told, told + BEAT_SIGMA) == pytest.approx(once)
    assert beat_score(told, torch.tensor([10, 50 - BEAT_SIGMA])) == pytest.approx((1 + once) / 2)


def test_bas_asks_the_music_for_its_beats_and_bed_the_leader():
    joints = swaying()
    on_beat = torch.zeros(len(joints) + 30, dtype=torch.bool)
    on_beat[published_motion_beats(joints)] = True
    on_beat[len(joints) - 1 :] = True  # the last frame has no speed, and the rest no dance
    assert beat_alignment(joints, on_beat) == 1
    assert beat_alignment(joints, on_beat.roll(5)) < 0.5
    assert beat_echo(joints, joints) == 1
    assert beat_echo(joints, swaying(first=5)) < 0.5


def test_without_beats_there_is_no_score():
    joints, still = swaying(), joints_of(standing_couple(4.0))[0][0]
    silence = torch.zeros(len(joints), dtype=torch.bool)
    assert math.isnan(beat_alignment(joints, silence))
    assert math.isnan(beat_alignment(still, ~silence))
    assert math.isnan(beat_echo(still, joints)) and math.isnan(beat_echo(joints, still))
    assert math.isnan(beat_alignment(joints[:1], ~silence))


def test_a_dancer_who_slides_on_still_legs_skates_in_all_steps_but_the_first():
    frames = 40
    joints = skater(frames, 2 * TRAVELS)
    before = joints.clone()
    assert skating_frames(joints) == (frames - 2, frames - 1)
    assert torch.equal(joints, before)


def test_slow_dancers_and_those_who_step_do_not_skate():
    assert skating_frames(skater(40, 0.9 * TRAVELS))[0] == 0
    stepping = skater(40, 2 * TRAVELS)
    stepping[::2, 7] += torch.tensor([0.0, 2 * STANDS, 0.0])  # the left ankle moves
    assert skating_frames(stepping)[0] == 0
    assert skating_frames(joints_of(stepping_couple())[0][0])[0] == 0


def test_skating_takes_the_third_component_for_height():
    """So the original does, whose kinetic and manual features take the second."""
    along_third = skater(40, 2 * TRAVELS, axis=2)
    assert skating_frames(along_third)[0] == 0
    assert skating_frames(along_third, up=1)[0] == 38
    assert skating_frames(skater(40, 2 * TRAVELS, axis=1))[0] == 38
