"""The motion loss: values, velocity and acceleration."""

import pytest
import torch

from duet_rl.tokenizers.losses import MotionLossConfig, motion_loss

CONFIG = MotionLossConfig()


def test_perfect_motion_costs_nothing():
    motion = torch.randn(2, 3, 16)
    assert motion_loss(motion, motion, CONFIG) == 0


def test_constant_offset_costs_its_size_alone():
    motion = torch.randn(2, 3, 16)
    torch.testing.assert_close(motion_loss(motion + 0.5, motion, CONFIG), torch.tensor(0.5))


def test_jitter_costs_more_than_an_offset_of_the_same_size():
    motion = torch.zeros(1, 1, 16)
    jitter = 0.5 * (-1.0) ** torch.arange(16)
    assert motion_loss(motion + jitter, motion, CONFIG) > 3 * motion_loss(
        motion + 0.5, motion, CONFIG
    )


def test_terms_follow_their_weights():
    motion = torch.zeros(1, 1, 16)
    jitter = motion + (-1.0) ** torch.arange(16)
    config = MotionLossConfig(velocity=10.0, acceleration=100.0)
    assert float(motion_loss(jitter, motion, config)) == pytest.approx(1 + 10 * 2 + 100 * 4)


def test_one_frame_has_no_velocity():
    assert motion_loss(torch.ones(1, 1, 1), torch.zeros(1, 1, 1), CONFIG) == 1
