"""The commands that use a follower, on one that has learned nothing."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.page import PAGE
from duet_rl.evaluate.table import CLIPS, JSON, TABLE
from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.npz import write_npz
from duet_rl.mocap.read import read_motion
from tests.cli.conftest import refusal, run


def test_generate_writes_every_file_that_is_asked_for(
    follower: Path, store: Path, tmp_path: Path
) -> None:
    clip = DuetStore.open(store).clips()[0]
    write_bvh(tmp_path / "leader.bvh", clip.duet.leader)
    outs = [tmp_path / f"f{suffix}" for suffix in (".npz", ".bvh", ".html")]
    result = run(
        *("generate", "--checkpoint", follower, "--leader", tmp_path / "leader.bvh"),
        *("--music", clip.audio, "--out", *outs),
    )
    assert result.exit_code == 0, result.output
    npz, bvh = read_motion(outs[0]), read_motion(outs[1])
    assert npz.frames == bvh.frames == clip.frames
    torch.testing.assert_close(npz.joints, bvh.joints, atol=1e-4, rtol=0)
    assert outs[2].read_text().startswith("<!DOCTYPE html>")


def test_evaluate_ranks_the_truth_over_noise(follower: Path, store: Path, tmp_path: Path) -> None:
    result = run(
        *("evaluate", f"untrained={follower}", "--data", store, "--out", tmp_path / "out"),
        *("evaluate.seeds=2", "evaluate.split=train", "evaluate.workers=1"),
    )
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / JSON).read_text())["rows"]
    total = {name: row["reward/total"]["mean"] for name, row in rows.items()}
    assert total["true partner"] > max(total["mirror"], total["random tokens"], total["untrained"])
    assert rows["true partner"]["root_error"]["mean"] == 0
    assert rows["untrained"]["diversity"]["mean"] > 0
    for name in total:
        assert name in result.output


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_same_evaluation_gives_the_same_numbers(
    follower: Path, store: Path, tmp_path: Path, seeds: int
) -> None:
    tables = []
    for out in (tmp_path / "a", tmp_path / "b"):
        run(
            *("evaluate", follower, "--data", store, "--out", out),
            *(f"evaluate.seeds={seeds}", "evaluate.workers=1", "evaluate.probe_clips=0"),
        )
        tables.append({file: (out / file).read_text() for file in (JSON, TABLE, CLIPS)})
        assert {path.name for path in out.iterdir()} == {JSON, TABLE, CLIPS, PAGE}
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_any_number_of_runs_stand_side_by_side(follower: Path, store: Path, tmp_path: Path) -> None:
    run_folder, dances = tmp_path / "run", tmp_path / "dances"
    shutil.copytree(follower, run_folder / "follower")
    dances.mkdir()
    for clip in DuetStore.open(store).clips("test"):
        write_npz(dances / f"{clip.name}.npz", clip.duet.follower)
    words = ("--data", store, "--out", tmp_path / "out", "evaluate.seeds=1", "evaluate.workers=1")
    result = run("evaluate", follower, run_folder, f"by.heart={dances}", *words)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / JSON).read_text())["rows"]
    names = list(rows)
    assert names[-3:] == [follower.name, "run", "by.heart"]
    assert rows[follower.name]["reward/total"]["values"] == rows["run"]["reward/total"]["values"]
    assert rows["by.heart"]["root_error"]["mean"] < 1e-3
    page = (tmp_path / "out" / PAGE).read_text()
    assert "by.heart: total" in page and f"over {follower.name}" in page


def test_folders_and_settings_are_told_apart(
    follower: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may be called as a value of a setting, or as sweeps call their trials."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val").mkdir()
    shutil.copytree(follower, tmp_path / "trial_lr=0.1")
    words = ("evaluate.split=val", "evaluate.seeds=1", "evaluate.workers=1")
    result = run("evaluate", "trial_lr=0.1", "--data", store, "--out", "out", *words)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / JSON).read_text())
    assert list(found["rows"])[-1] == "trial_lr=0.1"
    assert found["clips"] == [record.name for record in DuetStore.open(store).records("val")]


def test_what_cannot_be_evaluated_is_refused_in_one_line(
    follower: Path, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    data = ("--data", store, "--out", tmp_path / "out")
    assert "no data was named" in refusal("evaluate", follower)
    assert "neither a follower" in refusal("evaluate", tmp_path / "empty", *data)
    assert "does not exist" in refusal("evaluate", tmp_path / "nothing", *data)
    assert "two runs are called" in refusal("evaluate", follower, follower, *data)
    assert "seed" in refusal("evaluate", follower, *data, "evaluate.seed=3")
    alone = (*data, "evaluate.workers=1")
    assert "'gpu'" in refusal("evaluate", follower, *alone, "--device", "gpu")
    assert "GPUs here" in refusal("evaluate", follower, *alone, "--device", "cuda:99")
    assert not (tmp_path / "out" / JSON).exists()
