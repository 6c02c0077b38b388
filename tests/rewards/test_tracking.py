"""The tracking reward: near the true partner, and facing the same way."""

from itertools import pairwise

import torch

from duet_rl.rewards.tracking import tracking_reward
from tests.couple import joints_of, moved, stepping_couple, turned


def dancing() -> torch.Tensor:
    return joints_of(stepping_couple())[0]


def test_the_true_partner_scores_one():
    assert torch.equal(tracking_reward(dancing(), dancing()), torch.ones(1, 120))


def test_farther_scores_lower():
    scores = [tracking_reward(moved(dancing(), z=z), dancing()).mean() for z in (0.0, 0.2, 0.5, 2)]
    assert all(far < near for near, far in pairwise(scores))


def test_turned_away_scores_lower_and_a_full_turn_is_none():
    joints = dancing()
    root = joints[:, :, :1]
    scores = [
        tracking_reward(turned(joints - root, angle) + root, joints).mean()
        for angle in (0.0, 0.5, 1.5, 3.0)
    ]
    assert all(more < less for less, more in pairwise(scores))
    whole = turned(joints - root, 2 * torch.pi) + root
    assert tracking_reward(whole, joints).min() > 0.99


def test_later_scores_lower():
    walking = dancing() + torch.arange(120)[None, :, None, None] * torch.tensor([0.0, 0.0, 0.02])
    scores = [tracking_reward(walking[:, : 120 - n], walking[:, n:]).mean() for n in (0, 5, 15)]
    assert scores[0] > scores[1] > scores[2]
