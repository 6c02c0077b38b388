"""Retargeting: CMU takes keep their joints, stand on the floor, and strangers are refused."""

import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.skeleton import JOINT, JOINT_NAMES, UP, default_skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import read_bvh, write_bvh
from duet_rl.mocap.npz import write_npz
from duet_rl.mocap.read import read_motion
from duet_rl.mocap.retarget_cmu import CMU_JOINTS, cmu_to_motion, is_cmu
from tests.body.couples import dancer
from tests.mocap.cmu import SCALE, cmu_text


@pytest.fixture
def take(tmp_path):
    """Read a made-up CMU take; keyword arguments shape it."""

    def read(**settings):
        path = tmp_path / "60_01.bvh"
        path.write_text(cmu_text(**settings))
        return read_bvh(path, fps=60, scale=SCALE)

    return read


def test_every_joint_that_the_file_has_stays_where_it_is(take):
    bvh = take()
    places, _ = bvh.pose()
    motion = cmu_to_motion(bvh)
    assert len(CMU_JOINTS) == 41 and motion.fps == 60
    for ours, theirs in CMU_JOINTS.items():
        expected = places[:, bvh.names.index(theirs)]
        assert (motion.joints[:, JOINT[ours]] - expected).abs().max() < 1e-5, ours


def test_the_retargeted_joints_follow_from_rotations_and_skeleton(take):
    motion = cmu_to_motion(take())
    pose = forward_kinematics(motion.rotations, motion.root, motion.skeleton.offsets)
    torch.testing.assert_close(pose.joints, motion.joints)


def test_the_rest_pose_of_a_retargeted_body_is_our_t_pose(take):
    rest = cmu_to_motion(take()).skeleton.rest_joints()
    ours = default_skeleton().rest_joints()
    for a, b in [("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("ankle", "foot")]:
        for side in ("left", "right"):
            start, end = JOINT[f"{side}_{a}"], JOINT[f"{side}_{b}"]
            bone, ideal = rest[end] - rest[start], ours[end] - ours[start]
            assert torch.cosine_similarity(bone, ideal, dim=0) > 1 - 1e-5
    assert facing_angle(rest[None]).abs() < 0.01


def test_bone_lengths_are_those_of_the_file(take):
    skeleton = cmu_to_motion(take()).skeleton
    forearm = torch.tensor([0.176, 0.006, 0.055]).norm() * SCALE
    torch.testing.assert_close(skeleton.offsets[JOINT["left_wrist"]].norm(), forearm)
    legs = skeleton.offsets[[JOINT["left_knee"], JOINT["left_ankle"]]].norm(dim=-1).sum()
    assert legs == pytest.approx(0.96, abs=0.01)


def test_left_is_left_and_the_eyes_look_ahead(take):
    joints = cmu_to_motion(take(sway=0.0)).joints[0]
    assert joints[JOINT["left_wrist"], 0] > 0.3 > -0.3 > joints[JOINT["right_wrist"], 0]
    assert joints[JOINT["left_eye"], 2] > joints[JOINT["head"], 2]
    assert joints[JOINT["left_foot"], 2] > joints[JOINT["left_ankle"], 2] + 0.1


@pytest.mark.parametrize("heels", [0.01, 0.04])
def test_the_toes_of_a_standing_dancer_are_on_the_floor(take, heels):
    motion = cmu_to_motion(take(sway=0.0, hips=0.66 + heels / SCALE))
    toes = motion.joints[:, [JOINT["left_foot"], JOINT["right_foot"]], UP]
    torch.testing.assert_close(toes, torch.full_like(toes, 0.02), atol=1e-5, rtol=0)
    assert motion.root[0, UP] == pytest.approx(0.99 + heels, abs=1e-3), "the hips stay"


def test_joints_that_the_file_lacks_keep_their_place_in_the_body(take):
    motion = cmu_to_motion(take())
    joints = motion.joints
    spine = [joints[:, JOINT[name]] for name in ("pelvis", "spine1", "spine2")]
    torch.testing.assert_close(spine[1], (spine[0] + spine[2]) / 2, atol=1e-5, rtol=0)
    jaw = (joints[:, JOINT["jaw"]] - joints[:, JOINT["head"]]).norm(dim=-1)
    assert jaw.std() < 1e-6 and jaw.mean() < 0.05
    identity = torch.eye(3).expand(motion.frames, 3, 3)
    for name in ("left_foot", "jaw", "right_index3"):
        torch.testing.assert_close(motion.rotations[:, JOINT[name]], identity, atol=1e-5, rtol=0)


def test_reading_goes_by_the_suffix_and_the_joint_names(tmp_path):
    (tmp_path / "cmu.bvh").write_text(cmu_text())
    write_bvh(tmp_path / "ours.BVH", dancer())
    write_npz(tmp_path / "ours.npz", dancer())
    assert is_cmu(read_bvh(tmp_path / "cmu.bvh"))
    assert read_motion(tmp_path / "cmu.bvh", fps=60, scale=1.5).fps == 30
    torch.testing.assert_close(
        read_motion(tmp_path / "ours.BVH").joints,
        read_motion(tmp_path / "ours.npz").joints,
        atol=1e-4,
        rtol=0,
    )


def test_a_buttock_that_turns_is_refused_and_not_averaged_away(tmp_path):
    text = cmu_text(frames=2, sway=0.0)
    head, _, motion = text.rpartition("0.008333\n")
    rows = [row.replace(" 0.000000", " 20.000000") for row in motion.splitlines()]
    (tmp_path / "turns.bvh").write_text(f"{head}0.008333\n" + "\n".join(rows))
    with pytest.raises(InputError, match="lButtock or rButtock turns"):
        read_motion(tmp_path / "turns.bvh", scale=SCALE)


def test_our_joint_names_are_all_accounted_for():
    unmapped = set(JOINT_NAMES) - set(CMU_JOINTS)
    thirds = {name for name in JOINT_NAMES if name.endswith("3") and "spine" not in name}
    assert unmapped == {"spine1", "jaw", "left_foot", "right_foot"} | thirds
