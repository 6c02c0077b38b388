"""The 55 joints: one tree, parts that share nothing, and a mirror that undoes itself."""

import pytest
import torch

from duet_rl.body.skeleton import (
    FEET,
    JOINT,
    JOINT_NAMES,
    MIRROR,
    NUM_JOINTS,
    PARENTS,
    PARTS,
    UP,
    Skeleton,
    default_skeleton,
)
from duet_rl.errors import InputError


def test_parents_come_before_their_children():
    assert PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(PARENTS) if joint > 0)


def test_every_finger_hangs_from_the_wrist_of_its_side():
    for name in JOINT_NAMES[25:]:
        side, finger = name.split("_")
        parent = (
            f"{side}_wrist" if finger[-1] == "1" else f"{side}_{finger[:-1]}{int(finger[-1]) - 1}"
        )
        assert JOINT_NAMES[PARENTS[JOINT[name]]] == parent


def test_the_joints_stand_in_the_order_of_smplx():
    order = {
        "pelvis": 0,
        "left_foot": 10,
        "head": 15,
        "right_wrist": 21,
        "jaw": 22,
        "right_eye": 24,
    }
    order |= {"left_index1": 25, "left_thumb3": 39, "right_index1": 40, "right_thumb3": 54}
    assert {name: JOINT[name] for name in order} == order
    assert [JOINT_NAMES[foot] for foot in FEET] == [
        *("left_ankle", "right_ankle", "left_foot", "right_foot")
    ]


def test_the_parts_hold_every_joint_once():
    assert sorted(joint for part in PARTS.values() for joint in part) == list(range(NUM_JOINTS))


def test_the_mirror_swaps_sides_and_keeps_the_tree():
    assert [MIRROR[MIRROR[joint]] for joint in range(NUM_JOINTS)] == list(range(NUM_JOINTS))
    for joint in range(1, NUM_JOINTS):
        assert PARENTS[MIRROR[joint]] == MIRROR[PARENTS[joint]]


def test_the_default_skeleton_is_a_person_in_a_t_pose_who_faces_z():
    rest = default_skeleton().rest_joints()
    place = {name: rest[joint] for name, joint in JOINT.items()}
    assert rest[:, UP].min() == pytest.approx(0.02), "the toes stand on the floor"
    assert place["pelvis"][UP] == pytest.approx(0.93)
    assert place["left_wrist"][0] > 0.6 and place["right_wrist"][0] < -0.6, "left is +X"
    assert place["left_eye"][2] > place["head"][2] and place["left_foot"][2] > 0.1, "faces +Z"
    shoulders = place["left_shoulder"][UP]
    assert abs(place["left_middle3"][UP] - shoulders) < 0.02, "the arms are level"


def test_the_default_skeleton_is_symmetric():
    skeleton = default_skeleton()
    assert torch.equal(skeleton.mirrored().offsets, skeleton.offsets)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (torch.zeros(24, 3), r"\(24, 3\), wanted \(55, 3\)"),
        (torch.full((55, 3), float("nan")), "NaN"),
        (torch.ones(55, 3), "pelvis"),
    ],
)
def test_offsets_that_are_no_skeleton_are_refused(offsets, message, as_users_run):
    with pytest.raises(InputError, match=message):
        Skeleton(offsets)
