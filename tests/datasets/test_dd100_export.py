"""Clips written as DD100 and read back are the clips; generated dances are laid out as theirs."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.dd100 import DD100Config, prepare_takes
from duet_rl.datasets.dd100_export import Axes, axes_of, fit_body, write_dance, write_data_set
from duet_rl.datasets.prepare import PrepareConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.meshes.smplx import BodyModel
from duet_rl.mocap.npz import SMPLX_PELVIS
from duet_rl.pickles import load_object_npy
from tests.datasets.dd100_tree import TEST, TRAIN, Z_UP, write_preprocessed, write_raw

HERE = PrepareConfig(parallel=False)
TAKE = TRAIN[0]
Z_AXES = Axes("z", 0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    """Two takes read from tables of joints and rotations."""
    folder = tmp_path_factory.mktemp("tables")
    write_preprocessed(folder / "data", (TAKE, TEST[0]))
    return prepared(folder / "data", folder / "store")


@pytest.fixture(scope="module")
def raw_store(models: Path, tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    """One take read from SMPL-X parameters."""
    folder = tmp_path_factory.mktemp("raw")
    write_raw(folder / "data", models, (TAKE,))
    return prepared(folder / "data", folder / "store", models)


def prepared(
    root: Path, out: Path, models: Path | None = None, config: DD100Config | None = None
) -> DuetStore:
    config = config or DD100Config(music="features")
    return prepare_takes(root, out, config, models, HERE, progress=False)


def written(store: DuetStore, out: Path, axes: Axes, models: Path | None = None) -> Path:
    splits = store.index.splits
    clips = ((clip, splits[clip.choreography]) for clip in store.clips())
    write_data_set(out, clips, axes, models)
    return out


def assert_same(found: DuetClip, wanted: DuetClip) -> None:
    for mine, theirs in (
        (found.duet.leader, wanted.duet.leader),
        (found.duet.follower, wanted.duet.follower),
    ):
        torch.testing.assert_close(mine.joints, theirs.joints, atol=1e-4, rtol=0)
        torch.testing.assert_close(mine.rotations, theirs.rotations, atol=1e-4, rtol=0)
        offsets = theirs.skeleton.offsets
        torch.testing.assert_close(mine.skeleton.offsets, offsets, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.music, wanted.music)
    # Takes are cut to whole tokens after their holds are found, and a hold lasts 9 frames at least.
    assert torch.equal(found.hold[:-9], wanted.hold[:-9])


@pytest.mark.parametrize("axes", [Z_AXES, Axes("y", 0.0), Axes("z", 1.2)], ids=str)
def test_takes_come_back_from_the_tables(store: DuetStore, tmp_path: Path, axes: Axes) -> None:
    root = written(store, tmp_path / "data", axes)
    config = DD100Config(up=axes.up, floor=axes.floor)
    again = prepared(root, tmp_path / "again", config=config)
    for clip in store.clips():
        assert_same(again.clip(clip.name), clip)
    assert again.index.splits == store.index.splits
    assert axes_of(again, DD100Config()) == axes


@pytest.mark.slow
def test_takes_come_back_through_the_body_models(
    raw_store: DuetStore, models: Path, tmp_path: Path
) -> None:
    root = written(raw_store, tmp_path / "data", Z_AXES, models)
    assert_same(prepared(root, tmp_path / "a", models).clip(TAKE), raw_store.clip(TAKE))
    assert_same(prepared(root, tmp_path / "b").clip(TAKE), raw_store.clip(TAKE))


def test_a_bodys_betas_and_gender_are_found_again(raw_store: DuetStore, models: Path) -> None:
    clip = raw_store.clip(TAKE)
    for role, motion, gender, scale in (
        ("follower", clip.duet.follower, "female", 1),
        ("leader", clip.duet.leader, "male", 2),
    ):
        body = fit_body(motion.skeleton, models, role)  # type: ignore[arg-type]
        wanted = torch.linspace(-1, 1, 10) * scale
        made = BodyModel.load(models, gender).skeleton(body.betas).offsets
        assert body.gender == gender and body.betas is not None
        torch.testing.assert_close(made, motion.skeleton.offsets, atol=1e-5, rtol=0)
        torch.testing.assert_close(body.betas, wanted, atol=0.05, rtol=0)


def test_every_take_lies_in_all_and_in_its_split(store: DuetStore, tmp_path: Path) -> None:
    root = written(store, tmp_path, Z_AXES)
    for kind, name in (("motion/pos3d", f"{TAKE}_00.npy"), ("music/mp3", f"{TAKE}.mp3")):
        for part in ("all", "train"):
            assert (root / kind / part / name).is_file()
    assert (root / "motion/rotmat/test" / f"{TEST[0]}_01.npy").is_file()
    assert not (root / "motion/rotmat/train" / f"{TEST[0]}_01.npy").exists()


def test_the_tables_are_those_that_were_read(store: DuetStore, tmp_path: Path) -> None:
    source = write_preprocessed(tmp_path / "source", (TAKE,))
    root = written(store, tmp_path / "data", Z_AXES)
    for kind in ("pos3d", "rotmat"):
        for suffix in ("00", "01"):
            file = f"motion/{kind}/train/{TAKE}_{suffix}.npy"
            theirs, ours = np.load(source / file), np.load(root / file)
            np.testing.assert_allclose(ours, theirs[:40], atol=1e-4)


def test_a_dance_is_laid_out_as_the_authors_evaluation(store: DuetStore, tmp_path: Path) -> None:
    duet = store.clip(TAKE).duet
    write_dance(tmp_path, TAKE, duet, Z_AXES)
    for suffix, motion, gender in (("00", duet.follower, "female"), ("01", duet.leader, "male")):
        joints = np.load(tmp_path / f"npy/pos3d/ep0000/{TAKE}_{suffix}.npy")
        assert joints.shape == (1, 40, 165)
        wanted = motion.joints @ Z_UP.T
        np.testing.assert_allclose(joints[0], wanted.flatten(1).numpy(), atol=1e-5)
        with warnings.catch_warnings():  # numpy 2 calls its old module name deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            array = np.load(tmp_path / f"npy/ep0000/{TAKE}_{suffix}.npy", allow_pickle=True)
        values = array.item()
        assert array.shape == (1,) and values["meta"] == {"gender": gender}
        assert values["poses"].shape == (40, 55, 3) and "betas" not in values
        pelvis = values["transl"] + np.array(SMPLX_PELVIS)
        np.testing.assert_allclose(pelvis, wanted[:, 0].numpy(), atol=1e-5)
        rotations = axis_angle_to_matrix(torch.from_numpy(values["poses"]))
        torch.testing.assert_close(rotations[:, 1:], motion.rotations[:, 1:], atol=1e-5, rtol=0)


def test_the_global_orientation_is_that_of_the_pelvis(store: DuetStore, tmp_path: Path) -> None:
    write_dance(tmp_path, TAKE, store.clip(TAKE).duet, Z_AXES)
    for suffix in ("00", "01"):
        values = load_object_npy(tmp_path / f"npy/ep0000/{TAKE}_{suffix}.npy")
        np.testing.assert_array_equal(values["global_orient"], values["poses"][:, 0])


def test_a_dance_of_mean_bodies_comes_back_through_the_models(
    models: Path, store: DuetStore, tmp_path: Path
) -> None:
    duet = store.clip(TAKE).duet
    write_dance(tmp_path, TAKE, duet, Z_AXES, models)
    for suffix, motion, gender in (("00", duet.follower, "female"), ("01", duet.leader, "male")):
        values = load_object_npy(tmp_path / f"npy/ep0000/{TAKE}_{suffix}.npy")
        poses, transl = (torch.from_numpy(values[name]) for name in ("poses", "transl"))
        made = BodyModel.load(models, gender).motion(poses, transl, torch.zeros(10), 30.0)
        torch.testing.assert_close(made.root @ Z_UP, motion.root, atol=1e-4, rtol=0)
