"""AIST++ becomes a store of soloists: its bones, its splits, its songs; bad files are named."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duet_rl.audio.files import read_audio
from duet_rl.body.contact import feet_above_floor
from duet_rl.body.heading import facing_angle
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import UP
from duet_rl.datasets.aistpp import AistppConfig, floor_height, prepare_sequences
from duet_rl.datasets.aistpp_files import find_sequences, music_of
from duet_rl.datasets.hearing import hear
from duet_rl.datasets.prepare import PrepareConfig
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.meshes.smpl import BODY_JOINTS, HANDS, SmplBody
from duet_rl.meshes.stand_in_smpl import write_smpl_stand_in
from tests.datasets.aistpp_tree import (
    FRAMES,
    IGNORED,
    SCALE,
    SEQUENCES,
    TEST,
    TRAIN,
    UNLISTED,
    VAL,
    parameters,
    save,
    write_tree,
)

HERE = PrepareConfig(parallel=False)
NAME = TRAIN[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smpl_stand_in(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("aist") / "annotations")


@pytest.fixture(scope="module")
def store(tree: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    return prepared(tree, model, tmp_path_factory.mktemp("stores") / "store")


@pytest.fixture
def root(tree: Path, tmp_path: Path) -> Path:
    """A data set of one sequence to spoil."""
    root = Path(shutil.copytree(tree, tmp_path / "data"))
    for split in ("val", "test"):
        (root / "splits" / f"crossmodal_{split}.txt").write_text("")
    (root / "splits/crossmodal_train.txt").write_text(f"{NAME}\n")
    return root


def prepared(
    root: Path, model: Path, out: Path, preparation: PrepareConfig = HERE, **settings: Any
) -> DuetStore:
    return prepare_sequences(
        root, out, AistppConfig(**settings), model, preparation, progress=False
    )


def test_every_sequence_of_the_lists_is_there_but_those_ignored(store: DuetStore) -> None:
    assert [record.name for record in store.records()] == sorted(SEQUENCES)
    assert not {*IGNORED, *UNLISTED} & {record.name for record in store.records()}
    assert {record.style for record in store.records("test")} == {"la_hip_hop", "middle_hip_hop"}


def test_the_splits_are_the_authors(store: DuetStore) -> None:
    for split, names in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        assert [record.name for record in store.records(split)] == sorted(names)


def test_validation_counts_as_testing_if_asked(tree: Path) -> None:
    found = {s.name: s.split for s in find_sequences(tree, val_is_test=True)}
    assert {name for name, split in found.items() if split == "test"} == {*VAL, *TEST}


def test_rl_gets_its_share_out_of_training(tree: Path, model: Path, tmp_path: Path) -> None:
    kept = HERE.model_copy(update={"split": SplitConfig(rl=0.3)})
    store = prepared(tree, model, tmp_path / "store", kept)
    assert len(store.records("rl")) == 2 and len(store.records("train")) == 2
    assert [record.name for record in store.records("test")] == sorted(TEST)


def test_clips_are_soloists_at_30_fps_with_the_joints_of_smpl(
    store: DuetStore, model: Path
) -> None:
    clip, values = store.clip(NAME), parameters(0)
    poses = torch.from_numpy(values["smpl_poses"]).unflatten(1, (24, 3))
    transl = torch.from_numpy(values["smpl_trans"] / SCALE)
    whole = SmplBody.load(model).motion(poses, transl, 60.0)
    dancer = clip.duet.follower
    assert clip.solo and clip.frames == 72 and dancer.fps == 30
    ours = [*range(BODY_JOINTS), *HANDS]
    theirs = whole.joints[::2][:72, ours]
    distances = torch.cdist(dancer.joints[:, ours], dancer.joints[:, ours])
    torch.testing.assert_close(distances, torch.cdist(theirs, theirs), atol=1e-4, rtol=0)
    turns = dancer.rotations[:, 1:BODY_JOINTS]
    wanted = axis_angle_to_matrix(poses[::2][:72, 1:BODY_JOINTS]).float()
    torch.testing.assert_close(turns, wanted, atol=1e-4, rtol=0)


def test_dances_begin_on_the_stage_and_stand_on_the_floor(store: DuetStore) -> None:
    for clip in store.clips():
        first = clip.duet.follower.joints[0, 0]
        assert first[[0, 2]].abs().max() < 1e-5
        assert abs(float(facing_angle(clip.duet.follower.joints[None])[0, 0])) < 1e-4
        assert abs(floor_height(clip.duet.follower.joints)) < 0.01
        assert float(feet_above_floor(clip.duet.follower.joints).amin()) < 0.0


def test_the_floor_of_the_files_stays_where_it_is_if_asked(
    root: Path, model: Path, tmp_path: Path
) -> None:
    mended = prepared(root, model, tmp_path / "a").clip(NAME).duet.follower
    kept = prepared(root, model, tmp_path / "b", floor="file").clip(NAME).duet.follower
    moved = (kept.joints - mended.joints)[..., UP]
    assert float(moved.std()) < 1e-4 and abs(float(moved.mean())) > 0.02
    torch.testing.assert_close(kept.joints[..., 0], mended.joints[..., 0])


def test_songs_go_by_the_fifth_field_and_as_far_as_the_dance(store: DuetStore) -> None:
    assert music_of("gWA_sBM_cAll_d25_mWA0_ch01") == "mWA0"
    one, same, other = (store.clip(name) for name in TRAIN[:3])
    assert torch.equal(one.music, same.music) and not torch.equal(one.music, other.music)
    assert one.audio is not None
    samples, rate = read_audio(one.audio)
    assert len(samples) == round(FRAMES / 60 * rate)
    assert hear(one, "bailando_fixed").shape == (72, 438)


def test_whole_songs_are_kept_if_asked(root: Path, model: Path, tmp_path: Path) -> None:
    clip = prepared(root, model, tmp_path / "store", whole_songs=True).clip(NAME)
    assert clip.audio is not None
    samples, rate = read_audio(clip.audio)
    assert len(samples) == 3 * rate and clip.frames == 72


def test_the_same_command_again_makes_nothing_anew(
    tree: Path, model: Path, store: DuetStore
) -> None:
    assert prepared(tree, model, store.path).hash == store.hash


@pytest.mark.parametrize("top", ["aist_plusplus_final", "annotations"])
def test_annotations_may_lie_in_their_own_folder_and_songs_elsewhere(
    tree: Path, tmp_path: Path, top: str
) -> None:
    shutil.copytree(tree, tmp_path / top)
    songs = shutil.move(tmp_path / top / "music", tmp_path / "songs")
    found = find_sequences(tmp_path, Path(songs))
    assert [sequence.name for sequence in found] == sorted(SEQUENCES)
    with pytest.raises(InputError, match="give one with --music"):
        find_sequences(tmp_path)


def test_what_is_missing_is_listed_or_left_out(
    tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(shutil.copytree(tree, tmp_path / "data"))
    (root / "motions" / f"{NAME}.pkl").unlink()
    (root / "music/mWA0.wav").unlink()
    with pytest.raises(InputError, match=rf"2 of 7 .*{NAME} \(no motion\), .*no music mWA0"):
        find_sequences(root)
    with caplog.at_level(logging.WARNING):
        found = find_sequences(root, skip_bad=True)
    assert len(found) == len(SEQUENCES) - 2 and "left out" in caplog.text


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ("splits/crossmodal_val.txt", "crossmodal_val.txt does not exist"),
        ("ignore_list.txt", "ignore_list.txt does not exist"),
    ],
)
def test_missing_lists_are_told(root: Path, spoilt: str, told: str) -> None:
    (root / spoilt).unlink()
    with pytest.raises(InputError, match=told):
        find_sequences(root)


def test_a_folder_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folders motions/ and splits/"):
        find_sequences(tmp_path)


def test_a_sequence_in_two_splits_is_refused(root: Path) -> None:
    (root / "splits/crossmodal_test.txt").write_text(f"{NAME}\n")
    with pytest.raises(InputError, match=f"{NAME} is in the splits train and test"):
        find_sequences(root)


def test_a_name_of_no_sequence_is_refused(root: Path) -> None:
    (root / "splits/crossmodal_test.txt").write_text("Waltz_001_01\n")
    with pytest.raises(InputError, match="'Waltz_001_01' is no sequence"):
        find_sequences(root)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"smpl_poses": np.zeros((FRAMES, 66))}, rf"smpl_poses has the shape \({FRAMES}, 66\)"),
        ({"smpl_trans": np.zeros((FRAMES - 1, 3))}, f"{FRAMES} frames of smpl_poses and"),
        ({"smpl_trans": np.full((FRAMES, 3), np.nan)}, "smpl_trans holds NaN"),
        ({"smpl_scaling": np.array([0.0])}, r"smpl_scaling is \[0.0\]; wanted one number above 0"),
        ({"smpl_poses": None}, "smpl_poses holds NaN or no numbers"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    root: Path, model: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    save(root / "motions" / f"{NAME}.pkl", {**parameters(0), **changes})
    with pytest.raises(InputError, match=rf"take {NAME}: .*{NAME}\.pkl.*{told}"):
        prepared(root, model, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_pickle_that_runs_something_is_not_run(root: Path, model: Path, tmp_path: Path) -> None:
    written = tmp_path / "written"
    program = f"cposix\nsystem\n(S'touch {written}'\ntR.".encode()
    (root / "motions" / f"{NAME}.pkl").write_bytes(program)
    with pytest.raises(InputError, match=r"posix\.system.*not run"):
        prepared(root, model, tmp_path / "store")
    assert not written.exists()
