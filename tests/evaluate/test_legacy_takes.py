"""Files of the original programs that cannot be used are refused by name."""

from pathlib import Path

import numpy as np
import pytest

from duet_rl.errors import InputError
from duet_rl.evaluate.legacy import published
from duet_rl.evaluate.legacy_takes import LENGTH_GAP, read_joints

FRAMES = 40


def joints(frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((frames, 165)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two takes, whole."""
    for take in ("Waltz_001_01", "Waltz_002_01"):
        for suffix in ("00", "01"):
            np.save(tmp_path / f"{take}_{suffix}.npy", joints())
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "Waltz_001_01_00.npy"


def refuses(folder: Path, says: str, **given: Path) -> None:
    with pytest.raises(InputError, match=says) as caught:
        published("duolando", folder, **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_whole_takes_are_read(folder: Path) -> None:
    assert published("duolando", folder).score("foot skating").sequences == 2


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (joints().reshape(-1, 55, 3)[:, :24], r"\(40, 24, 3\); wanted \(T, 165\)"),
        (joints()[:2], "at least 3 frames"),
        (joints()[0], "array of shape"),
        (joints()[None][[0, 0]], r"\(2, 40, 165\)"),
        (joints().astype(int), "int64; wanted a table of floating"),
        (np.where(joints() > 2, np.nan, joints()), "NaN or infinity"),
        (np.where(joints() > 2, np.inf, joints()), "NaN or infinity"),
    ],
)
def test_a_table_of_another_kind_is_refused(file: Path, table: np.ndarray, says: str) -> None:
    np.save(file, table)
    refuses(file.parent, says)
    refuses(file.parent, file.name)


def test_a_file_that_was_cut_off_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    refuses(file.parent, f"{file.name} is damaged")


def test_smplx_parameters_are_not_joints(file: Path) -> None:
    np.save(file, np.array({"poses": joints()}, dtype=object), allow_pickle=True)
    refuses(file.parent, "holds dict")


def test_a_dancer_alone_is_named(folder: Path) -> None:
    (folder / "Waltz_002_01_01.npy").unlink()
    refuses(folder, "Waltz_002_01 lack one of the two dancers")


def test_a_file_of_another_name_is_named(folder: Path) -> None:
    np.save(folder / "notes.npy", joints())
    refuses(folder, "holds notes;")


def test_dancers_of_one_take_are_about_as_long(file: Path) -> None:
    np.save(file, joints(FRAMES + LENGTH_GAP))
    assert published("duolando", file.parent).score("foot skating").sequences == 2
    np.save(file, joints(FRAMES + LENGTH_GAP + 1))
    refuses(
        file.parent, f"Waltz_001_01 has {FRAMES + LENGTH_GAP + 1} frames and the leader {FRAMES}"
    )


def test_every_dance_wants_its_music(folder: Path) -> None:
    music = folder / "music"
    music.mkdir()
    refuses(folder, "no music features", music=music)
    np.save(music / "Waltz_001_01.npy", np.zeros((FRAMES, 54), np.float32))
    refuses(folder, "no music for Waltz_002_01", music=music)
    np.save(music / "Waltz_002_01.npy", np.zeros((FRAMES, 53), np.float32))
    refuses(folder, r"\(40, 53\); wanted music features", music=music)


def test_of_many_evaluations_one_is_to_be_chosen(folder: Path, tmp_path: Path) -> None:
    for epoch in ("ep0010", "ep0020"):
        (tmp_path / "eval/npy/pos3d" / epoch).mkdir(parents=True)
    refuses(tmp_path / "eval", "2 evaluations, ep0010, ep0020")


def test_two_kinds_of_dances_in_one_folder_are_refused(folder: Path) -> None:
    (folder / "Waltz_001_01.npz").write_bytes(b"")
    refuses(folder, "those of one kind")


def test_all_layouts_of_a_table_are_the_same_dance(tmp_path: Path) -> None:
    table, path = joints(), tmp_path / "a.npy"
    for shape in ((FRAMES, 165), (1, FRAMES, 165), (FRAMES, 55, 3)):
        np.save(path, table.reshape(shape))
        assert np.array_equal(read_joints(path, 55).numpy(), table.reshape(FRAMES, 55, 3))
