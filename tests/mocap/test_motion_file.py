"""Files of every kind: what is found in them, what can be said instead, what is refused."""

import json
import logging
import math

import numpy as np
import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import matrix_to_axis_angle, yaw_matrix
from duet_rl.body.skeleton import JOINT, SMPL_JOINTS, UP, Skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.motion_file import log, read_motion
from duet_rl.mocap.npz import SMPLX_PELVIS, write_npz
from duet_rl.pickles import save_object_npy
from tests.body.couples import dancer
from tests.mocap.cmu import SCALE, cmu_text
from tests.mocap.rigs import Made, chain, figure, person, write_rig

BONES = person(
    chain(None, ("Hips", "pelvis"), ("Spine", "spine1"), ("Chest", "spine2"), ("Top", "spine3")),
    leg=("{s}UpLeg", "{s}Leg", "{s}Foot", "{s}Toe"),
    arm=("{s}Shoulder", "{s}Arm", "{s}ForeArm", "{s}Hand"),
    head=[("Neck", "neck"), ("Head", "head")],
)
TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def largest(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm(dim=-1).max())


def amass(motion: Motion, width: int = 165) -> dict[str, np.ndarray]:
    """What AMASS would hold of a motion: z up, and no frame rate said twice."""
    rotations = motion.rotations.clone()
    turn = torch.from_numpy(TO_Z_UP).float()
    rotations[:, 0] = turn @ rotations[:, 0]
    poses = matrix_to_axis_angle(rotations).flatten(1).numpy()
    root = motion.root.numpy() @ TO_Z_UP.T - np.array(SMPLX_PELVIS)
    return {"poses": poses, "trans": root, "mocap_frame_rate": np.array(motion.fps)}


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.01, 0.001, 0.0254, 0.3048])
def test_the_unit_is_found_by_the_legs(tmp_path, unit):
    motion = figure(frames=20)
    write_rig(tmp_path / "take.bvh", motion, Made(BONES, unit=unit))
    taken = read_motion(tmp_path / "take.bvh", rate=None)
    assert taken.found.scale == pytest.approx(unit) and not taken.warnings
    assert largest(taken.motion.root, motion.root) < 2e-3


def test_what_is_found_can_be_overruled(tmp_path):
    write_rig(tmp_path / "take.bvh", figure(frames=40), Made(BONES, unit=0.01, up="z"))
    path = tmp_path / "take.bvh"
    found = read_motion(path).found
    assert (found.scale, found.up, found.fps) == (0.01, "z", 60)
    told = read_motion(path, fps=30, scale=0.008, up="y")
    assert told.found.fps == 30 and told.motion.frames == 40
    assert told.found.scale_from == told.found.up_from == told.found.fps_from == "given"
    up = told.motion.joints[:, JOINT["head"], UP] - told.motion.joints[:, JOINT["left_ankle"], UP]
    assert up.abs().mean() < 0.8, "read with the wrong axis up, the body lies"


def test_a_child_of_ours_stays_a_child(tmp_path):
    motion = dancer(frames=4)
    child = Motion.from_rotations(
        motion.root * 0.6, motion.rotations, Skeleton(motion.skeleton.offsets * 0.6)
    )
    write_bvh(tmp_path / "child.bvh", child)
    taken = read_motion(tmp_path / "child.bvh")
    assert taken.found.scale == 1 and largest(taken.motion.joints, child.joints) < 1e-4


def test_a_root_that_is_nowhere_is_told(tmp_path):
    write_rig(tmp_path / "take.bvh", figure(frames=8), Made(BONES))
    text = (tmp_path / "take.bvh").read_text()
    head, _, rows = text.partition("Frame Time:")
    head = head.replace("CHANNELS 6 Xposition Yposition Zposition", "CHANNELS 3", 1)
    time, *values = rows.splitlines()
    cut = [" ".join(row.split()[3:]) for row in values]
    (tmp_path / "take.bvh").write_text("\n".join([head + "Frame Time:" + time, *cut]))
    taken = read_motion(tmp_path / "take.bvh")
    assert any("stays on one spot" in warning for warning in taken.warnings)
    assert taken.motion.joints[:, [7, 8, 10, 11], UP].min() > -0.2, "its feet are at the floor"


