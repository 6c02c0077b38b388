"""Npz: our own files out and in, the names that AMASS and SMPL-X use, and damaged files."""

import numpy as np
import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.body.rotations import matrix_to_axis_angle
from duet_rl.body.skeleton import UP, default_skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.npz import read_npz, write_npz
from tests.body.couples import dancer

PELVIS = np.array([0.0, -0.35, 0.01])  # of the mean SMPL-X body at zero translation


def arrays_of(motion: Motion) -> dict[str, np.ndarray]:
    """What an AMASS file of this motion would hold, were its y axis up."""
    poses = matrix_to_axis_angle(motion.rotations).flatten(1).numpy()
    trans = motion.root.numpy() - PELVIS
    return {"poses": poses, "trans": trans, "mocap_frame_rate": np.array(30.0)}


def test_a_motion_comes_back_from_npz(tmp_path):
    motion = dancer(fps=60).mirrored()
    write_npz(tmp_path / "take.npz", motion)
    again = read_npz(tmp_path / "take.npz")
    assert again.fps == 60 and again.skeleton.name == motion.skeleton.name
    torch.testing.assert_close(again.joints, motion.joints, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.rotations, motion.rotations, atol=1e-5, rtol=0)


def test_what_we_write_has_the_names_of_amass_and_no_pickle(tmp_path):
    write_npz(tmp_path / "take.npz", dancer(frames=9))
    with np.load(tmp_path / "take.npz", allow_pickle=False) as archive:
        assert archive["poses"].shape == (9, 165) and archive["trans"].shape == (9, 3)
        assert archive["joints"].shape == (9, 55, 3) and archive["offsets"].shape == (55, 3)
        assert archive["mocap_frame_rate"] == 30 and str(archive["gender"]) == "neutral"
        assert archive["betas"].shape == (16,)


def test_a_file_of_others_has_z_up_unless_told_otherwise(tmp_path):
    motion = dancer()
    np.savez(tmp_path / "y_up.npz", **arrays_of(motion))
    told = read_npz(tmp_path / "y_up.npz", up="y")
    torch.testing.assert_close(told.joints, motion.joints, atol=1e-5, rtol=0)
    lying = read_npz(tmp_path / "y_up.npz")
    lying = lying.joints - lying.root[:, None]
    upright = motion.joints - motion.root[:, None]
    torch.testing.assert_close(lying[..., UP], upright[..., 2], atol=1e-5, rtol=0)


def test_an_amass_dancer_stands_upright(tmp_path):
    """In AMASS a standing person turns +Y of the body to +Z of the world."""
    poses = np.zeros((5, 165))
    poses[:, 0] = np.pi / 2
    trans = np.tile([1.0, 2.0, 0.9], (5, 1)) - PELVIS
    np.savez(tmp_path / "amass.npz", poses=poses, trans=trans, mocap_framerate=120.0)
    motion = read_npz(tmp_path / "amass.npz")
    assert motion.fps == 120
    torch.testing.assert_close(motion.root[0], torch.tensor([1.0, 0.9, -2.0]))
    rest = default_skeleton().rest_joints()
    torch.testing.assert_close(motion.joints[0] - motion.root[0], rest - rest[0], atol=1e-5, rtol=0)


def test_poses_may_come_in_parts(tmp_path):
    motion = dancer()
    whole = arrays_of(motion)
    poses, rest = whole["poses"], {"transl": whole["trans"], "fps": np.array(30)}
    amass = {
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:],
    }
    smplx = {
        "global_orient": poses[:, :3],
        "body_pose": poses[:, 3:66].reshape(-1, 21, 3),
        "jaw_pose": poses[:, 66:69],
        "leye_pose": poses[:, 69:72],
        "reye_pose": poses[:, 72:75],
        "left_hand_pose": poses[:, 75:120],
        "right_hand_pose": poses[:, 120:].reshape(-1, 15, 3),
    }
    for parts in (amass, smplx):
        np.savez(tmp_path / "parts.npz", **parts, **rest)
        again = read_npz(tmp_path / "parts.npz", up="y")
        torch.testing.assert_close(again.joints, motion.joints, atol=1e-5, rtol=0)


def test_smplh_poses_have_no_face(tmp_path):
    motion = dancer()
    arrays = arrays_of(motion)
    poses = arrays["poses"].copy()
    arrays["poses"] = np.concatenate([poses[:, :66], poses[:, 75:]], axis=1)
    np.savez(tmp_path / "smplh.npz", **arrays)
    again = read_npz(tmp_path / "smplh.npz", up="y")
    face = [22, 23, 24]
    assert torch.equal(again.rotations[:, face], torch.eye(3).expand(40, 3, 3, 3))
    torch.testing.assert_close(again.root[:, UP], motion.root[:, UP] - 0.22 + 0.35)
    body = [joint for joint in range(55) if joint not in face]
    torch.testing.assert_close(
        again.rotations[:, body], motion.rotations[:, body], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("width", "hands"), [(72, 2), (66, 0)])
