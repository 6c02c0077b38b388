"""Body models: what comes out of them, and which files are refused."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import JOINT
from duet_rl.errors import InputError
from duet_rl.meshes.smplx import BodyModel

ZERO = torch.zeros(10)


@pytest.fixture
def model(bodies: dict[str, BodyModel]) -> BodyModel:
    return bodies["neutral"]


@pytest.fixture
def changed(body_models: Path, tmp_path: Path):
    """Return a function that writes the neutral model with some arrays changed."""

    def write(**changes: np.ndarray | None) -> Path:
        with np.load(body_models / "SMPLX_NEUTRAL.npz") as archive:
            arrays = {name: archive[name] for name in archive.files} | changes
        path = tmp_path / "SMPLX_NEUTRAL.npz"
        kept = {name: array for name, array in arrays.items() if array is not None}
        np.savez(path, **kept, allow_pickle=True)
        return path

    return write


def random_poses(frames: int, scale: float = 0.5) -> torch.Tensor:
    return scale * torch.randn(frames, 55, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.slow
def test_the_package_itself_reads_our_file_and_agrees(body_models, model):
    smplx = pytest.importorskip("smplx")
    theirs = smplx.SMPLX(
        str(body_models / "SMPLX_NEUTRAL.npz"),
        gender="neutral",
        num_betas=10,
        use_pca=False,
        flat_hand_mean=True,
        use_face_contour=True,
        batch_size=3,
    )
    poses, transl = random_poses(3), torch.randn(3, 3)
    betas = torch.linspace(-1, 1, 10)
    flat = poses.flatten(1)
    with torch.no_grad():
        wanted = theirs(
            betas=betas.expand(3, -1),
            transl=transl,
            global_orient=flat[:, :3],
            body_pose=flat[:, 3:66],
            jaw_pose=flat[:, 66:69],
            leye_pose=flat[:, 69:72],
            reye_pose=flat[:, 72:75],
            left_hand_pose=flat[:, 75:120],
            right_hand_pose=flat[:, 120:],
        )
    motion = model.motion(poses, transl, betas, fps=30.0)
    torch.testing.assert_close(motion.joints, wanted.joints[:, :55])
    torch.testing.assert_close(model.vertices(motion, betas), wanted.vertices, atol=2e-5, rtol=0)


def test_a_motion_keeps_its_rotations_its_bones_and_its_rate(model):
    poses = random_poses(4)
    motion = model.motion(poses, torch.zeros(4, 3), ZERO, fps=25.0)
    torch.testing.assert_close(motion.rotations, axis_angle_to_matrix(poses))
    torch.testing.assert_close(motion.skeleton.offsets, model.skeleton(ZERO).offsets)
    assert motion.fps == 25.0


def test_axes_and_shifts_are_those_of_the_input(model):
    poses = random_poses(2)
    here = model.motion(poses, torch.zeros(2, 3), ZERO, fps=30.0)
    shift = torch.tensor([1.0, -2.0, 3.0])
    there = model.motion(poses, shift.expand(2, 3), ZERO, fps=30.0)
    torch.testing.assert_close(there.joints, here.joints + shift)


def test_chunks_do_not_show(model):
    poses, transl = random_poses(130), torch.randn(130, 3)
    whole = model.motion(poses, transl, ZERO, fps=30.0)
    alone = model.motion(poses[100:101], transl[100:101], ZERO, fps=30.0)
    torch.testing.assert_close(whole.joints[100:101], alone.joints)
    assert model.vertices(whole, ZERO).shape == (130, 10_475, 3)


def test_more_than_ten_betas_may_be_given_and_ten_count(model):
    betas = torch.cat([torch.ones(10), torch.full((6,), 9.0)])
    torch.testing.assert_close(
        model.skeleton(betas).offsets, model.skeleton(torch.ones(10)).offsets
    )


def test_gradients_are_not_kept(model):
    poses = random_poses(2).requires_grad_()
    assert not model.vertices(
        model.motion(poses, torch.zeros(2, 3), ZERO, 30.0), ZERO
    ).requires_grad


@pytest.mark.parametrize("folder", ["smplx", "models/smplx"])
def test_models_are_found_where_the_licensed_archive_puts_them(body_models, tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    os.link(body_models / "SMPLX_FEMALE.npz", tmp_path / folder / "SMPLX_FEMALE.npz")
    assert BodyModel.load(tmp_path, "female").gender == "female"
    with pytest.raises(InputError, match=r"no SMPLX_MALE\.npz.*smpl-x\.is\.tue\.mpg\.de"):
        BodyModel.load(tmp_path, "male")


def test_a_missing_package_names_what_to_install(body_models, monkeypatch):
    monkeypatch.setitem(sys.modules, "smplx", None)
    with pytest.raises(InputError, match=r"pip install 'duet-rl\[smplx\]'"):
        BodyModel.load(body_models)


def test_a_missing_file_says_where_models_come_from(tmp_path):
    with pytest.raises(InputError, match=r"does not exist.*smpl-x\.is\.tue\.mpg\.de"):
        BodyModel.load(tmp_path / "nothing")


def test_genders_are_checked(body_models):
    with pytest.raises(InputError, match="'divers'; wanted neutral, male, female"):
        BodyModel.load(body_models, "divers")
    with pytest.raises(InputError, match="is the female body"):
        BodyModel.load(body_models / "SMPLX_FEMALE.npz", "male")


class _Trap:
    """What a hostile file may hold: opening it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickles_are_refused_and_not_opened(tmp_path):
    path = tmp_path / "SMPLX_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(_Trap(tmp_path / "sprung")))
    for models in (tmp_path, path):
        with pytest.raises(InputError, match=r"is a pickle.*take the \.npz"):
            BodyModel.load(models)
    assert not (tmp_path / "sprung").exists()