def test_a_size_of_no_unit_is_made_a_persons_and_told(tmp_path):
    write_rig(tmp_path / "giant.bvh", figure(frames=20), Made(BONES, unit=0.055))
    taken = read_motion(tmp_path / "giant.bvh")
    assert any("no known unit" in warning for warning in taken.warnings)
    leg = taken.motion.skeleton.offsets[[JOINT["left_knee"], JOINT["left_ankle"]]]
    assert leg.norm(dim=-1).sum() == pytest.approx(0.83, abs=1e-3)
    with pytest.raises(InputError, match=r"giant: legs of 14.* m; wanted a person in metres"):
        read_motion(tmp_path / "giant.bvh", scale=1.0)


def test_a_floor_that_lies_elsewhere_is_brought_to_zero(tmp_path):
    motion = figure()
    write_rig(tmp_path / "high.bvh", motion.moved((0.0, 1.3, 0.0)), Made(BONES))
    taken = read_motion(tmp_path / "high.bvh", rate=None)
    assert taken.found.floor == pytest.approx(1.3, abs=0.02)
    assert largest(taken.motion.joints[:, :22], motion.joints[:, :22]) < 0.02


def test_toes_in_shoes_are_lowered_to_the_floor_and_nothing_else(tmp_path):
    motion = figure()
    write_rig(tmp_path / "shoes.bvh", motion.moved((0.0, 0.05, 0.0)), Made(BONES))
    taken = read_motion(tmp_path / "shoes.bvh", rate=None)
    toes = [JOINT["left_foot"], JOINT["right_foot"]]
    assert taken.found.floor == 0
    assert (
        largest(taken.motion.joints[:, :7], motion.joints[:, :7] + torch.tensor([0, 0.05, 0]))
        < 0.01
    )
    assert taken.motion.joints[:, toes, UP].amin(-1).median() == pytest.approx(0.02, abs=0.015)


def test_a_cmu_take_keeps_its_joints_and_its_false_rate_is_told(tmp_path):
    (tmp_path / "60_01.bvh").write_text(cmu_text(frames=120, sway=0.3))
    taken = read_motion(tmp_path / "60_01.bvh")
    assert taken.found.family.startswith("CMU") and taken.found.scale == SCALE
    assert any("faster than dancers'" in w and "120" in w for w in taken.warnings)
    slow = read_motion(tmp_path / "60_01.bvh", fps=60)
    assert slow.found.lead_in == pytest.approx(10 / 60)
    assert slow.motion.frames - slow.without_lead_in().frames == 5


def test_our_own_files_come_back_unchanged_and_are_not_remarked_on(tmp_path, caplog):
    motion = figure(frames=30, fps=30).moved((0.0, 0.4, 0.0))
    write_bvh(tmp_path / "ours.bvh", motion)
    write_npz(tmp_path / "ours.npz", motion)
    caplog.set_level(logging.INFO, logger="duet_rl")
    for name in ("ours.bvh", "ours.npz"):
        taken = read_motion(tmp_path / name)
        log(taken)
        assert taken.found.ours and taken.found.floor == 0
        assert largest(taken.motion.joints, motion.joints) < 1e-4
    assert not caplog.messages
    write_rig(tmp_path / "theirs.bvh", motion, Made(BONES, fps=30))
    log(read_motion(tmp_path / "theirs.bvh"))
    assert "theirs.bvh: BVH, Mixamo" in caplog.text and "0.01 m a unit (cm: legs of" in caplog.text
    assert "y up (by the body)" in caplog.text and "30 frames at 30 fps (file)" in caplog.text


@pytest.mark.parametrize("yaw", [0.0, 2.0, math.pi])
def test_amass_stands_up_without_being_told(tmp_path, yaw):
    motion = figure(fps=60, yaw=yaw)
    np.savez(tmp_path / "amass.npz", **amass(motion))
    taken = read_motion(tmp_path / "amass.npz", rate=None)
    assert taken.found.up == "z" and taken.found.up_from == "by the body"
    assert largest(taken.motion.joints, motion.joints) < 1e-4
    told = read_motion(tmp_path / "amass.npz", up="z").motion
    assert torch.equal(told.joints, read_motion(tmp_path / "amass.npz").motion.joints)


