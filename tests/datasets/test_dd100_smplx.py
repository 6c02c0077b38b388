"""DD100's SMPL-X parameters: through the body model into clips, and back out."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duet_rl.datasets.dd100 import DD100Config, prepare_takes
from duet_rl.datasets.prepare import PrepareConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.pickles import load_object_npy
from tests.datasets.dd100_tree import FRAMES, TEST, TRAIN, Z_UP, parameters, save, write_raw
from tests.planted import writes

HERE = PrepareConfig(parallel=False)
TAKE = TRAIN[0]


def prepared(root: Path, models: Path, out: Path, **settings: Any) -> DuetStore:
    settings = {"music": "features", **settings}
    return prepare_takes(root, out, DD100Config(**settings), models, HERE, progress=False)


@pytest.fixture(scope="module")
def one_take(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw") / "data"
    write_raw(root, models, (TAKE,))
    return root


@pytest.fixture
def root(one_take: Path, tmp_path: Path) -> Path:
    """A data set of one take to spoil."""
    return Path(shutil.copytree(one_take, tmp_path / "data"))


def spoil(root: Path, **changes: Any) -> Path:
    """Change the follower's parameters; None takes one away."""
    file = root / "motion/smplx/train" / f"{TAKE}_00.npy"
    values = {**load_object_npy(file), **changes}
    return save(file, {name: value for name, value in values.items() if value is not None})


@pytest.mark.slow
def test_parameters_become_the_dancers_that_the_models_make(models: Path, tmp_path: Path) -> None:
    truth = write_raw(tmp_path / "data", models, (TAKE, TEST[0]))
    store = prepared(tmp_path / "data", models, tmp_path / "store")
    clip = store.clip(TAKE)
    for motion, suffix in ((clip.duet.follower, "00"), (clip.duet.leader, "01")):
        wanted = truth[f"{TAKE}_{suffix}"].joints[:40] @ Z_UP  # back to y up
        torch.testing.assert_close(motion.joints, wanted, atol=1e-4, rtol=0)
    follower, leader = clip.duet.follower.skeleton, clip.duet.leader.skeleton
    assert (follower.offsets - leader.offsets).abs().max() > 0.01  # each has a body of their own
    assert len(store.records("test")) == 1


def test_music_is_heard_unless_the_features_are_asked_for(
    models: Path, root: Path, tmp_path: Path
) -> None:
    store = prepared(root, models, tmp_path / "store", music="auto")
    assert store.music["compat"] == "0.11" and "source" not in store.music


def test_other_models_are_not_mistaken_for_the_first(
    models: Path, root: Path, tmp_path: Path
) -> None:
    prepared(root, models, tmp_path / "store")
    for gender in ("FEMALE", "MALE", "NEUTRAL"):
        file = tmp_path / f"SMPLX_{gender}.npz"
        with np.load(models / file.name) as arrays:
            np.savez(file, **{**arrays, "v_template": arrays["v_template"] * 1.1})
    with pytest.raises(InputError, match="made from other files"):
        prepared(root, tmp_path, tmp_path / "store")


def test_parameters_as_the_authors_generate_them_are_read(
    models: Path, root: Path, tmp_path: Path
) -> None:
    values, _ = parameters(models, 0, "female")
    file = spoil(root, poses=values["poses"].reshape(FRAMES, 55, 3), betas=None)
    save(file, np.array([load_object_npy(file)], dtype=object))
    clip = prepared(root, models, tmp_path / "store").clip(TAKE)
    assert clip.duet.follower.frames == 40


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"poses": np.zeros((FRAMES, 63))}, rf"poses has the shape \({FRAMES}, 63\)"),
        ({"poses": None}, "has no poses; it has global_orient"),
        ({"transl": np.zeros((FRAMES - 1, 3))}, f"{FRAMES} frames of poses and {FRAMES - 1}"),
        ({"transl": np.full((FRAMES, 3), np.nan)}, "transl holds NaN"),
        ({"poses": [[0.0] * 165]}, "poses is a list; wanted numbers"),
        ({"betas": np.zeros((FRAMES, 4))}, "betas of shape"),
        ({"meta": {"gender": "tall"}}, "gender 'tall'; wanted one of"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    models: Path, root: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    file = spoil(root, **changes)
    with pytest.raises(InputError, match=f"take {TAKE}: .*{file.name}.*{told}"):
        prepared(root, models, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_foreign_pickle_class_is_named_and_not_run(
    models: Path, root: Path, tmp_path: Path
) -> None:
    spoil(root, meta=writes(tmp_path / "written"))
    with pytest.raises(InputError, match=rf"take {TAKE}: .*{TAKE}_00\.npy.*system.*not run"):
        prepared(root, models, tmp_path / "store")
    assert not (tmp_path / "written").exists()


def test_a_wrong_up_axis_is_refused(models: Path, root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set dd100\.up=z"):
        prepared(root, models, tmp_path / "store", up="y")


def test_betas_that_change_are_told_and_averaged(
    models: Path, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    betas = np.zeros((FRAMES, 10))
    betas[::2] = 1.0
    spoil(root, betas=betas)
    prepared(root, models, tmp_path / "store")
    assert "betas change by 1 during the take" in caplog.text
