"""The kinematic loss: joints where they were, feet that stand."""

import pytest
import torch

from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import JOINT
from duet_rl.tokenizers.frames import BODY_JOINTS, FrameConfig, skeleton_offsets
from duet_rl.tokenizers.losses import (
    POSED,
    KinematicLoss,
    KinematicLossConfig,
    MotionLossConfig,
)
from duet_rl.tokenizers.tokenizer import frame_of

FPS = 30.0
LOSS = KinematicLoss(
    KinematicLossConfig(ends=0.0), MotionLossConfig(velocity=0.0, acceleration=0.0), FPS
)


@pytest.fixture(scope="module")
def truth(couple):
    return frame_of(FrameConfig()).features(couple[1]), skeleton_offsets(couple[1])


def losses(truth, rotations=None, velocity=None, planted=1.0):
    target, offsets = truth
    rotations = target.rotations[:, :BODY_JOINTS] if rotations is None else rotations
    velocity = target.root_velocity if velocity is None else velocity
    standing = torch.full((1, 4, rotations.shape[-1]), planted)
    return LOSS(rotations, velocity, target, offsets, standing)


def test_true_body_costs_nothing(truth):
    assert losses(truth).joints < 1e-5
    assert losses(truth).feet < 1e-3


def test_joint_loss_is_how_far_posed_joints_are_off(truth, couple):
    target, _ = truth
    joints, heading = couple[1].joints, target.heading[..., None]
    placed = rotate_yaw(joints - joints[:, :, :1], -heading)[:, :, list(POSED)]
    about_turn = torch.tensor([-1.0, 1.0, -1.0, -1.0, 1.0, -1.0])[:, None]  # of both columns
    off = 2 * placed * torch.tensor([1.0, 0.0, 1.0])
    turned = losses(truth, about_turn * target.rotations[:, :BODY_JOINTS])
    torch.testing.assert_close(turned.joints, 10 * off.abs().mean(), rtol=1e-4, atol=0)


def test_length_of_a_6d_vector_does_not_matter(truth):
    target, _ = truth
    assert losses(truth, 3 * target.rotations[:, :BODY_JOINTS]).joints < 1e-5


def test_wrong_root_velocity_costs_the_feet_alone(truth):
    target, _ = truth
    wrong = losses(truth, velocity=target.root_velocity + 0.3)
    assert wrong.joints < 1e-5
    assert float(wrong.feet) == pytest.approx(0.5 * (1 + 4) * 0.3, rel=0.01)


def test_standing_feet_count_more_than_flying_ones(truth):
    velocity = truth[0].root_velocity + 0.3
    flying = losses(truth, velocity=velocity, planted=0.0)
    assert losses(truth, velocity=velocity).feet > 4 * flying.feet


def test_bent_shoulder_costs_more_than_a_bent_wrist(truth):
    def bent(joint: str) -> torch.Tensor:
        rotations = truth[0].rotations[:, :BODY_JOINTS].clone()
        rotations[:, JOINT[joint]] = rotations[:, JOINT[joint], [3, 4, 5, 0, 1, 2]]
        return losses(truth, rotations).joints

    assert bent("left_shoulder") > bent("left_wrist") > 1e-3