def test_smplx_parameters_with_y_up_are_not_laid_down(tmp_path):
    motion = figure(frames=30, fps=30)
    poses = matrix_to_axis_angle(motion.rotations).flatten(1).numpy()
    trans = motion.root.numpy() - np.array(SMPLX_PELVIS)
    np.savez(tmp_path / "fits.npz", poses=poses, trans=trans, fps=30)
    taken = read_motion(tmp_path / "fits.npz")
    assert taken.found.up == "y" and largest(taken.motion.joints, motion.joints) < 1e-4


@pytest.mark.parametrize("layout", [22, 24, 52, 55, "flat", "two persons"])
def test_joints_alone_make_a_body_that_stands_as_they_do(tmp_path, layout):
    motion = figure(frames=40, fps=30)
    order = {22: range(22), 24: SMPL_JOINTS, 52: (*range(22), *range(25, 55))}.get(
        layout, range(55)
    )
    table = (motion.joints[:, list(order)] * 100).numpy()
    if layout == "flat":
        table = table.reshape(40, -1)
    if layout == "two persons":
        table = np.stack([table + 500, table])
    np.save(tmp_path / "joints.npy", table)
    person = 2 if layout == "two persons" else None
    taken = read_motion(tmp_path / "joints.npy", fps=30, person=person)
    assert taken.found.scale == 0.01 and taken.found.up == "y"
    assert largest(taken.motion.joints[:, list(order)], motion.joints[:, list(order)]) < 0.012
    assert (
        largest(facing_angle(taken.motion.joints)[:, None], facing_angle(motion.joints)[:, None])
        < 0.05
    )


def test_a_file_of_several_persons_says_so(tmp_path):
    motion = figure(frames=40, fps=30)
    np.save(tmp_path / "two.npy", np.stack([motion.joints.numpy(), motion.joints.numpy() + 1]))
    taken = read_motion(tmp_path / "two.npy", fps=30)
    assert taken.found.persons == ("1", "2") and "2 persons (1, 2): the first" in taken.warnings[0]
    with pytest.raises(InputError, match="no person 3; it has 2"):
        read_motion(tmp_path / "two.npy", fps=30, person=3)


def test_humanml3d_has_twenty_frames_a_second(tmp_path):
    motion = figure(frames=61, fps=20)
    np.save(tmp_path / "joints.npy", motion.joints[:, :22].numpy())
    taken = read_motion(tmp_path / "joints.npy")
    assert taken.found.fps == 20 and taken.motion.fps == 30 and taken.motion.frames == 91
    assert largest(taken.motion.joints[::3, :22], motion.joints[::2, :22]) < 0.025


def test_features_of_humanml3d_are_read_as_the_joints_that_they_mean(tmp_path):
    from duet_rl.tokenizers.humanml3d import canonical, features_of

    joints = canonical(figure(frames=61, fps=20).joints[:, :22])
    np.save(tmp_path / "features.npy", features_of(joints).numpy())
    taken = read_motion(tmp_path / "features.npy", rate=None)
    assert taken.found.family == "HumanML3D features" and taken.found.fps == 20
    raised = torch.tensor([0.0, taken.found.floor, 0.0])
    assert largest(taken.motion.joints[:, :22] + raised, joints[:-1]) < 0.02
    np.save(tmp_path / "normalised.npy", np.random.default_rng(0).normal(size=(60, 263)))
    with pytest.raises(InputError, match="legs that change their length"):
        read_motion(tmp_path / "normalised.npy")


def test_dd100_parameters_are_read_from_their_npy(tmp_path):
    motion = figure(frames=30, fps=30)
    arrays = amass(motion)
    values = {"poses": arrays["poses"], "transl": arrays["trans"], "betas": np.zeros((30, 10))}
    save_object_npy(tmp_path / "dance_01.npy", values)
    taken = read_motion(tmp_path / "dance_01.npy")
    assert taken.found.up == "z" and taken.found.fps == 30
    assert largest(taken.motion.joints, motion.joints) < 1e-4


