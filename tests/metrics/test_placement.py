"""Places and facings against the true partner, by the distance of the true couple."""

import math

import pytest
import torch

from duet_rl.metrics.placement import FAR_BEYOND, NEAR_WITHIN, by_distance, facing_errors
from tests.couple import DISTANCE, FPS, joints_of, moved, stepping_couple, turned


def test_a_turn_is_measured_in_degrees_the_short_way_about():
    follower, _ = joints_of(stepping_couple())
    for angle, wanted in ((0.5, math.degrees(0.5)), (math.pi * 1.5, 90.0)):
        apart = facing_errors(turned(follower, angle), follower)
        assert apart.mean().item() == pytest.approx(wanted, 1e-3)


def test_errors_are_told_apart_by_the_distance_of_the_true_couple():
    follower, leader = joints_of(stepping_couple())
    frame = torch.arange(follower.shape[1])
    goal = torch.where(frame < 30, NEAR_WITHIN - 0.1, torch.where(frame < 90, 0.8, FAR_BEYOND + 1))
    apart = torch.stack([goal * 0, goal * 0 + 0.5, goal - DISTANCE], -1)  # height does not count
    partner = follower + apart[:, None]
    found = by_distance(frame[None].float(), leader, partner)
    wanted = {"near": 14.5, "mid": 59.5, "far": 104.5}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(wanted)


def test_a_distance_that_the_couple_never_has_is_nan():
    follower, leader = joints_of(stepping_couple())
    error = torch.ones(1, 4 * FPS)
    found = by_distance(error, leader, moved(follower, z=2.0))
    assert found["far"] == 1 and found["near"].isnan() and found["mid"].isnan()