def test_objects_beside_the_arrays_are_left_alone(changed, tmp_path, model):
    """The licensed files hold dictionaries that nobody needs; one of them could be a trap."""
    trap = np.array(_Trap(tmp_path / "sprung"), dtype=object)
    loaded = BodyModel.load(changed(part2num=trap))
    torch.testing.assert_close(loaded.skeleton(ZERO).offsets, model.skeleton(ZERO).offsets)
    assert not (tmp_path / "sprung").exists()


def test_objects_in_place_of_an_array_are_refused(changed, tmp_path):
    trap = np.array([_Trap(tmp_path / "sprung")], dtype=object)
    with pytest.raises(InputError, match="not a whole npz file of plain arrays"):
        BodyModel.load(changed(J_regressor=trap))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("weights", None, "holds no weights, so it is no SMPL-X model"),
        ("weights", np.zeros((6890, 24)), r"weights is float64 of shape \(6890, 24\), wanted"),
        ("v_template", np.full((10_475, 3), np.nan), "v_template is .* wanted .* finite numbers"),
        ("shapedirs", np.zeros((10_475, 3, 4)), "4 shape directions, wanted at least 10"),
        ("kintree_table", np.zeros((2, 55), int), "joint tree is not that of SMPL-X"),
        ("f", np.array([[0, 1, 10_475]]), "f goes beyond 10474"),
        ("f", np.array([["a", "b", "c"]]), "f is <U1"),
        ("lmk_bary_coords", np.ones((3, 3)), r"lmk_bary_coords of shape \(3, 3\) for landmarks"),
    ],
)
def test_files_that_are_no_body_model_are_refused(changed, name, array, message):
    with pytest.raises(InputError, match=message):
        BodyModel.load(changed(**{name: array}))


def test_models_with_hundreds_of_shapes_are_read_alike(changed, body_models, model):
    with np.load(body_models / "SMPLX_NEUTRAL.npz") as archive:
        ten = archive["shapedirs"][:, :, :10]
    many = np.concatenate([ten, np.ones((10_475, 3, 300), np.float32)], axis=2)
    loaded, betas = BodyModel.load(changed(shapedirs=many)), torch.ones(10)
    torch.testing.assert_close(loaded.skeleton(betas).offsets, model.skeleton(betas).offsets)


def test_a_cut_file_is_refused(body_models, tmp_path):
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    path.write_bytes((body_models / "SMPLX_NEUTRAL.npz").read_bytes()[:50_000])
    with pytest.raises(InputError, match=r"SMPLX_NEUTRAL\.npz: not a whole npz"):
        BodyModel.load(path)


@pytest.mark.parametrize(
    ("poses", "transl", "betas", "message"),
    [
        (torch.zeros(3, 54, 3), torch.zeros(3, 3), ZERO, r"poses of shape \(3, 54, 3\)"),
        (torch.zeros(3, 55, 3), torch.zeros(2, 3), ZERO, r"transl of shape \(2, 3\)"),
        (torch.zeros(0, 55, 3), torch.zeros(0, 3), ZERO, "at least one"),
        (torch.full((3, 55, 3), np.nan), torch.zeros(3, 3), ZERO, "poses hold NaN"),
        (torch.zeros(3, 55, 3), torch.zeros(3, 3), torch.zeros(9), r"betas of shape \(9,\)"),
        (torch.zeros(3, 55, 3), torch.zeros(3, 3), torch.zeros(3, 10), "one row"),
    ],
)
def test_poses_that_do_not_fit_are_refused(model, as_users_run, poses, transl, betas, message):
    with pytest.raises(InputError, match=message):
        model.motion(poses, transl, betas, fps=30.0)


def test_the_left_hand_is_the_left_hand(model):
    poses = torch.zeros(2, 55, 3)
    poses[1, JOINT["left_index1"], 2] = -1.0
    motion = model.motion(poses, torch.zeros(2, 3), ZERO, fps=30.0)
    moved = (motion.joints[1] - motion.joints[0]).norm(dim=1) > 1e-4
    assert [int(i) for i in moved.nonzero()] == [JOINT["left_index2"], JOINT["left_index3"]]
