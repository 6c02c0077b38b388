"""Headings: right for a dancer who faces away, unwrapped, and smoothed without drift."""

import math

import pytest
import torch

from duet_rl.body.heading import facing_angle, low_pass, smooth_heading, unwrap
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import wrap_angle, yaw_matrix
from duet_rl.body.skeleton import NUM_JOINTS, default_skeleton
from tests.body.couples import dancer


def spinning(turns: float, frames: int = 120) -> Motion:
    """A dancer in the rest pose who turns on the spot."""
    yaw = torch.linspace(0, 2 * math.pi * turns, frames)
    rotations = torch.eye(3).repeat(frames, NUM_JOINTS, 1, 1)
    rotations[:, 0] = yaw_matrix(yaw)
    root = torch.tensor([0.0, 0.93, 0.0]).expand(frames, 3)
    return Motion.from_rotations(root, rotations, default_skeleton())


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.0, math.pi - 0.01])
def test_facing_is_the_yaw_that_the_dancer_was_turned_by(yaw):
    straight = facing_angle(dancer().joints)
    turned = facing_angle(dancer().turned(yaw).joints)
    torch.testing.assert_close(
        wrap_angle(turned - straight - yaw).abs().max(), torch.tensor(0.0), atol=1e-4, rtol=0
    )


def test_the_rest_pose_faces_z():
    assert facing_angle(default_skeleton().rest_joints()[None]).abs() < 1e-6


def test_facing_counts_whole_turns():
    angle = facing_angle(spinning(turns=-2.5).joints)
    torch.testing.assert_close(angle[-1] - angle[0], torch.tensor(-5 * math.pi))
    assert angle.diff().abs().max() < 0.2


def test_facing_stays_finite_with_gradient_for_a_body_on_its_side():
    joints = torch.zeros(3, NUM_JOINTS, 3, requires_grad=True)
    angle = facing_angle(joints)
    angle.sum().backward()
    assert torch.isfinite(angle).all() and torch.isfinite(joints.grad).all()


def test_unwrapping_goes_on_from_chunk_to_chunk():
    angle = wrap_angle(torch.linspace(0, 30, 60))
    whole = unwrap(angle)
    first = unwrap(angle[:25])
    torch.testing.assert_close(torch.cat([first, unwrap(angle[25:], first[-1])]), whole)


@pytest.mark.parametrize("causal", [False, True])
def test_smoothing_keeps_what_is_constant_and_calms_what_is_not(causal):
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    smooth = low_pass(noise, 5.0, causal)
    assert smooth.shape == noise.shape
    assert smooth.diff(dim=0).std() < 0.3 * noise.diff(dim=0).std()
    torch.testing.assert_close(
        low_pass(torch.full((50, 1), 3.0), 5.0, causal), torch.full((50, 1), 3.0)
    )


def test_gaussian_smoothing_keeps_a_steady_walk_steady_up_to_both_ends():
    walk = torch.arange(60.0)[:, None]
    torch.testing.assert_close(low_pass(walk, 5.0), walk, atol=1e-4, rtol=0)


def test_gaussian_smoothing_has_no_delay_and_the_causal_filter_has_the_stated_one():
    pulse = torch.zeros(201, 1)
    pulse[100] = 1.0
    frames = torch.arange(201.0)[:, None]
    gaussian, causal = low_pass(pulse, 4.0), low_pass(pulse, 4.0, causal=True)
    assert (gaussian * frames).sum() == pytest.approx(100, abs=1e-3)
    assert (causal * frames).sum() == pytest.approx(104, abs=1e-2)
    assert not causal[:100].any(), "no frame before the pulse knows of it"


def test_causal_smoothing_chunk_by_chunk_equals_the_whole_to_the_last_bit():
    values = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0))
    whole = low_pass(values, 5.0, causal=True)
    first = low_pass(values[:, :13], 5.0, causal=True)
    rest = low_pass(values[:, 13:], 5.0, causal=True, previous=first[:, -1])
    assert torch.equal(torch.cat([first, rest], dim=1), whole)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_smoothing_works_on_clips_shorter_than_the_kernel(frames):
    smooth = low_pass(torch.ones(frames, 1), 10.0)
    torch.testing.assert_close(smooth, torch.ones(frames, 1))


def test_smoothed_headings_follow_a_turn_of_the_couple():
    joints = spinning(turns=0.7).joints
    turned = spinning(turns=0.7).turned(1.3).joints
    difference = smooth_heading(turned) - smooth_heading(joints) - 1.3
    assert wrap_angle(difference).abs().max() < 1e-4
