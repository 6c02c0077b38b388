"""DD100's preprocessed tables: found, refused, and read into clips that stand upright."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.datasets.dd100 import AUTHORS_MUSIC, DD100Config, counts, prepare_takes
from duet_rl.datasets.dd100_takes import CHECKSUMS, find_takes
from duet_rl.datasets.prepare import PrepareConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from tests.datasets.conftest import sway
from tests.datasets.dd100_tree import (
    TAKES,
    TEST,
    TRAIN,
    dancer,
    save,
    write_preprocessed,
    write_tables,
)

HERE = PrepareConfig(parallel=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_preprocessed(tmp_path_factory.mktemp("dd100") / "data")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A data set to spoil."""
    return Path(shutil.copytree(made, tmp_path / "data"))


def prepared(root: Path, out: Path, skip_bad: bool = False, **settings: object) -> DuetStore:
    preparation = HERE.model_copy(update={"skip_bad": skip_bad})
    return prepare_takes(root, out, DD100Config(**settings), None, preparation, progress=False)


def tables(root: Path, kind: str, take: str, suffix: str) -> Path:
    return next((root / "motion" / kind).glob(f"*/{take}_{suffix}.npy"))


def test_joints_and_rotations_become_clips_that_stand_upright(made: Path, tmp_path: Path) -> None:
    store = prepared(made, tmp_path / "store")
    assert [record.name for record in store.records()] == sorted(TAKES)
    clip = store.clip("Waltz_001_02")
    assert clip.frames == 40 and clip.style == "Waltz" and clip.choreography == "Waltz_001"
    for motion, seed in ((clip.duet.follower, 2), (clip.duet.leader, 3)):
        wanted = sway(42, seed)
        torch.testing.assert_close(motion.joints, wanted.joints[:40], atol=1e-5, rtol=0)
        torch.testing.assert_close(motion.rotations, wanted.rotations[:40], atol=1e-5, rtol=0)
        offsets = wanted.skeleton.offsets
        torch.testing.assert_close(motion.skeleton.offsets, offsets, atol=1e-5, rtol=0)


def test_the_authors_music_features_are_taken_as_they_are(made: Path, tmp_path: Path) -> None:
    store = prepared(made, tmp_path / "store")
    clip = store.clip(TRAIN[0])
    features = np.load(made / "music/feature/train" / f"{TRAIN[0]}.npy")
    np.testing.assert_array_equal(clip.music.numpy(), features[:40])
    assert clip.audio is not None and clip.audio.suffix == ".mp3" and clip.tempo == 120.0
    assert store.music == AUTHORS_MUSIC and "not computed here" in store.music["source"]


def test_music_can_be_heard_instead(made: Path, tmp_path: Path) -> None:
    store = prepared(made, tmp_path / "store", music="audio")
    features = np.load(made / "music/feature/train" / f"{TRAIN[0]}.npy")
    assert not np.allclose(store.clip(TRAIN[0]).music.numpy(), features[:40])
    assert store.music["compat"] == "0.11"


def test_y_up_files_are_read_when_said_so(tmp_path: Path) -> None:
    write_preprocessed(tmp_path / "data", TRAIN[:1], up="y")
    store = prepared(tmp_path / "data", tmp_path / "store", up="y")
    joints = store.clip(TRAIN[0]).duet.follower.joints
    torch.testing.assert_close(joints, sway(42, 0).joints[:40], atol=1e-5, rtol=0)


def test_the_test_split_is_that_of_the_authors(made: Path, tmp_path: Path) -> None:
    store = prepared(made, tmp_path / "store")
    assert {record.name for record in store.records("test")} == set(TEST)
    assert {record.name for record in store.records("train")} == set(TRAIN)
    assert "4 train and 2 test" in counts(store) and "133 and 34" in counts(store)


def test_val_takes_come_out_of_training_only(made: Path, tmp_path: Path) -> None:
    store = prepared(made, tmp_path / "store", val=0.2)
    assert {record.name for record in store.records("test")} == set(TEST)
    assert store.records("val") and store.records("train")


def test_a_store_that_grows_keeps_to_the_split(made: Path, root: Path, tmp_path: Path) -> None:
    for file in root.rglob("*_009_*"):
        file.unlink()
    prepared(root, tmp_path / "store")
    store = prepared(made, tmp_path / "store")
    assert {record.name for record in store.records("test")} == set(TEST)


