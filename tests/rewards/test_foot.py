"""The foot reward: standing is free, sliding costs, flying is not sliding, statues earn nothing."""

from itertools import pairwise

import pytest
import torch

from duet_rl.body.skeleton import FEET, UP
from duet_rl.rewards.foot import FootConfig, foot_reward
from tests.couple import beats, joints_of, moved, shake, slide, standing_couple, stepping_couple

FPS = 30


@pytest.fixture
def standing() -> torch.Tensor:
    """One second of a dancer standing with both feet on the floor, `(1, 30, 55, 3)`."""
    generator = torch.Generator().manual_seed(0)
    joints = torch.rand(1, 1, 55, 3, generator=generator).expand(1, FPS, 55, 3).clone()
    joints[:, :, FEET, UP] = 0.0
    return joints


def test_standing_still_scores_one(standing):
    assert torch.equal(foot_reward(standing, FPS), torch.ones(1, FPS))


def test_faster_sliding_scores_lower(standing):
    scores = [foot_reward(slide(standing, v), FPS)[:, 1:] for v in (0.0, 0.5, 1.0, 2.0)]
    assert all((fast < slow).all() for slow, fast in pairwise(scores))


def test_flying_is_not_sliding(standing):
    jumping = slide(moved(standing, y=0.5), 2.0)[:, : FPS // 2]
    assert torch.equal(foot_reward(jumping, FPS), torch.ones(1, FPS // 2))


@pytest.mark.parametrize("height", [0.1, 0.2, 1.0])
def test_who_floats_for_longer_than_a_jump_has_no_still_foot(height):
    follower, leader = joints_of(stepping_couple(4.0))
    score = foot_reward(moved(follower, y=height), FPS, leader=leader)
    assert score[:, : FPS // 2].min() > 0.99 and score[:, 2 * FPS :].max() < 0.01


def test_a_jump_is_forgotten_on_landing():
    follower, leader = joints_of(stepping_couple(4.0))
    jumping = follower.clone()
    jumping[:, 40:55, :, UP] += 0.3
    assert foot_reward(jumping, FPS, leader=leader).mean() > 0.98


@pytest.mark.parametrize("trembling", [0.0, 0.003])
def test_feet_that_never_step_earn_nothing_once_that_is_clear(trembling):
    follower, leader = joints_of(stepping_couple(6.0))
    frozen = shake(follower[:, :1].expand_as(follower), trembling)
    score = foot_reward(frozen, FPS, leader=leader)
    assert score[:, 3 * FPS :].max() < 0.2
    assert foot_reward(follower, FPS, leader=leader).mean() > 0.98


def test_feet_may_rest_while_the_leaders_rest_and_where_nobody_knows_of_them():
    follower, leader = joints_of(standing_couple(6.0))
    assert foot_reward(follower, FPS, leader=leader).min() == 1
    assert foot_reward(follower, FPS).min() == 1


@pytest.mark.parametrize("trembling", [0.0, 0.003])
def test_a_soloist_may_not_stand_while_the_music_goes_on(trembling):
    follower, _ = joints_of(stepping_couple(6.0))
    frozen = shake(follower[:, :1].expand_as(follower), trembling)
    score = foot_reward(frozen, FPS, beats=beats(6.0))
    assert score[:, 3 * FPS :].max() < 0.2
    assert foot_reward(follower, FPS, beats=beats(6.0)).mean() > 0.98


def test_a_soloist_may_not_float_over_the_music():
    follower, _ = joints_of(stepping_couple(6.0))
    assert foot_reward(moved(follower, y=0.3), FPS, beats=beats(6.0))[:, 2 * FPS :].max() < 0.01


def test_a_soloist_may_stand_while_the_music_pauses_and_for_a_while_after_it():
    follower, _ = joints_of(standing_couple(16.0))
    pausing = beats(16.0)
    pausing[:, 4 * FPS : 10 * FPS] = False
    score = foot_reward(follower, FPS, beats=pausing)[0]
    assert score[3 * FPS] == 0 and score[6 * FPS : 11 * FPS].min() == 1
    assert score[13 * FPS :].max() == 0


def test_a_soloist_may_stand_where_the_music_has_no_beat():
    follower, _ = joints_of(standing_couple(6.0))
    silence = torch.zeros_like(beats(6.0))
    assert foot_reward(follower, FPS, beats=silence).min() == 1


def test_the_leader_and_not_the_music_tells_couples_whether_the_dance_goes_on():
    follower, leader = joints_of(standing_couple(6.0))
    assert foot_reward(follower, FPS, leader=leader, beats=beats(6.0)).min() == 1


@pytest.mark.parametrize("frames", [1, 2, 8, 60])
def test_a_window_too_short_to_tell_costs_nothing(frames):
    follower, leader = joints_of(stepping_couple(4.0))
    frozen = follower[:, :1].expand(1, frames, 55, 3)
    assert foot_reward(frozen, FPS, leader=leader[:, :frames]).min() == 1
    assert foot_reward(frozen, FPS, beats=beats()[:, :frames]).min() == 1


def test_the_past_is_all_that_counts():
    follower, leader = joints_of(stepping_couple(6.0))
    rough = slide(torch.cat([follower[:, :90], follower[:, 90:91].expand(1, 90, 55, 3)], 1), 0.3)
    whole = foot_reward(rough, FPS, leader=leader)
    for frames in (40, 100, 170):
        early = foot_reward(rough[:, :frames], FPS, leader=leader[:, :frames])
        torch.testing.assert_close(early, whole[:, :frames])
        alone = foot_reward(rough, FPS, beats=beats(6.0))[:, :frames]
        early = foot_reward(rough[:, :frames], FPS, beats=beats(6.0)[:, :frames])
        torch.testing.assert_close(early, alone)


def test_settings_can_leave_sliding_as_all_that_costs():
    follower, leader = joints_of(stepping_couple(6.0))
    only_sliding = FootConfig(rest_seconds=None, jump_seconds=None)
    for cheat in (follower[:, :1].expand_as(follower), moved(follower, y=0.5)):
        assert foot_reward(cheat, FPS, only_sliding, leader).min() == 1


def test_floating_a_little_does_not_hide_sliding(standing):
    floating = moved(standing, y=0.1)
    assert foot_reward(slide(floating, 1.0), FPS)[:, 1:].max() < 0.2


def test_score_does_not_depend_on_frame_rate(standing):
    sliding = slide(standing, 1.0)
    half_rate = sliding[:, ::2]
    torch.testing.assert_close(
        foot_reward(sliding, FPS)[:, 2], foot_reward(half_rate, FPS / 2)[:, 1]
    )


def test_wrong_joint_count_is_refused():
    with pytest.raises(Exception, match="joints"):
        foot_reward(torch.zeros(1, 4, 24, 3), FPS)
