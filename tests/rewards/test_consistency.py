"""The consistency reward: legs carry the root, and the halves of the body face one way."""

from itertools import pairwise

import torch

from duet_rl.body.skeleton import LEFT_HAND, RIGHT_HAND, UPPER
from duet_rl.rewards.consistency import consistency_reward
from tests.couple import FPS, joints_of, moved, slide, stepping_couple, turned


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