def test_what_is_faster_than_thirty_frames_can_show_does_not_become_slow(tmp_path):
    """A head that nods 29 times a second seems to nod once when every fourth frame is kept."""
    motion = figure(frames=481, fps=120, still=("head",))
    time = torch.arange(481) / 120
    shaking = motion.rotations.clone()
    nod = 0.3 * torch.sin(2 * torch.pi * 29 * time)
    shaking[:, JOINT["head"]] = yaw_matrix(nod)
    made = Motion.from_rotations(motion.root, shaking, motion.skeleton, 120.0)
    write_npz(tmp_path / "fast.npz", made)
    taken = read_motion(tmp_path / "fast.npz").motion
    angles = matrix_to_axis_angle(taken.rotations[:, JOINT["head"]])[:, 1]
    kept = matrix_to_axis_angle(made.resample(30).rotations[:, JOINT["head"]])[:, 1]
    assert kept.abs().max() > 0.25 and angles[8:-8].abs().max() < 0.03
    body = [JOINT[name] for name in ("left_wrist", "right_ankle", "neck")]
    assert largest(taken.joints[:, body], motion.resample(30).joints[:, body]) < 5e-3


def test_a_long_take_is_read_in_parts_without_seams(tmp_path):
    motion = dancer(frames=1400, fps=50)
    write_npz(tmp_path / "long.npz", motion)
    taken = read_motion(tmp_path / "long.npz").motion
    assert taken.frames == 840
    assert largest(taken.joints, motion.resample(30).joints) < 5e-3
    jumps = taken.joints.diff(n=2, dim=0).norm(dim=-1).amax(-1)
    assert jumps[505:518].max() < 2 * jumps.median()


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("a.fbx", "Blender.*Motion Capture"),
        ("a.glb", "Blender"),
        ("a.c3d", "markers.*MoSh"),
        ("a.amc", "amc2bvh"),
        ("a.pkl", "pickle.*savez"),
        ("a.mov", "wanted .bvh, .npz or .npy"),
        ("a", "type none"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path, name, cure):
    (tmp_path / name).write_bytes(b"Kaydara FBX Binary")
    with pytest.raises(InputError, match=cure) as caught:
        read_motion(tmp_path / name)
    assert "\n" not in str(caught.value)


BAD_NPY = {
    "shape": (np.zeros((10, 23, 3)), r"shape \(10, 23, 3\); wanted \(T, 22, 3\)"),
    "angles": (np.random.default_rng(0).normal(size=(50, 165)), "no places of joints"),
    "nan": (np.full((10, 22, 3), np.nan), "NaN"),
    "empty": (np.zeros((0, 22, 3)), "no frame"),
    "words": (np.array(["a"]), "holds no table of numbers"),
    "one number": (np.float64(3.0), "holds no table of numbers"),
    "complex": (np.zeros((10, 22, 3), complex), "holds no table of numbers"),
}


@pytest.mark.parametrize("case", BAD_NPY)
def test_arrays_that_are_no_dancer_are_refused(tmp_path, case):
    array, message = BAD_NPY[case]
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(InputError, match=message) as caught:
        read_motion(tmp_path / "bad.npy")
    assert "bad.npy" in str(caught.value) and "\n" not in str(caught.value)


def test_one_frame_of_joints_is_a_motion(tmp_path):
    joints = figure(frames=1, fps=30.0).joints
    np.save(tmp_path / "pose.npy", joints.numpy())
    assert largest(read_motion(tmp_path / "pose.npy").motion.joints, joints) < 0.05


@pytest.mark.parametrize("fps", [1e12, 1e-6, float("inf")])
def test_a_rate_of_no_capture_is_refused_and_not_computed_with(tmp_path, fps):
    np.savez(tmp_path / "take.npz", **{**amass(figure(frames=8)), "mocap_frame_rate": fps})
    with pytest.raises(InputError, match=r"take\.npz.*give the fps"):
        read_motion(tmp_path / "take.npz")


@pytest.mark.parametrize("setting", [{"fps": 0.0}, {"scale": -1.0}, {"up": "x"}, {"person": "²"}])
def test_settings_that_mean_nothing_are_refused(tmp_path, setting):
    write_bvh(tmp_path / "take.bvh", dancer(frames=4))
    np.save(tmp_path / "take.npy", figure(frames=4).joints.numpy())
    for name in ("take.bvh", "take.npy"):
        with pytest.raises(InputError, match=r"wanted|no person"):
            read_motion(tmp_path / name, **setting)


def test_what_was_found_can_be_kept_as_json(tmp_path):
    write_rig(tmp_path / "take.bvh", figure(frames=8), Made(BONES))
    found = vars(read_motion(tmp_path / "take.bvh").found)
    assert json.loads(json.dumps(found))["joints"]["left_hip"] == "LeftUpLeg"