def test_checksums_are_those_that_sha256sum_writes(made: Path, tmp_path: Path) -> None:
    store = prepared(made, tmp_path / "store")
    lines = (store.path / CHECKSUMS).read_text().splitlines()
    assert len(lines) == len(TAKES) * 6  # two tables of two dancers, features and the song
    for line in lines:
        value, name = line.split("  ")
        assert value == sha256_of(made / name)


def test_flat_folders_and_doubled_files_are_read(made: Path, root: Path, tmp_path: Path) -> None:
    for kind in ("motion/pos3d", "motion/rotmat", "music/feature"):
        flat = tmp_path / "flat" / Path(kind).name
        flat.mkdir(parents=True)
        for file in (root / kind).glob("*/*"):
            shutil.copy(file, flat)
        shutil.copytree(flat, root / kind / "all")  # the authors' folders hold each take twice
    found = [take.name for take in find_takes(tmp_path / "flat", music_tables=True)]
    assert found == sorted(TAKES)
    assert [take.name for take in find_takes(root, music_tables=True)] == found
    moved = root.rename(tmp_path / "pos3d")  # a name that is also a kind of table
    assert [take.name for take in find_takes(moved, music_tables=True)] == found


def test_two_files_of_one_name_that_differ_are_refused(root: Path) -> None:
    file = tables(root, "pos3d", TRAIN[0], "00")
    table = np.load(file)
    save(root / "motion/pos3d/all" / file.name, table + 1)
    with pytest.raises(InputError, match=r"pos3d/all/.* have one name and differ"):
        find_takes(root, music_tables=True)


