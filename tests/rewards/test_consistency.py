"""The consistency reward: legs carry the root, the halves face one way, and the body lives."""

from itertools import pairwise

import pytest
import torch

from duet_rl.body.skeleton import LEFT_HAND, RIGHT_HAND, UPPER
from duet_rl.rewards.consistency import ConsistencyConfig, consistency_reward
from tests.couple import FPS, joints_of, moved, shake, slide, stepping_couple, turned


def dancing() -> torch.Tensor:
    return joints_of(stepping_couple())[0]


def twisted(joints: torch.Tensor, angle: float) -> torch.Tensor:
    """Turn the upper body about the pelvis."""
    upper = [*UPPER, *LEFT_HAND, *RIGHT_HAND]
    root = joints[:, :, :1]
    result = joints.clone()
    result[:, :, upper] = turned(joints[:, :, upper] - root, angle) + root
    return result


def test_a_body_on_still_feet_that_faces_one_way_scores_one():
    assert consistency_reward(dancing(), FPS).min() > 0.99


def test_a_root_that_glides_away_on_its_legs_scores_lower():
    scores = [consistency_reward(slide(dancing(), v), FPS).mean() for v in (0.0, 0.5, 1.0, 2.0)]
    assert all(fast < slow for slow, fast in pairwise(scores))


def test_floating_above_the_floor_or_sinking_into_it_scores_lower():
    for direction in (1, -1):
        scores = [
            consistency_reward(moved(dancing(), y=direction * metres), FPS).mean()
            for metres in (0.0, 0.1, 0.2, 0.5)
        ]
        assert all(farther < nearer for nearer, farther in pairwise(scores))


def test_a_more_twisted_body_scores_lower():
    scores = [consistency_reward(twisted(dancing(), a), FPS).mean() for a in (0.5, 1.2, 2.0, 3.0)]
    assert scores[0] > 0.99
    assert all(more < less for less, more in pairwise(scores))


def test_a_root_that_goes_where_the_legs_say_scores_higher():
    joints = dancing()
    step = torch.diff(joints[:, :, 0], dim=1) * FPS
    said = torch.cat([step, step[:, -1:]], dim=1)
    aside = torch.tensor([0.0, 0.0, 1.0])
    scores = [
        consistency_reward(joints, FPS, said + wrong * aside).mean() for wrong in (0.0, 0.5, 1.0)
    ]
    assert scores[0] > 0.99 and scores[0] > scores[1] > scores[2]


def shaken_above_the_legs(joints: torch.Tensor, metres: float) -> torch.Tensor:
    result = joints.clone()
    upper = [*UPPER, *LEFT_HAND, *RIGHT_HAND]
    result[:, :, upper] = shake(joints, metres)[:, :, upper]
    return result


def test_a_statue_earns_nothing_once_that_is_clear():
    joints = joints_of(stepping_couple(6.0))[0]
    frozen = consistency_reward(joints[:, :1].expand_as(joints), FPS)
    assert frozen[:, 3 * FPS :].max() == 0
    pause = torch.cat([joints[:, :60], joints[:, 60:61].expand(1, 45, 55, 3), joints[:, 60:]], 1)
    assert consistency_reward(pause, FPS).min() > 0.99


def test_an_upper_body_that_shakes_more_scores_lower():
    scores = [
        consistency_reward(shaken_above_the_legs(dancing(), metres), FPS).mean()
        for metres in (0.0, 0.003, 0.005, 0.02)
    ]
    assert all(more < less for less, more in pairwise(scores))
    assert scores[2] < 0.4 and scores[3] < 0.1


def test_one_sharp_accent_is_no_shaking():
    joints = dancing()
    joints = joints.clone()
    joints[:, 60:, UPPER] += 0.01  # all at once
    assert consistency_reward(joints, FPS).mean() > 0.98


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_window_too_short_to_tell_costs_nothing(frames):
    frozen = dancing()[:, :1].expand(1, frames, 55, 3)
    assert consistency_reward(frozen, FPS).min() > 0.99
    shaken = shaken_above_the_legs(frozen, 0.02)
    assert consistency_reward(shaken, FPS).min() > 0.99


def test_settings_can_leave_lifelessness_free():
    joints = joints_of(stepping_couple(6.0))[0]
    lenient = ConsistencyConfig(still_seconds=None, free_jerk=None)
    for cheat in (joints[:, :1].expand_as(joints), shaken_above_the_legs(joints, 0.01)):
        assert consistency_reward(cheat, FPS, config=lenient).min() > 0.9
