"""What a solo codec is made on: frames that are doubled, and a body fitted to 24 joints."""

import math

import pytest
import torch

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import yaw_matrix
from duet_rl.body.skeleton import NUM_JOINTS, UP, default_skeleton
from duet_rl.mocap.smpl_fit import fill_joints, fit_rotations, standing_height
from duet_rl.tokenizers.rates import doubled, doubled_rotations
from duet_rl.tokenizers.smpl_body import smpl_joints
from tests.tokenizers.conftest import as_batch

NEAR = 1e-5  # m; what single precision leaves of a way there and back


def test_frames_that_were_there_stay_when_they_are_doubled(dancer):
    joints, rotations = as_batch(dancer)
    assert torch.equal(doubled(joints)[:, ::2], joints)
    assert torch.equal(doubled_rotations(rotations)[:, ::2], rotations)


def test_doubled_frames_lie_on_the_way():
    time = torch.arange(12.0)
    smooth = torch.stack([time, time.square(), 0.1 * time**3], dim=-1)[None]
    between = torch.arange(0.0, 12.0, 0.5)
    wanted = torch.stack([between, between.square(), 0.1 * between**3], dim=-1)[None]
    assert torch.allclose(doubled(smooth)[:, 2:-3], wanted[:, 2:-3], atol=1e-4)
    turning = torch.linspace(0, 3, 8)
    halves = doubled_rotations(yaw_matrix(turning)[None, :, None])
    steps = halves[:, :-1].mT @ halves[:, 1:]
    assert torch.allclose(steps, steps[:, :1].expand_as(steps), atol=1e-5)


def test_one_frame_can_be_doubled(dancer):
    joints, rotations = as_batch(dancer).cut(0, 1)
    assert torch.equal(doubled(joints), joints.expand(-1, 2, -1, -1))
    assert doubled_rotations(rotations).shape[1] == 2


def test_the_24_joints_come_back_from_fitted_rotations(dancer):
    body = smpl_joints(dancer.joints)
    rotations = fit_rotations(body, dancer.skeleton.offsets)
    eye = torch.eye(3).expand_as(rotations)
    assert torch.allclose(rotations @ rotations.mT, eye, atol=1e-5)
    posed = forward_kinematics(rotations, body[:, 0], dancer.skeleton.offsets).joints
    assert (smpl_joints(posed) - body).abs().max() < NEAR


def test_the_rest_pose_is_fitted_without_a_turn():
    skeleton = default_skeleton()
    rotations = fit_rotations(smpl_joints(skeleton.rest_joints()), skeleton.offsets)
    assert torch.allclose(rotations, torch.eye(3).expand_as(rotations), atol=1e-4)


def test_hips_and_shoulders_twist_as_the_dancer_bends(dancer):
    fitted = fit_rotations(smpl_joints(dancer.joints), dancer.skeleton.offsets)
    nowhere = torch.zeros(NUM_JOINTS, 3)
    ours, wanted = (
        forward_kinematics(rotations, torch.zeros(len(fitted), 3), nowhere).global_rotations
        for rotations in (fitted, dancer.rotations)
    )
    apart = ours.mT @ wanted
    cosine = (apart.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = cosine.clamp(-1, 1).arccos().mean(0)
    assert (angle[[0, 1, 2, 4, 5, 9]] < math.radians(5)).all()  # pelvis, hips, knees, chest
    assert (angle[[16, 17]] < math.radians(10)).all()  # shoulders


def test_turning_the_dancer_turns_the_root_alone(dancer):
    turned = dancer.turned(1.0)
    offsets = dancer.skeleton.offsets
    before, after = (fit_rotations(smpl_joints(m.joints), offsets) for m in (dancer, turned))
    assert torch.allclose(before[:, 1:], after[:, 1:], atol=1e-3)


def test_each_clip_can_have_its_own_bones(dancer):
    body = smpl_joints(as_batch(dancer).joints)
    sizes = torch.stack([dancer.skeleton.offsets, 1.1 * dancer.skeleton.offsets])[:, None]
    both = fit_rotations(body.expand(2, -1, -1, -1), sizes)
    assert torch.allclose(both[0], both[1], atol=1e-4)


def test_joints_that_are_not_given_hang_on_those_that_are(dancer):
    body = smpl_joints(dancer.joints)
    filled = fill_joints(body, dancer.rotations, dancer.skeleton.offsets)
    assert torch.equal(smpl_joints(filled), body)
    assert (filled - dancer.joints).abs().max() < NEAR


def test_the_lower_foot_stands_on_the_floor(dancer):
    skeleton = default_skeleton()
    rest, offsets = skeleton.rest_joints(), skeleton.offsets
    for lift in (0.0, 0.4, -1.0):
        height = standing_height(rest + torch.tensor([0.0, lift, 0.0]), offsets)
        assert float(height) == pytest.approx(skeleton.hip_height, abs=NEAR)
    raised = rest.clone()
    raised[[7, 10], UP] += 0.3  # one foot up: the other carries
    assert float(standing_height(raised, offsets)) == pytest.approx(skeleton.hip_height, abs=NEAR)
