"""The motion loss: values, velocity and acceleration."""

import pytest
import torch

from duet_rl.tokenizers.losses import MotionLossConfig, motion_loss

CONFIG = MotionLossConfig()


def test_perfect_motion_costs_nothing():
    assert motion_loss(torch.zeros(2, 3, 16), CONFIG) == 0


def test_constant_offset_costs_its_size_alone():
    torch.testing.assert_close(motion_loss(torch.full((2, 3, 16), 0.5), CONFIG), torch.tensor(0.5))


def test_jitter_costs_more_than_an_offset_of_the_same_size():
    offset = torch.full((1, 1, 16), 0.5)
    jitter = offset * (-1.0) ** torch.arange(16)
    assert motion_loss(jitter, CONFIG) > 3 * motion_loss(offset, CONFIG)


def test_terms_follow_their_weights():
    jitter = (-1.0) ** torch.arange(16.0)
    config = MotionLossConfig(velocity=10.0, acceleration=100.0)
    assert float(motion_loss(jitter, config)) == pytest.approx(1 + 10 * 2 + 100 * 4)


def test_one_frame_has_no_velocity():
    assert motion_loss(torch.ones(1, 1, 1), CONFIG) == 1
