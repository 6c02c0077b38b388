"""DD100 on the command line: in, out, danced by a follower, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from duet_rl.datasets.store import DuetStore
from tests.cli.conftest import refusal, run
from tests.datasets.dd100_tree import TEST, TRAIN, write_preprocessed

TAKES = (TRAIN[0], TEST[0])
HERE = "prepare.parallel=false"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_preprocessed(tmp_path_factory.mktemp("dd100") / "data", TAKES)


@pytest.fixture(scope="module")
def dances(root: Path) -> Path:
    """A store of the takes, whose music features are heard from the music."""
    out = root.parent / "store"
    result = run("prepare", "dd100", root, "--out", out, "--features", HERE, "dd100.music=audio")
    assert result.exit_code == 0, result.output
    return out


def test_reading_tells_counts_and_checksums(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    said = run("prepare", "dd100", root, "--out", out, "--features", HERE).output
    assert "1 train and 1 test takes; the whole DD100 has 133 and 34" in said
    assert "inputs.sha256" in said and (out / "inputs.sha256").is_file()


def test_what_is_written_is_read_again(dances: Path, tmp_path: Path) -> None:
    assert "2 takes" in run("export", "dd100", dances, "--out", tmp_path / "data").output
    again = tmp_path / "again"
    run("prepare", "dd100", tmp_path / "data", "--out", again, "--features", HERE)
    for one, other in zip(
        DuetStore.open(dances).clips(), DuetStore.open(again).clips(), strict=True
    ):
        difference = one.duet.follower.joints - other.duet.follower.joints
        assert one.name == other.name and difference.abs().max() < 1e-4


def test_a_followers_dances_are_written_for_the_test_split(
    dances: Path, follower: Path, tmp_path: Path
) -> None:
    out = tmp_path / "eval"
    said = run("export", "dd100", dances, "--out", out, "--checkpoint", follower).output
    assert "1 takes" in said
    names = {path.name for path in (out / "npy/pos3d/ep0000").iterdir()}
    assert names == {f"{TEST[0]}_00.npy", f"{TEST[0]}_01.npy"}
    danced, led = (
        np.load(out / f"npy/pos3d/ep0000/{TEST[0]}_{suffix}.npy") for suffix in "00 01".split()
    )
    assert danced.shape == led.shape == (1, 40, 165)
    truth = DuetStore.open(dances).clip(TEST[0]).duet
    height = led[0].reshape(40, 55, 3)[..., 2]  # z is up in the files
    np.testing.assert_allclose(height, truth.leader.joints[..., 1].numpy(), atol=1e-5)


def test_a_follower_of_other_music_is_refused(root: Path, follower: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run("prepare", "dd100", root, "--out", store, "--features", HERE)
    said = refusal("export", "dd100", store, "--out", tmp_path / "e", "--checkpoint", follower)
    assert "librosa 0.8" in said and not (tmp_path / "e").exists()


def test_one_way_of_reading_must_be_given(root: Path, tmp_path: Path) -> None:
    for options in ((), ("--features", "--smplx", tmp_path)):
        said = refusal("prepare", "dd100", root, "--out", tmp_path / "s", *options)
        assert "--smplx MODELS or with --features" in said


def test_a_wrong_axis_or_split_is_refused(root: Path, dances: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--out", out, "--features", HERE, "dd100.up=y")
    assert "set dd100.up=z" in refusal("prepare", "dd100", root, *options)
    assert "'dev'" in refusal("export", "dd100", dances, "--out", out, "--split", "dev")
    assert "has no takes" in refusal("export", "dd100", dances, "--out", out, "--split", "val")
    assert not out.exists()


def test_nothing_is_overwritten(dances: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    assert "exists already" in refusal("export", "dd100", dances, "--out", tmp_path)


def test_missing_models_are_named(root: Path, tmp_path: Path) -> None:
    said = refusal("prepare", "dd100", root, "--out", tmp_path / "s", "--smplx", tmp_path / "no")
    assert "SMPLX_FEMALE.npz" in said and not (tmp_path / "s").exists()