def test_smpl_poses_have_no_fingers(tmp_path, width, hands):
    motion = dancer()
    arrays = arrays_of(motion)
    turned_hands = np.full((40, 3 * hands), 0.5)
    arrays["poses"] = np.concatenate([arrays["poses"][:, :66], turned_hands], axis=1)
    assert arrays["poses"].shape == (40, width)
    np.savez(tmp_path / "smpl.npz", **arrays)
    again = read_npz(tmp_path / "smpl.npz", up="y")
    torch.testing.assert_close(again.rotations[:, :22], motion.rotations[:, :22], atol=1e-5, rtol=0)
    assert torch.equal(again.rotations[:, 22:], torch.eye(3).expand(40, 33, 3, 3))


@pytest.mark.parametrize("said", ["Z", b"z", ["z"]])
def test_an_axis_may_be_said_in_any_spelling(tmp_path, said):
    motion = dancer(6)
    np.savez(tmp_path / "z.npz", **arrays_of(motion), up_axis=said)
    np.savez(tmp_path / "plain.npz", **arrays_of(motion))
    plain = read_npz(tmp_path / "plain.npz", up="z")
    assert torch.equal(read_npz(tmp_path / "z.npz").joints, plain.joints)


def _without(name: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in arrays_of(dancer(6)).items() if key != name}


def _with(**changed: np.ndarray) -> dict[str, np.ndarray]:
    return {**arrays_of(dancer(6)), **changed}


BAD_ARRAYS = {
    "no poses": (_without("poses"), "wanted pose_body or body_pose"),
    "no translation": (_without("trans"), "wanted trans or transl"),
    "no rate": (_without("mocap_frame_rate"), "give the fps"),
    "bad rate": (_with(mocap_frame_rate=np.array(0.0)), "give the fps"),
    "complex rate": (_with(mocap_frame_rate=np.array(30 + 0j)), "give the fps"),
    "complex poses": (_with(poses=np.zeros((6, 165), complex)), "wanted a table of numbers"),
    "axis": (_with(up_axis=np.array("x")), "up_axis is x; wanted 'y' or 'z'"),
    "narrow poses": (_with(poses=np.zeros((6, 75))), r"poses of shape \(6, 75\)"),
    "frames": (_with(trans=np.zeros((5, 3))), r"translations of shape \(5, 3\)"),
    "nan": (_with(trans=np.full((6, 3), np.nan)), "NaN or infinity in the translations of frame 0"),
    "words": (_with(poses=np.array(["a", "b"])), "wanted a table of numbers"),
    "objects": (_with(poses=np.array([{"a": 1}], dtype=object)), "not a whole npz file"),
    "offsets": (_with(offsets=np.zeros((24, 3))), r"offsets of shape \(24, 3\)"),
    "no frames": (_with(poses=np.zeros((0, 165)), trans=np.zeros((0, 3))), "0 frames"),
    "hand coefficients": (
        {**_without("poses"), "pose_body": np.zeros((6, 63)), "pose_hand": np.zeros((6, 24))},
        "expand hand PCA",
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_are_no_motion_give_one_line(tmp_path, case, as_users_run):
    arrays, message = BAD_ARRAYS[case]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_npz(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)


def test_a_truncated_file_gives_one_line_that_names_it(tmp_path):
    write_npz(tmp_path / "whole.npz", dancer())
    whole = (tmp_path / "whole.npz").read_bytes()
    for share in (0.0, 0.1, 0.5, 0.99):
        (tmp_path / "cut.npz").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"cut\.npz: not a whole npz file"):
            read_npz(tmp_path / "cut.npz")


def test_flipped_bytes_are_noticed(tmp_path):
    write_npz(tmp_path / "take.npz", dancer())
    data = bytearray((tmp_path / "take.npz").read_bytes())
    data[200:260] = bytes(60)
    (tmp_path / "take.npz").write_bytes(bytes(data))
    with pytest.raises(InputError, match="not a whole npz file"):
        read_npz(tmp_path / "take.npz")


def test_a_single_array_is_no_motion(tmp_path):
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros((4, 165)))
    with pytest.raises(InputError, match="not a whole npz file"):
        read_npz(tmp_path / "one.npz")


def test_an_unknown_up_axis_is_refused(tmp_path):
    write_npz(tmp_path / "take.npz", dancer(4))
    with pytest.raises(InputError, match="up axis 'x'"):
        read_npz(tmp_path / "take.npz", up="x")


def test_a_file_that_could_not_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(*args: object, **arrays: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_npz(tmp_path / "take.npz", dancer(4))
    assert not list(tmp_path.iterdir())
