"""Smoothness: known derivatives, and motion that is cut into tokens."""

import pytest
import torch

from duet_rl.metrics.smoothness import TOKEN_FRAMES, boundary_jumps, jerk
from tests.couple import FPS, joints_of, shake, slide, stepping_couple, turned


def test_the_jerk_of_a_cubic_path_is_its_third_derivative():
    time = torch.arange(60, dtype=torch.float64) / FPS
    joints = torch.zeros(1, 60, 55, 3, dtype=torch.float64)
    joints[..., 0] = (2 * time**3)[None, :, None]
    assert jerk(joints, FPS).item() == pytest.approx(12.0)
    assert jerk(joints[:, :3], FPS).isnan()


def test_shaking_raises_the_jerk():
    follower, _ = joints_of(stepping_couple())
    assert jerk(shake(follower, 0.01), FPS) > 10 * jerk(follower, FPS)


def staircase(jump: float) -> torch.Tensor:
    """Return noise of 1 mm, and a place that jumps by `jump` metres wherever a token begins."""
    joints = shake(torch.zeros(1, 400, 55, 3, dtype=torch.float64), 0.001)
    token = torch.arange(400) // TOKEN_FRAMES
    joints[..., 0] += jump * (token % 2)[None, :, None]
    return joints


def test_jumps_between_tokens_stand_out():
    none, small, large = (boundary_jumps(staircase(jump)).item() for jump in (0, 0.005, 0.05))
    assert none == pytest.approx(1, abs=0.02)
    assert none + 0.2 < small < large < 2


def test_a_body_that_moves_between_tokens_only_scores_two():
    joints = torch.zeros(1, 40, 55, 3)
    joints[..., 0] = (torch.arange(40) // TOKEN_FRAMES)[None, :, None]
    assert boundary_jumps(joints).item() == pytest.approx(2)


def test_jumps_within_tokens_are_none_between_them():
    late = staircase(0.05)[:, 2:-2]  # as if tokens began two frames later
    assert boundary_jumps(late) < 0.5


def test_travelling_and_turning_change_nothing():
    joints = staircase(0.01).float()
    there = turned(slide(joints, 1.0), 1.0)
    torch.testing.assert_close(boundary_jumps(joints), boundary_jumps(there), rtol=1e-2, atol=0)


def test_a_still_body_and_a_single_token_have_no_boundaries_to_jump_at():
    assert boundary_jumps(torch.ones(1, 40, 55, 3)).isnan()
    assert boundary_jumps(staircase(0.01)[:, :TOKEN_FRAMES]).isnan()
