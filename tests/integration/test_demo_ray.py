"""The demo on a very small world: it ends in a report, and the second run only looks again."""

import json
from pathlib import Path

import pytest

from duet_rl.config import resolve
from duet_rl.demo import SUFFIXES, run_demo
from duet_rl.mocap.read import read_motion
from duet_rl.run import RunConfig

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

SMALL = (
    *("synthetic.choreographies=6", "synthetic.seconds=2.5", "prepare.split.val=0.2"),
    *("pose.steps=8", "pose.batch_size=4", "translation.steps=8", "translation.batch_size=4"),
    *("follower.steps=8", "follower.batch_size=4", "follower.window_tokens=12"),
    *("follower.gpt.width=16", "follower.gpt.layers=1", "follower.gpt.heads=2"),
    *("rl.iterations=2", "rl.seconds=2", "rl.env_runners=1", "rl.leaders=1", "rl.new_groups=1"),
    *("rl.batch_groups=1", "evaluate.seeds=2"),
)
BASELINES = {"mirror", "nearest neighbour", "nearest, feet planted", "random tokens"}
ROWS = {"true partner", "pretrained", "RL", *BASELINES}


@pytest.mark.slow
def test_the_demo_ends_in_a_report_and_is_not_trained_twice(tmp_path: Path) -> None:
    config, said = resolve(RunConfig, "tiny", SMALL), []
    report = run_demo(config, tmp_path, say=said.append)
    assert {line.split()[0] for line in said[:5]} == {
        "data",
        "pretrain",
        "rl",
        "evaluate",
        "generate",
    }
    rows = json.loads((tmp_path / "evaluation.json").read_text())["rows"]
    assert rows.keys() == ROWS
    assert rows["true partner"]["reward/total"]["mean"] > rows["RL"]["reward/total"]["mean"]
    page = report.read_text()
    assert "http" not in page.split("<script")[0] and all(name in page for name in ROWS)
    files = [tmp_path / f"follower{suffix}" for suffix in SUFFIXES]
    assert all(file.stat().st_size > 1000 for file in files)
    assert read_motion(tmp_path / "follower.bvh").frames == 72  # 2.5 s in whole tokens

    weights = [tmp_path / stage / "meta.json" for stage in ("pose", "follower", "rl")]
    before = [file.stat().st_mtime_ns for file in weights]
    again: list[str] = []
    run_demo(config, tmp_path, say=again.append)
    assert before == [file.stat().st_mtime_ns for file in weights]
    assert [line for line in again if "done before" in line][-1].startswith("rl")
    assert again[-1] == said[-1]  # the same verdict