def test_every_take_that_is_not_whole_is_named(root: Path, tmp_path: Path) -> None:
    tables(root, "pos3d", TRAIN[0], "01").unlink()
    tables(root, "rotmat", TRAIN[1], "00").unlink()
    (root / "music/feature/test" / f"{TEST[0]}.npy").unlink()
    with pytest.raises(InputError) as refused:
        prepared(root, tmp_path / "store")
    for told in (
        f"{TRAIN[0]} (no leader in pos3d)",
        f"{TRAIN[1]} (no follower in rotmat)",
        f"{TEST[0]} (no music)",
        "3 of 6 takes",
        "prepare.skip_bad=true",
    ):
        assert told in str(refused.value)
    store = prepared(root, tmp_path / "store", skip_bad=True)
    assert len(store.records()) == 3


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda music: music[:0], r"shape \(0, 54\)"),
        (lambda music: music[:, :53], r"shape \(62, 53\); wanted \(frames, 54\)"),
        (lambda music: np.where(np.arange(62)[:, None] == 7, np.nan, music), "NaN.*frame 7"),
        (lambda music: music[:2], "2 of music"),
    ],
    ids=["empty", "width", "nan", "short"],
)
def test_music_that_cannot_be_is_refused_by_take(
    root: Path, tmp_path: Path, spoil: object, told: str
) -> None:
    file = root / "music/feature/train" / f"{TRAIN[0]}.npy"
    save(file, spoil(np.load(file)))  # type: ignore[operator]
    with pytest.raises(InputError, match=f"take {TRAIN[0]}: .*{told}"):
        prepared(root, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    assert len(prepared(root, tmp_path / "store", skip_bad=True).records()) == 5


@pytest.mark.parametrize("kind", ["pos3d", "rotmat"])
def test_nan_frames_are_refused_by_file(root: Path, tmp_path: Path, kind: str) -> None:
    file = tables(root, kind, TRAIN[0], "01")
    table = np.load(file)
    table[[5, 9], 30] = np.nan
    save(file, table)
    with pytest.raises(InputError, match=f"{file.name}: .*NaN or infinity in 2 frames, first.* 5"):
        prepared(root, tmp_path / "store")


@pytest.mark.parametrize(("kind", "width"), [("pos3d", 72), ("rotmat", 495)])
def test_wrong_widths_are_refused(root: Path, tmp_path: Path, kind: str, width: int) -> None:
    file = tables(root, kind, TRAIN[0], "01")
    save(file, np.zeros((42, width), np.float32))
    with pytest.raises(InputError, match=rf"{file.name}: .*\(42, {width}\); wanted \(frames"):
        prepared(root, tmp_path / "store")


def test_tables_of_different_length_are_refused(root: Path, tmp_path: Path) -> None:
    file = tables(root, "pos3d", TRAIN[0], "01")
    save(file, np.load(file)[:30])
    with pytest.raises(InputError, match=r"30 frames .* and 42"):
        prepared(root, tmp_path / "store")


def test_joints_of_another_dance_than_the_rotations_are_refused(root: Path, tmp_path: Path) -> None:
    shutil.copy(tables(root, "rotmat", TRAIN[1], "01"), tables(root, "rotmat", TRAIN[0], "01"))
    with pytest.raises(InputError, match="not of one dance"):
        prepared(root, tmp_path / "store")


def test_matrices_that_are_no_rotations_are_refused(root: Path, tmp_path: Path) -> None:
    file = tables(root, "rotmat", TRAIN[0], "01")
    table = np.load(file)
    save(file, np.concatenate([table[:, 3:], table[:, :3]], axis=1))
    with pytest.raises(InputError, match="are no rotations"):
        prepared(root, tmp_path / "store")


@pytest.mark.parametrize(("is_up", "said"), [("z", "y"), ("y", "z")])
def test_a_wrong_up_axis_is_refused_and_the_right_one_named(
    tmp_path: Path, is_up: str, said: str
) -> None:
    write_preprocessed(tmp_path / "data", TRAIN[:1], up=is_up)
    with pytest.raises(InputError, match=f"along {is_up}.*set dd100.up={is_up}"):
        prepared(tmp_path / "data", tmp_path / "store", up=said)


def test_centimetres_are_told_from_metres(root: Path, tmp_path: Path) -> None:
    for kind, columns in (("pos3d", slice(None)), ("rotmat", slice(0, 3))):
        file = tables(root, kind, TRAIN[0], "01")
        table = np.load(file)
        table[:, columns] *= 100
        save(file, table)
    with pytest.raises(InputError, match="wanted in metres"):
        prepared(root, tmp_path / "store")


def test_partners_far_apart_are_no_couple(root: Path, tmp_path: Path) -> None:
    for kind, columns in (("pos3d", slice(0, None, 3)), ("rotmat", slice(0, 1))):
        file = tables(root, kind, TRAIN[0], "01")
        table = np.load(file)
        table[:, columns] += 900
        save(file, table)
    with pytest.raises(InputError, match=r"partners are \d{3} m apart"):
        prepared(root, tmp_path / "store")


def test_checksums_of_takes_that_the_store_has_stay(root: Path, tmp_path: Path) -> None:
    store = prepared(root, tmp_path / "store")
    before = (store.path / "inputs.sha256").read_text()
    for file in root.rglob(f"{TRAIN[0]}*"):
        file.unlink()
    prepared(root, tmp_path / "store")
    assert (store.path / "inputs.sha256").read_text() == before


def test_a_dancer_who_lies_is_not_said_to_have_another_axis(root: Path, tmp_path: Path) -> None:
    lying = dancer(0, "y")
    turned = lying.joints[..., [1, 0, 2]]  # the head now points along x
    file = tables(root, "pos3d", TRAIN[0], "00")
    save(file, turned.flatten(1).numpy())
    with pytest.raises(InputError, match=r"not of one dance|look at the take"):
        prepared(root, tmp_path / "store")


def test_a_floor_elsewhere_is_moved_to_zero(tmp_path: Path, caplog: object) -> None:
    write_preprocessed(tmp_path / "data", TRAIN[:1])
    for place, suffix in enumerate(("00", "01")):
        lifted = dancer(place).moved((0.0, 0.0, 1.5))
        write_tables(tmp_path / "data", TRAIN[0], suffix, lifted)
    prepared(tmp_path / "data", tmp_path / "far")
    assert "dd100.floor=1." in caplog.text  # type: ignore[attr-defined]
    joints = prepared(tmp_path / "data", tmp_path / "near", floor=1.5).clips()[0].duet.follower
    torch.testing.assert_close(joints.joints, sway(42, 0).joints[:40], atol=1e-5, rtol=0)


def test_partners_of_different_length_dance_as_long_as_the_shorter(
    root: Path, tmp_path: Path
) -> None:
    write_tables(root, TRAIN[0], "01", dancer(1, frames=30))
    assert prepared(root, tmp_path / "store").clip(TRAIN[0]).frames == 28


def test_a_folder_without_takes_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="motion/pos3d or motion/rotmat"):
        prepared(tmp_path, tmp_path / "store")


def test_pickled_tables_are_refused(root: Path, tmp_path: Path) -> None:
    save(tables(root, "pos3d", TRAIN[0], "01"), {"poses": np.zeros((42, 165))})
    with pytest.raises(InputError, match="is a dict; wanted numbers"):
        prepared(root, tmp_path / "store")
