"""Forward kinematics against hand arithmetic, and limbs that reach where they are told."""

import math

import pytest
import torch

from duet_rl.body.kinematics import (
    LIMBS,
    forward_kinematics,
    global_to_local,
    reach,
    two_bone_ik,
)
from duet_rl.body.rotations import axis_angle_to_matrix, yaw_matrix
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, PARENTS, default_skeleton

OFFSETS = default_skeleton().offsets


def random_rotations(
    *batch: int, seed: int = 0, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    angles = torch.randn(*batch, NUM_JOINTS, 3, generator=generator, dtype=dtype)
    return axis_angle_to_matrix(angles)


def rest_rotations(*batch: int) -> torch.Tensor:
    return torch.eye(3).expand(*batch, NUM_JOINTS, 3, 3).clone()


def test_rest_rotations_give_the_rest_pose():
    rest = default_skeleton().rest_joints()
    pose = forward_kinematics(rest_rotations(), rest[0], OFFSETS)
    torch.testing.assert_close(pose.joints, rest)


def test_a_bent_elbow_carries_the_forearm_where_arithmetic_says():
    rotations = rest_rotations()
    rotations[JOINT["left_elbow"]] = yaw_matrix(torch.tensor(-math.pi / 2))  # +X turns to +Z
    root = torch.tensor([1.0, 2.0, 3.0])
    joints = forward_kinematics(rotations, root, OFFSETS).joints
    forearm = joints[JOINT["left_wrist"]] - joints[JOINT["left_elbow"]]
    torch.testing.assert_close(forearm, torch.tensor([0.0, 0.0, 0.245]), atol=1e-6, rtol=0)
    torch.testing.assert_close(joints[JOINT["left_elbow"]], root + _chain("left_elbow"))


def _chain(name: str) -> torch.Tensor:
    joint, total = JOINT[name], torch.zeros(3)
    while joint > 0:
        total, joint = total + OFFSETS[joint], PARENTS[joint]
    return total


def test_level_by_level_equals_joint_by_joint():
    rotations, root = random_rotations(2, 3), torch.randn(2, 3, 3)
    pose = forward_kinematics(rotations, root, OFFSETS)
    joints, turned = [root], [rotations[..., 0, :, :]]
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        joints.append(joints[parent] + turned[parent] @ OFFSETS[joint])
        turned.append(turned[parent] @ rotations[..., joint, :, :])
    torch.testing.assert_close(pose.joints, torch.stack(joints, -2))
    torch.testing.assert_close(pose.global_rotations, torch.stack(turned, -3))


def test_each_row_of_a_batch_may_have_its_own_skeleton():
    rotations, root = random_rotations(2, 4), torch.randn(2, 4, 3)
    scale = torch.tensor([1.0, 1.2])[:, None, None, None]
    both = forward_kinematics(rotations, root, OFFSETS * scale).joints
    tall = forward_kinematics(rotations[1], root[1], OFFSETS * 1.2).joints
    torch.testing.assert_close(both[1], tall)


def test_local_rotations_come_back_from_global_ones():
    rotations = random_rotations(5)
    pose = forward_kinematics(rotations, torch.zeros(5, 3), OFFSETS)
    torch.testing.assert_close(global_to_local(pose.global_rotations), rotations, atol=1e-5, rtol=0)


def test_kinematics_keep_full_precision_under_autocast():
    rotations, root = random_rotations(4), torch.randn(4, 3)
    plain = forward_kinematics(rotations, root, OFFSETS).joints
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = forward_kinematics(rotations, root, OFFSETS).joints
    assert torch.equal(plain, cast)


def test_kinematics_train_after_they_ran_in_inference_mode():
    with torch.inference_mode():
        forward_kinematics(rest_rotations(), torch.zeros(3), OFFSETS)
    rotations = rest_rotations().requires_grad_()
    forward_kinematics(rotations, torch.zeros(3), OFFSETS).joints.sum().backward()
    assert torch.isfinite(rotations.grad).all()


def test_two_bones_reach_a_target_within_reach_exactly():
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(100, 3, generator=generator)
    way = torch.nn.functional.normalize(torch.randn(100, 3, generator=generator), dim=-1)
    target = start + way * torch.rand(100, 1, generator=generator).mul(0.4).add(0.1)
    pole = torch.randn(100, 3, generator=generator)
    middle, end = two_bone_ik(start, target, 0.3, 0.25, pole)
    torch.testing.assert_close(end, target, atol=1e-6, rtol=0)
    torch.testing.assert_close((middle - start).norm(dim=-1), torch.full((100,), 0.3))
    torch.testing.assert_close((end - middle).norm(dim=-1), torch.full((100,), 0.25))
    bend = middle - start
    bend = bend - (bend * way).sum(-1, keepdim=True) * way
    assert ((bend * pole).sum(-1) > -1e-6).all(), "bends towards the pole"


def test_two_bones_stretch_towards_a_target_out_of_reach():
    start, target = torch.zeros(3), torch.tensor([0.0, 0.0, 9.0])
    middle, end = two_bone_ik(start, target, 0.3, 0.25, torch.tensor([0.0, -1.0, 0.0]))
    torch.testing.assert_close(middle, torch.tensor([0.0, 0.0, 0.3]))
    torch.testing.assert_close(end, torch.tensor([0.0, 0.0, 0.55]))


@pytest.mark.parametrize("target", [(0.0, 0.0, 0.0), (0.0, -0.5, 0.0)])
def test_two_bones_stay_finite_without_a_direction(target):
    pole = torch.tensor([0.0, -1.0, 0.0])  # along the limb itself: says nothing
    middle, end = two_bone_ik(torch.zeros(3), torch.tensor(target), 0.3, 0.3, pole)
    torch.testing.assert_close(middle.norm(), torch.tensor(0.3))
    torch.testing.assert_close((end - middle).norm(), torch.tensor(0.3))


@pytest.mark.parametrize("limb", LIMBS)
def test_a_reaching_limb_arrives_and_moves_nothing_else(limb):
    rotations = random_rotations(6, seed=2)
    root = torch.zeros(6, 3)
    start, middle, end = LIMBS[limb]
    before = forward_kinematics(rotations, root, OFFSETS)
    target = before.joints[:, start] + 0.8 * (before.joints[:, end] - before.joints[:, start])
    target = target + torch.tensor([0.02, -0.03, 0.04])
    after = forward_kinematics(reach(rotations, root, OFFSETS, limb, target), root, OFFSETS)
    torch.testing.assert_close(after.joints[:, end], target, atol=2e-6, rtol=0)
    torch.testing.assert_close(
        after.global_rotations[:, end], before.global_rotations[:, end], atol=1e-5, rtol=0
    )
    moved = (after.joints - before.joints).norm(dim=-1).amax(0) > 1e-5
    hand_or_foot = {joint for joint in range(NUM_JOINTS) if _above(joint, end)}
    assert set(moved.nonzero().flatten().tolist()) <= {middle, end} | hand_or_foot


def test_a_straight_arm_bends_at_the_elbow_backwards_and_a_straight_leg_forwards():
    root = torch.zeros(3)
    for limb, sign in (("left_arm", -1), ("right_leg", 1)):
        start, middle, end = LIMBS[limb]
        rest = forward_kinematics(rest_rotations(), root, OFFSETS).joints
        target = rest[start] + 0.9 * (rest[end] - rest[start])
        bent = forward_kinematics(
            reach(rest_rotations(), root, OFFSETS, limb, target), root, OFFSETS
        ).joints
        assert sign * (bent[middle, 2] - rest[middle, 2]) > 0.05


def _above(joint: int, ancestor: int) -> bool:
    while joint > 0:
        joint = PARENTS[joint]
        if joint == ancestor:
            return True
    return False
