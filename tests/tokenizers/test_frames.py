"""Frames of reference: what they keep, what they leave out, and the way back."""

import pytest
import torch

from duet_rl.body.heading import low_pass, smooth_heading
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import axis_angle_to_matrix, rotate_yaw
from duet_rl.body.skeleton import JOINT, LEFT_HAND, RIGHT_HAND, UP
from duet_rl.tokenizers.frames import (
    FrameConfig,
    MotionBatch,
    skeleton_offsets,
    velocities,
)
from duet_rl.tokenizers.tokenizer import frame_of

HEADING = frame_of(FrameConfig())
WORLD = frame_of(FrameConfig(kind="world"))


def test_turning_and_moving_a_dancer_changes_no_feature(couple, moved_couple):
    here, there = HEADING.features(couple[1]), HEADING.features(moved_couple[1])
    for name in ("positions", "rotations"):
        torch.testing.assert_close(getattr(here, name), getattr(there, name), atol=1e-4, rtol=0)
    torch.testing.assert_close(here.root_velocity, there.root_velocity, atol=1e-3, rtol=0)


def test_turning_and_moving_the_couple_changes_no_placement(couple, moved_couple):
    here, there = HEADING.placement(*couple), HEADING.placement(*moved_couple)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=0)


def test_moving_one_dancer_changes_the_placement(couple):
    leader, follower = couple
    moved = follower._replace(joints=follower.joints + torch.tensor([0.1, 0.0, 0.0]))
    difference = HEADING.placement(leader, moved) - HEADING.placement(leader, follower)
    assert difference[..., :3].norm(dim=-1).min() > 0.4  # 5 units a metre


@pytest.mark.parametrize("frame", [HEADING, WORLD], ids=["heading", "world"])
def test_rotations_come_back_from_their_features(frame, couple):
    features = frame.features(couple[1])
    rotations = frame.local_rotations(features.rotations.permute(0, 3, 1, 2), features.heading)
    torch.testing.assert_close(rotations, couple[1].rotations, atol=1e-4, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_placement_puts_the_low_passed_follower_back(couple, causal):
    leader, follower = couple
    frame = frame_of(FrameConfig(causal=causal))
    placed = frame.place(frame.placement(leader, follower), leader)
    path = low_pass(follower.joints[:, :, 0], frame.path_sigma, causal)
    torch.testing.assert_close(placed.path, path, atol=1e-4, rtol=0)
    turn = placed.heading - smooth_heading(follower.joints, causal=causal)
    torch.testing.assert_close(turn.cos(), torch.ones_like(turn), atol=1e-4, rtol=0)


def test_world_placement_is_the_roots_apart_in_twentieths(couple):
    leader, follower = couple
    expected = 20 * (follower.joints[:, :, 0] - leader.joints[:, :, 0])
    assert torch.equal(WORLD.placement(leader, follower), expected)
    placed = WORLD.place(expected, leader)
    torch.testing.assert_close(placed.path, follower.joints[:, :, 0], atol=1e-5, rtol=0)


def test_world_positions_are_those_of_the_spec(couple):
    joints = couple[1].joints
    positions = WORLD.positions(couple[1], "follower").permute(0, 3, 1, 2)  # (B, T, 55, 3)
    body = slice(1, LEFT_HAND[0])
    assert torch.equal(positions[:, :, body], joints[:, :, body] - joints[:, :, :1])
    for wrist, hand in ((JOINT["left_wrist"], LEFT_HAND), (JOINT["right_wrist"], RIGHT_HAND)):
        fingers = (joints[:, :, list(hand)] - joints[:, :, wrist, None]) * 10
        torch.testing.assert_close(positions[:, :, list(hand)], fingers, atol=1e-5, rtol=0)
    assert not positions[:, :, 0].any()


def test_lower_body_knows_its_height_over_the_floor(couple):
    positions = HEADING.positions(couple[1], "follower")
    higher = couple[1]._replace(joints=couple[1].joints + torch.tensor([0.0, 0.2, 0.0]))
    raised = HEADING.positions(higher, "follower") - positions
    torch.testing.assert_close(raised[:, 0, UP], torch.ones_like(raised[:, 0, UP]))
    assert raised[:, 1:].abs().max() < 1e-4


def test_turning_the_wrist_leaves_the_hand_as_it_was(couple):
    follower = couple[1]
    rotations = follower.rotations.clone()
    wrist = JOINT["left_wrist"]
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.0, 1.0]))
    rotations[:, :, wrist] = rotations[:, :, wrist] @ turn
    offsets = skeleton_offsets(follower)[:, None]
    turned = forward_kinematics(rotations, follower.joints[:, :, 0], offsets).joints
    before = HEADING.features(follower)
    after = HEADING.features(MotionBatch(turned, rotations))
    hand = list(LEFT_HAND)
    for name in ("positions", "rotations"):
        old, new = getattr(before, name), getattr(after, name)
        torch.testing.assert_close(new[:, hand], old[:, hand], atol=1e-4, rtol=0)
    assert (before.rotations - after.rotations)[:, wrist].abs().max() > 0.1


