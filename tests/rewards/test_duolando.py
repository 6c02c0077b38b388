"""The rewards of the paper: what they say of a dancer whose faults are known."""

import math

import pytest
import torch

from duet_rl.body.skeleton import LEFT_HAND, RIGHT_HAND, UPPER
from duet_rl.rewards.consistency import forward_velocity
from duet_rl.rewards.duolando import (
    DuolandoConfig,
    half_agreement,
    root_consistency,
    slip_penalty,
)
from tests.couple import FPS, joints_of, moved, slide, standing_couple, stepping_couple, turned


def dancing(fps: float = FPS) -> torch.Tensor:
    return joints_of(stepping_couple(fps=fps))[0]


def twisted(joints: torch.Tensor, angle: float) -> torch.Tensor:
    """Turn the upper body about the pelvis."""
    upper = [*UPPER, *LEFT_HAND, *RIGHT_HAND]
    result = joints.clone()
    result[:, :, upper] = turned(joints[:, :, upper] - joints[:, :, :1], angle) + joints[:, :, :1]
    return result


@pytest.mark.parametrize(
    ("metres_per_second", "score"), [(0.0, 1.0), (0.8, 1.0), (1.2, -4.0), (9.0, -30.0)]
)
def test_a_root_beside_what_the_legs_say_costs_its_error(
    metres_per_second: float, score: float
) -> None:
    joints = dancing()
    said = forward_velocity(joints[:, :, 0], FPS) + torch.tensor([0.0, 0.0, metres_per_second])
    scores = root_consistency(joints, said, FPS)
    torch.testing.assert_close(scores, torch.full_like(scores, score), rtol=1e-3, atol=0)


def test_the_free_error_and_its_cost_are_settings() -> None:
    joints = dancing()
    said = forward_velocity(joints[:, :, 0], FPS) + torch.tensor([0.0, 0.0, 0.5])
    config = DuolandoConfig(free_error=0.1, error_scale=0.5)
    scores = root_consistency(joints, said, FPS, config)
    torch.testing.assert_close(scores, torch.full_like(scores, -1.0), rtol=1e-3, atol=0)


def test_scores_do_not_depend_on_the_frame_rate() -> None:
    aside = torch.tensor([0.0, 0.0, 2.0])
    for fps in (FPS, 2 * FPS):
        joints = dancing(fps)
        scores = root_consistency(joints, forward_velocity(joints[:, :, 0], fps) + aside, fps)
        assert scores.mean().item() == pytest.approx(-2.0 / 0.3, rel=1e-3)


def test_a_root_that_slips_costs_its_speed() -> None:
    still = joints_of(standing_couple())[0]
    assert (slip_penalty(still, FPS) == 1).all()
    scores = slip_penalty(slide(still, 1.5), FPS)
    torch.testing.assert_close(scores, torch.full_like(scores, -5.0), rtol=1e-3, atol=0)


def test_halves_that_face_one_way_score_one_and_opposite_ones_cost_most() -> None:
    joints = dancing()
    assert (half_agreement(joints) == 1).all()
    assert (half_agreement(twisted(joints, 1.0)) == 1).all()
    assert half_agreement(twisted(joints, math.pi)).max() < -9
    askew = half_agreement(twisted(joints, 2.4))
    assert (askew < 0).all() and askew.min() > -10


def test_half_agreement_counts_frame_by_frame_and_anywhere_in_the_room() -> None:
    joints = torch.cat([dancing(), twisted(dancing(), math.pi)], dim=1)
    scores = half_agreement(joints)
    assert (scores[:, :120] == 1).all() and (scores[:, 120:] < -9).all()
    elsewhere = moved(turned(joints, 2.1), x=5.0, z=-3.0)
    torch.testing.assert_close(half_agreement(elsewhere), scores, atol=1e-3, rtol=1e-3)


def test_half_agreement_takes_any_axis_as_the_vertical_one() -> None:
    joints = twisted(dancing(), 2.4)
    z_up = torch.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], dim=-1)
    torch.testing.assert_close(half_agreement(z_up, up=2), half_agreement(joints))


def test_a_batch_of_three_is_three_dances() -> None:
    three = torch.cat([dancing(), twisted(dancing(), math.pi), dancing()])
    assert torch.equal(half_agreement(three)[:1], half_agreement(three[:1]))
    one_by_one = torch.cat([half_agreement(one[None], "paper") for one in three])
    assert not torch.allclose(half_agreement(three, "paper"), one_by_one)  # the original's slip


def test_inputs_are_left_as_they_were() -> None:
    joints = twisted(dancing(), 1.0)
    said = torch.ones(1, joints.shape[1], 3)
    before = joints.clone(), said.clone()
    root_consistency(joints, said, FPS)
    slip_penalty(joints, FPS)
    half_agreement(joints)
    half_agreement(joints, "paper")
    assert torch.equal(joints, before[0]) and torch.equal(said, before[1])
