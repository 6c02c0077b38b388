"""Bad input on the command line: one line, exit code 2, nothing half-written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import ray

from duet_rl import checkpoint
from duet_rl.audio.files import write_wav
from duet_rl.datasets.store import DuetStore
from duet_rl.mocap.bvh import write_bvh
from tests.cli.conftest import refusal, run


@pytest.fixture
def take(store: Path, tmp_path: Path) -> Path:
    """A folder with one take: leader, follower and a song."""
    clip = DuetStore.open(store).clips()[0]
    write_bvh(tmp_path / "a_leader.bvh", clip.duet.leader)
    write_bvh(tmp_path / "a_follower.bvh", clip.duet.follower)
    write_wav(tmp_path / "a.wav", np.sin(np.arange(66150) / 20).astype(np.float32) / 2, 22050)
    return tmp_path


def dance(follower: Path, take: Path, out: Path) -> tuple[object, ...]:
    return (
        *("generate", "--checkpoint", follower, "--leader", take / "a_leader.bvh"),
        *("--music", take / "a.wav", "--out", out),
    )


def test_an_unknown_key_is_named() -> None:
    assert "did you mean 'lr'" in refusal("config", "rl.lrr=1")


def test_an_unknown_preset_is_named() -> None:
    assert "'huge'" in refusal("config", "--preset", "huge")


def test_training_without_data_is_refused(tmp_path: Path) -> None:
    said = refusal("pretrain", "all", "--data", tmp_path / "no", "--out", tmp_path / "run")
    assert "is no store" in said or "does not exist" in said
    assert not (tmp_path / "run").exists()


def test_a_follower_without_tokenizers_is_refused(store: Path, tmp_path: Path) -> None:
    said = refusal("pretrain", "follower", "--data", store, "--out", tmp_path / "run")
    assert "pretrain pose" in said


def test_rl_without_a_follower_is_refused(store: Path, tmp_path: Path) -> None:
    assert "follower" in refusal("rl", "--data", store, "--out", tmp_path / "run")


@pytest.mark.parametrize(
    ("word", "named"),
    [("rl.env=nope:X-v0", "'nope'"), ("rl.env_settings.enough=1", "'enough'")],
)
def test_a_wrong_environment_is_told_before_ray_starts(
    store: Path, follower: Path, tmp_path: Path, word: str, named: str
) -> None:
    asked = ("--data", store, "--out", tmp_path / "run", "--follower", follower)
    assert named in refusal("rl", *asked, word)
    assert not ray.is_initialized()


def test_a_demo_of_no_couples_leaves_nothing(tmp_path: Path) -> None:
    said = refusal("demo", "--data", tmp_path, "--leader", "A_*", "--out", tmp_path / "run")
    assert "A_*" in said and not (tmp_path / "run").exists() and not ray.is_initialized()


def test_a_missing_checkpoint_is_refused(take: Path) -> None:
    out = take / "f.npz"
    assert "does not exist" in refusal(*dance(take / "none", take, out))
    assert not out.exists()


def test_a_checkpoint_of_other_shape_is_refused(follower: Path, take: Path) -> None:
    other = take / "other"
    shutil.copytree(follower, other)
    config = other / checkpoint.CONFIG
    config.write_text(config.read_text().replace("width: 16", "width: 32"))
    assert "do not fit" in refusal(*dance(other, take, take / "f.npz"))


@pytest.mark.parametrize("name", ["a_leader.bvh", "a.wav"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "gone"])
def test_a_damaged_file_is_named_and_nothing_is_written(
    follower: Path, take: Path, name: str, damage: str
) -> None:
    file = take / name
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[: len(whole) // 2], "noise": b"\x00\xff" * 50}.get(damage, b""))
    if damage == "gone":
        file.unlink()
    assert name in refusal(*dance(follower, take, take / "f.bvh"))
    assert not list(take.glob("*f.bvh*"))


def test_nan_in_a_motion_is_refused(follower: Path, take: Path) -> None:
    file = take / "a_leader.bvh"
    lines = file.read_text().splitlines()
    lines[-2] = " ".join(["nan", *lines[-2].split()[1:]])
    file.write_text("\n".join(lines))
    refusal(*dance(follower, take, take / "f.npz"))


def test_an_unknown_suffix_is_refused_before_any_work(follower: Path, take: Path) -> None:
    assert ".mp4" in refusal(*dance(follower, take, take / "f.docx"))


def test_two_files_of_different_length_are_refused(take: Path, store: Path) -> None:
    clip = DuetStore.open(store).clips()[0]
    write_bvh(take / "a_follower.bvh", clip.duet.follower.slice(0, 40))
    said = refusal("prepare", "bvh-pairs", take, "--out", take / "s", "prepare.parallel=false")
    assert "a_leader.bvh" in said and "a_follower.bvh" in said and "40" in said
    assert not (take / "s").exists()


def test_foreign_joint_names_are_refused(take: Path) -> None:
    file = take / "a_leader.bvh"
    file.write_text(
        "HIERARCHY ROOT seil { OFFSET 0 0 0 CHANNELS 3 Zrotation Xrotation Yrotation JOINT knoten "
        "{ OFFSET 0 1 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 0 1 0 } } } "
        "MOTION Frames: 1 Frame Time: 0.033333 0 0 0 0 0 0"
    )
    said = refusal("prepare", "bvh-pairs", take, "--out", take / "s", "prepare.parallel=false")
    assert "knoten" in said and "no person is recognised" in said


def test_a_missing_partner_is_named(take: Path) -> None:
    (take / "a_follower.bvh").unlink()
    assert "a_leader.bvh" in refusal("prepare", "bvh-pairs", take, "--out", take / "s")


def test_every_command_explains_itself() -> None:
    commands = ("prepare", "pretrain", "rl", "generate", "evaluate", "demo", "config")
    for command in commands:
        assert run(command, "--help").exit_code == 0


def test_presets_are_printed_resolved() -> None:
    for preset in ("tiny", "small", "duolando", "live"):
        assert "causal" in run("config", "--preset", preset).output
