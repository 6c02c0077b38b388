"""SMPL's joints: where the package puts them, from a file that is read and never run."""

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import NUM_SMPL_JOINTS
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.meshes.smpl import BODY_JOINTS, HANDS, SMPL_PARENTS, SmplBody
from duet_rl.meshes.stand_in_smpl import smpl_stand_in_arrays, write_smpl_stand_in
from tests.planted import writes

OURS = [*range(BODY_JOINTS), *HANDS]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smpl_stand_in(tmp_path_factory.mktemp("smpl"))


def as_pickle(path: Path, protocol: int = 2, **changes: Any) -> Path:
    """Write the stand-in as SMPL's authors write theirs: a pickle with a sparse regressor."""
    values: dict[str, Any] = smpl_stand_in_arrays()
    values.pop("origin")
    values["kintree_table"] = values["kintree_table"].astype(np.uint32)
    values["J_regressor"] = scipy.sparse.csc_matrix(values["J_regressor"])
    values |= {"bs_style": "lbs", "f": np.zeros((4, 3), np.uint32), **changes}
    path.write_bytes(pickle.dumps(values, protocol=protocol))
    return path


def dance(frames: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    poses = 0.5 * torch.randn(frames, NUM_SMPL_JOINTS, 3, generator=generator)
    poses[:, BODY_JOINTS:] = 0.0
    return poses, torch.randn(frames, 3, generator=generator)


def test_the_joints_are_those_of_the_package(file: Path) -> None:
    smplx = pytest.importorskip("smplx")
    arrays = smpl_stand_in_arrays()
    faces = np.zeros((4, 3), np.int64)
    weights = np.eye(NUM_SMPL_JOINTS)[np.arange(len(arrays["v_template"])) % NUM_SMPL_JOINTS]
    shapes = np.zeros((len(weights), 3, 10))
    corrections = np.zeros((len(weights), 3, 9 * (NUM_SMPL_JOINTS - 1)))
    data = type("Data", (), {**arrays, "f": faces, "weights": weights})
    data.shapedirs, data.posedirs, data.J_regressor = shapes, corrections, arrays["J_regressor"]
    poses, transl = dance()
    body = smplx.SMPL(model_path="", data_struct=data, batch_size=len(poses))
    theirs = body(
        global_orient=poses[:, 0], body_pose=poses[:, 1:].flatten(1), transl=transl
    ).joints[:, :NUM_SMPL_JOINTS]
    ours = SmplBody.load(file).motion(poses, transl, 60.0)
    torch.testing.assert_close(ours.joints[:, OURS], theirs.detach(), atol=1e-5, rtol=0)


def test_joints_turn_as_they_are_told_and_fingers_stay_at_rest(file: Path) -> None:
    poses, transl = dance()
    motion = SmplBody.load(file).motion(poses, transl, 60.0)
    wanted = axis_angle_to_matrix(poses[:, :BODY_JOINTS])
    torch.testing.assert_close(motion.rotations[:, :BODY_JOINTS], wanted)
    assert torch.equal(motion.rotations[:, BODY_JOINTS:], torch.eye(3).expand(5, 33, 3, 3))


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_gives_the_same_body_as_an_npz(file: Path, tmp_path: Path, protocol: int) -> None:
    read = SmplBody.load(as_pickle(tmp_path / "SMPL_MALE.pkl", protocol))
    torch.testing.assert_close(read.rest, SmplBody.load(file).rest)


def test_arrays_of_chumpy_are_read_without_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chumpy = types.ModuleType("chumpy.ch")
    kind = type("Ch", (), {"__module__": "chumpy.ch"})
    chumpy.Ch = kind  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
        patched.setitem(sys.modules, "chumpy.ch", chumpy)
        vertices = kind()
        vertices.x = smpl_stand_in_arrays()["v_template"]
        path = as_pickle(tmp_path / "SMPL_MALE.pkl", v_template=vertices)
    torch.testing.assert_close(SmplBody.load(path).rest, SmplBody.load(file).rest)


@pytest.mark.parametrize(
    "name", ["SMPL_MALE.pkl", "smpl/SMPL_MALE.pkl", "basicmodel_m_lbs_10_207_0_v1.1.0.pkl"]
)
def test_it_is_found_in_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    as_pickle(tmp_path / name)
    assert SmplBody.load(tmp_path).rest.shape == (24, 3)


def test_a_program_in_the_pickle_is_named_and_not_run(tmp_path: Path) -> None:
    file = as_pickle(tmp_path / "SMPL_MALE.pkl", f=writes(tmp_path / "written"))
    with pytest.raises(InputError, match=r"SMPL_MALE\.pkl.*system.*not run"):
        SmplBody.load(file)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"v_template": np.zeros((10, 3))}, r"v_template is of shape \(10, 3\)"),
        ({"v_template": None}, r"v_template is of shape \(\)"),
        ({"v_template": np.full((6890, 3), np.nan)}, "finite"),
        ({"kintree_table": np.zeros((2, 24))}, "the joint tree is not that of SMPL"),
    ],
)
def test_another_body_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        SmplBody.load(as_pickle(tmp_path / "SMPL_MALE.pkl", **changes))


@pytest.mark.parametrize("spoilt", ["indices", "indptr", "data", "_shape"])
def test_a_sparse_matrix_that_contradicts_itself_is_refused(tmp_path: Path, spoilt: str) -> None:
    regressor = scipy.sparse.csc_matrix(smpl_stand_in_arrays()["J_regressor"])
    broken = {"_shape": (24, 6891)}.get(spoilt)
    if broken is None:
        broken = getattr(regressor, spoilt).copy()
        broken[-1] = broken[-1] + 1000 if spoilt != "data" else broken[-1]
        broken = broken[:-1] if spoilt == "data" else broken
    setattr(regressor, spoilt, broken)
    with pytest.raises(InputError, match="contradicts itself"):
        SmplBody.load(as_pickle(tmp_path / "SMPL_MALE.pkl", J_regressor=regressor))


def test_a_cut_pickle_and_a_missing_file_are_told(tmp_path: Path) -> None:
    file = as_pickle(tmp_path / "SMPL_MALE.pkl")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="no whole pickle"):
        SmplBody.load(file)
    with pytest.raises(InputError, match="holds no SMPL_MALE"):
        SmplBody.load(tmp_path.parent)
    with pytest.raises(InputError, match="does not exist"):
        SmplBody.load(tmp_path / "elsewhere.pkl")


def test_the_stand_in_is_the_same_every_time_and_spares_a_licensed_file(tmp_path: Path) -> None:
    first = sha256_of(write_smpl_stand_in(tmp_path))
    assert sha256_of(write_smpl_stand_in(tmp_path)) == first
    arrays = smpl_stand_in_arrays()
    arrays.pop("origin")
    np.savez(tmp_path / "SMPL_MALE.npz", **arrays)
    with pytest.raises(InputError, match="no stand-in of ours"):
        write_smpl_stand_in(tmp_path)
    assert tuple(arrays["kintree_table"][0, 1:]) == SMPL_PARENTS[1:]
