"""How a run stands is read off its folder, whatever state that is in."""

import shutil
from pathlib import Path

import pytest

from duet_rl.errors import InputError
from duet_rl.run_log import METRICS
from duet_rl.status.read import StageStatus, read_run
from tests.status.runs import NOW, pretrain_rows, rl_rows, write_finished, write_log

HOUR = 3600.0


def stages(folder: Path) -> dict[str, StageStatus]:
    return {stage.name: stage for stage in read_run(folder, now=NOW).stages}


def test_a_run_is_read_stage_by_stage(tmp_path: Path):
    write_log(tmp_path / "logs" / "pose", pretrain_rows(100, 100), age=HOUR)
    write_finished(tmp_path / "pose", steps=100, seconds=75.0)
    write_log(tmp_path / "logs" / "follower", pretrain_rows(40, 400), age=3.0)
    found = stages(tmp_path)
    pose, follower = found["pose"], found["follower"]
    assert (pose.state, pose.step, pose.seconds) == ("done", 100, 75.0)
    assert (follower.state, follower.step, follower.total) == ("running", 40, 400)
    assert follower.left == pytest.approx(0.5 * 360)
    assert read_run(tmp_path, now=NOW).is_alive


@pytest.mark.parametrize(
    ("age", "each", "state"),
    [(30.0, 0.1, "running"), (90.0, 0.1, "stopped"), (90.0, 30.0, "running")],
)
def test_a_slow_training_may_be_silent_for_longer_than_a_fast_one(
    tmp_path: Path, age: float, each: float, state: str
):
    write_log(tmp_path / "rl_work", rl_rows(5, 100, each), age=age)
    assert stages(tmp_path)["rl"].state == state


def test_a_stopped_run_of_rl_says_from_where_it_would_go_on(tmp_path: Path):
    write_log(tmp_path / "rl_work", rl_rows(27, 100), age=HOUR)
    write_finished(tmp_path / "rl_work" / "state", iterations=20)
    rl = stages(tmp_path)["rl"]
    assert (rl.state, rl.step, rl.total, rl.saved, rl.left) == ("stopped", 27, 100, 20, None)


def test_a_finished_run_that_goes_on_is_not_done(tmp_path: Path):
    write_finished(tmp_path / "rl", iterations=20)
    log = write_log(tmp_path / "rl_work", rl_rows(20, 20), age=-HOUR * 1e6)
    assert stages(tmp_path)["rl"].state == "done"
    write_log(log.parent, rl_rows(25, 40), age=-HOUR * 1e6)  # newer than what is finished
    assert stages(tmp_path)["rl"].state == "running"


def test_a_copy_of_a_finished_run_is_done_though_its_files_are_new(tmp_path: Path):
    write_finished(tmp_path / "pose", steps=100)
    write_log(tmp_path / "logs" / "pose", pretrain_rows(100, 100))
    shutil.copytree(tmp_path / "pose", tmp_path / "copy" / "pose")
    shutil.copytree(tmp_path / "logs", tmp_path / "copy" / "logs")
    assert [stage.state for stage in read_run(tmp_path / "copy").stages] == ["done"]


def test_a_stage_without_its_log_is_known_by_its_folder(tmp_path: Path):
    write_finished(tmp_path / "pose", steps=100, seconds=2.0)
    pose = stages(tmp_path)["pose"]
    assert (pose.state, pose.step, pose.rows) == ("done", 100, ())


def test_an_old_log_without_pace_is_read_for_what_it_has(tmp_path: Path):
    rows = [{"step": step, "reward/total": 0.5} for step in (1, 2, 3)]
    write_log(tmp_path / "rl_work", rows, age=1.0)
    rl = stages(tmp_path)["rl"]
    assert (rl.step, rl.total, rl.each, rl.left) == (3, None, None, None)


def test_each_training_of_a_comparison_is_named_by_its_folder(tmp_path: Path):
    for cell in ("topr", "ppo"):
        write_log(tmp_path / "cells" / cell / "rl_work", rl_rows(3, 10), age=1.0)
    assert sorted(stages(tmp_path)) == ["cells/ppo/rl", "cells/topr/rl"]


def test_what_a_worker_found_wrong_is_said(tmp_path: Path):
    write_log(tmp_path / "logs" / "pose", pretrain_rows(20, 100), age=HOUR)
    (tmp_path / "logs" / "fault.txt").write_text("the loss of stage pose is nan\n at step 20")
    pose = stages(tmp_path)["pose"]
    assert pose.state == "failed" and "the loss of stage pose is nan at step 20" in pose.faults


def damage(run: Path, how: str) -> None:
    """Do to a run what crashes, disks and people do."""
    log = run / "rl_work" / METRICS
    content = log.read_bytes()
    match how:
        case "half a line":
            log.write_bytes(content[:-20])
        case "bytes amid the log":
            log.write_bytes(content[:100] + b"\xff\xfe\x00" * 20 + content[200:])
        case "other things in lines":
            log.write_bytes(b'5\n[1]\n{"step": "x"}\n{"step": NaN}\n' + content + b"null\n")
        case "an empty log":
            log.write_bytes(b"")
        case "meta.json cut":
            (run / "rl_work" / "state" / "meta.json").write_text('{"kind": ')
        case "meta.json of another program":
            (run / "rl_work" / "state" / "meta.json").write_text("[1, 2]")
        case "stages.json cut":
            (run / "stages.json").write_text('{"data": {"sec')


@pytest.mark.parametrize(
    ("how", "steps", "faults"),
    [
        ("half a line", 9, 0),  # it is being written, or was
        ("bytes amid the log", 10, 1),
        ("other things in lines", 10, 1),
        ("an empty log", 0, 0),
        ("meta.json cut", 10, 1),
        ("meta.json of another program", 10, 1),
        ("stages.json cut", 10, 0),
    ],
)
def test_a_damaged_run_is_read_for_what_is_whole(tmp_path: Path, how: str, steps: int, faults: int):
    write_log(tmp_path / "rl_work", rl_rows(10, 20), age=HOUR)
    write_finished(tmp_path / "rl_work" / "state", iterations=10)
    damage(tmp_path, how)
    rl = stages(tmp_path)["rl"]
    assert rl.step == steps and len(rl.faults) == faults, rl.faults
    assert ("stages.json" in stages(tmp_path)) == (how == "stages.json cut")


def test_numbers_that_are_none_have_no_place_in_a_curve(tmp_path: Path):
    rows = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "kl": 0.5}]
    write_log(tmp_path / "rl_work", rows)
    assert stages(tmp_path)["rl"].curve("loss") == ([1.0], [1.0])


def test_a_folder_without_a_training_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no training"):
        read_run(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_run(tmp_path / "nothing")
