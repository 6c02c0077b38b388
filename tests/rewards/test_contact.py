"""The contact reward: hold what is due, cling to nothing else, stay out of the partner."""

from itertools import pairwise

import torch

from duet_rl.rewards.contact import contact_reward
from tests.couple import FPS, joints_of, moved, shake, stepping_couple

JOINED = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool).expand(1, 120, 2, 4)
FREE = torch.zeros_like(JOINED)


def test_holding_what_is_due_scores_one():
    follower, leader = joints_of(stepping_couple())
    assert contact_reward(follower, leader, JOINED, FPS).min() > 0.99


def test_farther_hands_score_lower():
    follower, leader = joints_of(stepping_couple())
    scores = [
        contact_reward(moved(follower, z=away), leader, JOINED, FPS).mean()
        for away in (0.0, 0.2, 0.35, 0.7, 2.0)
    ]
    assert all(far < near for near, far in pairwise(scores))
    assert scores[-1] < 0.05


def test_hands_as_far_apart_as_in_captured_holds_still_score():
    follower, leader = joints_of(stepping_couple())
    score = contact_reward(moved(follower, z=0.15), leader, JOINED, FPS).mean()
    assert 0.7 < score < 1


def test_clinging_where_no_hold_is_due_scores_nothing():
    follower, leader = joints_of(stepping_couple())
    assert contact_reward(follower, leader, FREE, FPS).max() < 0.01
    assert contact_reward(moved(follower, z=0.3), leader, FREE, FPS).min() > 0.99


def test_one_hand_that_clings_costs_half():
    follower, leader = joints_of(stepping_couple())
    right_only = JOINED.clone()
    right_only[:, :, 0] = False
    score = contact_reward(follower, leader, right_only, FPS)
    torch.testing.assert_close(score, torch.full((1, 120), 0.5), atol=0.01, rtol=0)


def test_neither_always_nor_never_holding_pays_when_half_is_due():
    follower, leader = joints_of(stepping_couple(8.0))
    away = moved(follower, z=0.5)
    due = torch.zeros(1, 240, 2, 4, dtype=torch.bool)
    due[:, :120, [0, 1], [1, 0]] = True
    obeying = torch.where(due.any(-1).any(-1)[..., None, None], follower, away)
    scores = {
        name: contact_reward(dancer, leader, due, FPS).mean()
        for name, dancer in (("obeying", obeying), ("always", follower), ("never", away))
    }
    assert scores["obeying"] > 0.98 and max(scores["always"], scores["never"]) < 0.65


def test_hands_may_come_and_go_about_a_hold():
    follower, leader = joints_of(stepping_couple())
    due = JOINED.clone()
    due[:, 115:] = False
    assert contact_reward(follower, leader, due, FPS).min() > 0.99


def test_deeper_overlap_scores_lower():
    follower, leader = joints_of(stepping_couple())
    scores = [
        contact_reward(moved(follower, z=-nearer), leader, FREE, FPS).mean()
        for nearer in (0.3, 0.45, 0.55, 0.65)
    ]
    assert all(deep < shallow for shallow, deep in pairwise(scores))


def test_shaking_hands_score_lower():
    follower, leader = joints_of(stepping_couple())
    scores = [
        contact_reward(shake(follower, metres), leader, JOINED, FPS).mean()
        for metres in (0.0, 0.1, 0.3)
    ]
    assert scores[0] > scores[1] > scores[2]
