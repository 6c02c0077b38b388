"""The codes reward: holding, touching and facing as the true partner does, or as is due."""

from dataclasses import replace

import pytest
import torch

from duet_rl.body.contact import hold_due
from duet_rl.metrics.duet import HOLD_WITHIN
from duet_rl.rewards.base import RewardInput, RewardMix, RewardMixConfig, RewardWeights
from duet_rl.rewards.codes import CodesConfig, codes_reward, hold_codes_reward
from tests.couple import FPS, beats, joints_of, moved, shake, stepping_couple, turned

JOINED = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool).expand(1, 120, 2, 4)


def couple() -> tuple[torch.Tensor, torch.Tensor]:
    return joints_of(stepping_couple())


def test_the_true_partner_has_all_of_it_and_others_less_the_farther_they_are():
    follower, leader = couple()
    scores = [
        float(codes_reward(moved(follower, z=away), leader, follower).mean())
        for away in (0.0, 0.1, 0.3, 1.0)
    ]
    assert scores[0] == 1 and scores == sorted(scores, reverse=True) and scores[-1] < 0.4


def test_a_follower_who_turns_her_back_loses_though_she_stands_where_she_should():
    follower, leader = couple()
    about = turned(follower, torch.pi)
    assert codes_reward(about, leader, follower).max() < 0.5


def test_the_couple_may_dance_anywhere():
    follower, leader = couple()
    rough = shake(moved(follower, z=0.1), 0.02)

    def elsewhere(joints: torch.Tensor) -> torch.Tensor:
        return moved(turned(joints, 0.4), x=3.0)

    here = codes_reward(rough, leader, follower)
    there = codes_reward(*map(elsewhere, (rough, leader, follower)))
    assert float((here != there).float().mean()) < 0.02, "but for values on a threshold"


def test_only_what_goes_beyond_chance_earns_something():
    follower, leader = couple()
    away = moved(follower, z=0.3)
    plain = codes_reward(away, leader, follower, CodesConfig(chance=0.0))
    strict = codes_reward(away, leader, follower, CodesConfig(chance=0.8))
    torch.testing.assert_close(strict, ((plain - 0.8) / 0.2).clamp_min(0))


def test_holds_that_are_due_are_read_as_the_measures_read_them():
    follower, leader = couple()
    hold = hold_due(leader, follower, FPS, threshold=HOLD_WITHIN)
    assert hold_codes_reward(follower, leader, hold).mean() > 0.95
    assert hold_codes_reward(follower, leader, JOINED).mean() > 0.95
    other_hands = JOINED.flip(2)
    assert hold_codes_reward(follower, leader, other_hands).max() == 0
    away = moved(follower, z=1.0)
    assert hold_codes_reward(away, leader, hold).max() == 0
    assert (hold_codes_reward(away, leader, torch.zeros_like(hold)) == 1).all()
    assert hold_codes_reward(follower, leader, torch.zeros_like(hold)).max() == 0, "clinging"


def mix(data: RewardInput) -> dict[str, torch.Tensor]:
    weights = RewardWeights(codes=1.0)
    return dict(RewardMix(RewardMixConfig(weights=weights))(data).per_frame)


def test_the_mix_asks_the_partner_first_then_the_holds_and_leaves_soloists_alone():
    follower, leader = couple()
    data = RewardInput(moved(follower, z=0.1), leader, beats(), FPS, JOINED, follower)
    assert "codes" not in RewardMix()(data).per_frame, "weight 0 by default"
    assert torch.equal(mix(data)["codes"], codes_reward(data.follower, leader, follower))
    untold = replace(data, partner=None)
    assert torch.equal(mix(untold)["codes"], hold_codes_reward(data.follower, leader, JOINED))
    assert "codes" not in mix(replace(untold, hold=None))
    assert "codes" not in mix(replace(data, leader=None, hold=None))


@pytest.mark.parametrize("wild", [0.0, 5.0])
def test_it_stays_between_nothing_and_one_and_writes_into_nothing(wild):
    follower, leader = couple()
    rough = shake(follower, wild)
    before = [x.clone() for x in (rough, leader, follower)]
    score = codes_reward(rough, leader, follower)
    assert 0 <= score.min() and score.max() <= 1
    assert all(torch.equal(*pair) for pair in zip(before, (rough, leader, follower), strict=True))
