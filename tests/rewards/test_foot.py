"""The foot reward: standing is free, sliding costs, flying is not sliding."""

from itertools import pairwise

import pytest
import torch

from duet_rl.body.skeleton import FEET, UP
from duet_rl.rewards.foot import foot_reward
from tests.couple import moved, slide

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
    jumping = moved(standing, y=0.5)
    assert torch.equal(foot_reward(slide(jumping, 2.0), FPS), torch.ones(1, FPS))


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
