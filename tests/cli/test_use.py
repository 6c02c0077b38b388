"""The commands that use a follower, on one that has learned nothing."""

import json
from pathlib import Path

import pytest
import torch

from duet_rl.body.bvh import write_bvh
from duet_rl.body.retarget import read_motion
from duet_rl.datasets.store import DuetStore
from tests.cli.conftest import run


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
    out = tmp_path / "table.json"
    result = run(
        *("evaluate", "--data", store, "--checkpoint", f"untrained={follower}", "--out", out),
        *("evaluate.seeds=2", "evaluate.split=train"),
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())["rows"]
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
    for file in (tmp_path / "a.json", tmp_path / "b.json"):
        run(
            *("evaluate", "--data", store, "--checkpoint", follower, "--out", file),
            f"evaluate.seeds={seeds}",
        )
        tables.append(json.loads(file.read_text()))
    assert tables[0] == tables[1]
