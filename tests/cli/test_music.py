"""A follower hears music as it learned to, or says that it cannot."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from duet_rl.audio import features
from duet_rl.audio.provenance import AUTHORS
from duet_rl.datasets.store import DuetStore
from duet_rl.generate import command
from duet_rl.mocap.bvh import write_bvh
from tests.cli.conftest import refusal, run

MISFIT = r"0.8 at 15360 Hz"


@pytest.fixture
def old_follower(follower: Path, tmp_path: Path) -> Path:
    """The untrained follower, as if it had learned from the features of librosa 0.8."""
    folder = tmp_path / "run" / "follower"
    shutil.copytree(follower, folder)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "music": AUTHORS}))
    return folder


def test_generate_hears_as_the_follower_learned(
    follower: Path, old_follower: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = DuetStore.open(store).clips()[0]
    write_bvh(tmp_path / "leader.bvh", clip.duet.leader)
    heard: list[str] = []
    real: Callable = features.music_features_of

    def listening(path: Path, compat: str):  # type: ignore[no-untyped-def]
        heard.append(compat)
        return real(path, compat=compat)

    monkeypatch.setattr(command, "music_features_of", listening)
    for checkpoint in (follower, old_follower):
        result = run(
            *("generate", "--checkpoint", checkpoint, "--leader", tmp_path / "leader.bvh"),
            *("--music", clip.audio, "--out", tmp_path / "f.npz"),
        )
        assert result.exit_code == 0, result.output
    assert heard == ["0.11", "0.8"]


def test_a_follower_is_not_measured_on_music_that_it_cannot_hear(
    old_follower: Path, store: Path
) -> None:
    said = refusal("evaluate", "--data", store, f"old={old_follower}")
    assert "'old' learned" in said and "prepare.music.compat=0.8" in said


def test_a_follower_is_not_refined_on_music_that_it_cannot_hear(
    old_follower: Path, store: Path
) -> None:
    said = refusal("rl", "--data", store, "--out", old_follower.parent)
    assert MISFIT in said and not (old_follower.parent / "rl").exists()


@pytest.mark.parametrize("stage", ["follower", "all"])
def test_a_follower_is_not_replaced_by_one_that_hears_otherwise(
    old_follower: Path, store: Path, stage: str
) -> None:
    said = refusal("pretrain", stage, "--data", store, "--out", old_follower.parent)
    assert MISFIT in said and "in a folder of its own" in said


def test_a_store_that_was_heard_otherwise_is_not_added_to(store: Path) -> None:
    said = refusal("prepare", "synthetic", "--out", store, "prepare.music.compat=0.8")
    assert "set prepare.music.compat=0.11" in said
