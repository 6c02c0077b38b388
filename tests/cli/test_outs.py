"""Where results go: never over what is read, never into each other, never into a store."""

import shutil
from pathlib import Path

import pytest

from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import CLIPS
from duet_rl.generate.samples import places_of, write_samples
from duet_rl.mocap.bvh import write_bvh
from tests.cli.conftest import refusal, run

NOWHERE = Path("/proc")  # a folder in which no file can be made, whoever asks


@pytest.fixture
def take(store: Path, tmp_path: Path) -> Path:
    """A leader's file of somebody's own."""
    write_bvh(tmp_path / "take.leader.bvh", DuetStore.open(store).clips()[0].duet.leader)
    return tmp_path / "take.leader.bvh"


@pytest.fixture
def words(follower: Path, store: Path, take: Path) -> tuple[object, ...]:
    music = DuetStore.open(store).clips()[0].audio
    return "generate", "--checkpoint", follower, "--leader", take, "--music", music


@pytest.mark.parametrize("name", ["take.leader.bvh", "take.bvh", "deeper/../take.leader.bvh"])
def test_a_leaders_own_file_is_never_written_over(words, take: Path, name: str) -> None:
    before = take.read_bytes()
    said = refusal(*words, "--out", take.parent / name)
    assert "is read, and would be written over" in said and "take.leader.bvh" in said
    assert take.read_bytes() == before and [*take.parent.iterdir()] == [take]


@pytest.mark.parametrize(
    "names", [("a.html", "a.html"), ("a.bvh", "a.leader.bvh"), ("a.npz", "./a.npz")]
)
def test_two_outs_that_are_one_file_are_refused(words, take: Path, names: tuple[str, str]) -> None:
    said = refusal(*words, "--out", *(take.parent / name for name in names))
    assert "would be written twice" in said
    assert [*take.parent.iterdir()] == [take]


def test_a_take_is_not_edited_in_its_own_file(take: Path) -> None:
    asked = ("--say", "raise the left arm", "--checkpoint", take.parent)
    assert "is read" in refusal("edit", take, *asked, "--out", take)
    there = ("--out", take.parent / "a.html", "--report", take.parent / "a.html")
    assert "would be written twice" in refusal("edit", take, *asked, *there)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("suffix", [".npz", ".bvh", ".html"])
def test_the_places_of_dances_are_foretold(
    store: Path, tmp_path: Path, suffix: str, count: int
) -> None:
    couple = DuetStore.open(store).clips()[0].duet
    path = tmp_path / f"dance{suffix}"
    written = write_samples([couple.follower] * count, path, couple.leader)
    foretold = places_of(path, count, "leader")
    assert sorted(tmp_path.iterdir()) == sorted(foretold)
    assert foretold[: len(written)] == written


@pytest.mark.skipif(not NOWHERE.is_dir(), reason="Linux has it")
def test_a_place_that_takes_no_files_is_told_before_any_work(words) -> None:
    assert "cannot be written" in refusal(*words, "--out", NOWHERE / "x.html")


def test_a_name_that_no_disk_takes_is_told_in_a_line(words) -> None:
    assert "name too long" in refusal(*words, "--out", "n" * 300 + ".html")
    assert "name too long" in refusal("status", "n" * 300)


def test_a_whole_run_dances_as_its_follower(
    follower: Path, store: Path, take: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "follower").symlink_to(follower)
    music = DuetStore.open(store).clips()[0].audio
    for place in (tmp_path / "run", follower):
        asked = ("--leader", take, "--music", music, "--out", tmp_path / place.name / "d.bvh")
        made = run("generate", "--checkpoint", place, *asked)
        assert made.exit_code == 0, made.output
    of_run, of_follower = (tmp_path / name / "d.bvh" for name in ("run", "follower"))
    assert of_run.read_bytes() == of_follower.read_bytes()


def test_a_seed_that_no_generator_takes_is_refused(words, tmp_path: Path) -> None:
    said = run(*words, "--out", tmp_path / "d.npz", "--seed", 10**20)
    assert said.exit_code == 2 and "--seed" in said.output


def test_a_run_is_not_trained_into_a_store(store: Path, follower: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(store, data)
    there = sorted(data.rglob("*"))
    asked = ("--data", data, "--out", data)
    assert "is a store of clips" in refusal("pretrain", "pose", *asked)
    assert "is a store of clips" in refusal("rl", *asked, "--follower", follower)
    assert sorted(data.rglob("*")) == there


def test_a_dancer_is_not_paired_with_himself(store: Path, tmp_path: Path) -> None:
    same = ("--leader", "*", "--follower", "*")
    said = refusal("prepare", "bvh-pairs", store / CLIPS, *same, "--out", tmp_path / "s")
    assert "both '*'" in said and not (tmp_path / "s").exists()


def test_curves_are_drawn_as_png_alone(tmp_path: Path) -> None:
    assert "name a .png" in refusal("status", tmp_path, "--png", tmp_path / "x.txt")