def test_bones_are_read_off_a_motion(duet, couple):
    offsets = duet.follower.skeleton.offsets
    torch.testing.assert_close(skeleton_offsets(couple[1])[0], offsets, atol=1e-5, rtol=0)


def test_velocity_leads_to_each_frame():
    path = torch.cumsum(torch.randn(1, 10, 3), dim=1)
    speed = velocities(path, 30.0)
    torch.testing.assert_close(path[:, :1] + speed[:, 1:].cumsum(1) / 30, path[:, 1:])
    assert not velocities(path[:, :1], 30.0).any()


def test_shift_moves_the_follower_in_the_leaders_frame(couple):
    leader, _ = couple
    placement = HEADING.placement(*couple)
    before = HEADING.place(placement, leader)
    after = HEADING.place(HEADING.shifted(placement, torch.tensor([[0.1, -0.2, 0.5]])), leader)
    heading = smooth_heading(leader.joints)
    moved = rotate_yaw(after.path - before.path, -heading)
    expected = torch.tensor([0.1, 0.0, -0.2]).expand_as(moved)
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)
    turned = (after.heading - before.heading - 0.5).cos()
    torch.testing.assert_close(turned, torch.ones_like(turned), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "config",
    [FrameConfig(), FrameConfig(kind="world"), FrameConfig(kind="world", up="z")],
    ids=["heading", "world", "world, z up"],
)
def test_joints_come_back_from_their_positions(config, couple):
    frame, follower = frame_of(config), couple[1]
    features = frame.features(follower)
    positions, turned = (x.permute(0, 3, 1, 2) for x in (features.positions, features.rotations))
    rotations = frame.local_rotations(turned, features.heading)
    torch.testing.assert_close(rotations, follower.rotations, atol=1e-4, rtol=0)
    root = follower.joints[:, :, 0]
    joints = frame.joints(positions, rotations, features.heading, root)
    torch.testing.assert_close(joints, follower.joints, atol=1e-4, rtol=0)


def test_up_axis_turns_what_the_world_kind_sees(couple):
    turned = frame_of(FrameConfig(kind="world", up="z"))
    upright, lying = (frame.features(couple[1]) for frame in (WORLD, turned))
    for name in ("positions", "root_velocity"):
        x, y, z = getattr(upright, name).unbind(-2)
        assert torch.equal(getattr(lying, name), torch.stack([x, -z, y], dim=-2))
    height = couple[1].joints[:, :, JOINT["head"], UP] - couple[1].joints[:, :, 0, UP]
    assert torch.equal(lying.positions[:, JOINT["head"], 2], height)
    posed = forward_kinematics(
        lying.rotations.permute(0, 3, 1, 2).unflatten(-1, (3, 3)),
        torch.zeros(3).expand(*height.shape, 3),
        skeleton_offsets(couple[1])[:, None],
    ).joints
    body = slice(0, LEFT_HAND[0])
    seen = lying.positions.permute(0, 3, 1, 2)
    torch.testing.assert_close(posed[:, :, body], seen[:, :, body], atol=1e-4, rtol=0)
    leader, follower = couple
    placed = turned.place(turned.placement(leader, follower), leader)
    torch.testing.assert_close(placed.path, follower.joints[:, :, 0], atol=1e-5, rtol=0)
    by = torch.tensor([[0.1, -0.2, 0.0]])
    shifted = turned.place(turned.shifted(turned.placement(leader, follower), by), leader)
    moved = (shifted.path - placed.path)[0, 0]
    torch.testing.assert_close(moved, torch.tensor([0.1, 0.0, -0.2]), atol=1e-5, rtol=0)


def test_up_axis_is_of_the_world_kind_alone():
    with pytest.raises(ValueError, match="world"):
        FrameConfig(up="z")


def test_world_velocity_leads_away_from_each_frame(couple):
    root = couple[1].joints[:, :, 0]
    steps = WORLD.features(couple[1]).root_velocity.mT  # m a frame
    torch.testing.assert_close(root[:, :-1] + steps[:, :-1], root[:, 1:], atol=1e-6, rtol=0)
    assert torch.equal(steps[:, -1], steps[:, -2])
