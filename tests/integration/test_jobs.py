"""Jobs on a head of their own, where our package is not installed: both roads, stop and resume."""

import shutil
import sys
from pathlib import Path

import pytest

from duet_rl import checkpoint
from duet_rl.config import resolve
from duet_rl.rl.run import FOLDER, STATE, WORK
from duet_rl.run import RunConfig, prepare_synthetic
from duet_rl.run_log import STEP, read_metrics
from duet_rl.storage.commits import contents_of
from duet_rl.storage.mirror import fetched
from duet_rl.storage.places import CACHE, cache_folder, open_place
from duet_rl.submit import STOPPED
from tests.integration.job_head import Head, job_head
from tests.integration.processes import ROOT, ended, started, wait_until

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
]

TOKEN = "a-token-that-this-cluster-asks-for"
START, END = 120.0, 240.0  # s, as `wait_until` counts them
MANY = 100_000  # iterations, more than there is time for before the job is stopped
MORE = 20  # iterations after it goes on
STOP_SECONDS = 600  # that the job gets to send its state, on a machine that others use, too
DATA = ["synthetic.choreographies=6", "synthetic.seconds=2.5", "prepare.parallel=false"]
PRETRAIN = [
    *("pose.steps=8", "pose.batch_size=4", "translation.steps=8", "translation.batch_size=4"),
    *("follower.steps=8", "follower.batch_size=4", "follower.window_tokens=12"),
    *("follower.gpt.width=16", "follower.gpt.layers=1", "follower.gpt.heads=2"),
    "cluster.workers=2",
]
RL = [
    *("rl.seconds=2", "rl.env_runners=1", "rl.leaders=1", "rl.rollouts=4", "rl.new_groups=1"),
    *("rl.batch_groups=1", "rl.checkpoint_every=4"),
]


def client(head: Head) -> dict[str, str]:
    """Return the environment of who submits: with the token, and with a trap."""
    kept = {name: value for name, value in head.environment.items() if not name.startswith("RAY_")}
    # Ray's own client would go where RAY_ADDRESS says, whatever --address says.
    return {**kept, "RAY_AUTH_TOKEN": TOKEN, "RAY_ADDRESS": "192.0.2.1:6379", "PYTHONPATH": ""}


def ray_job(head: Head, *words: str) -> list[str]:
    """Return a command of Ray's own client."""
    program = str(Path(sys.executable).parent / "ray")
    return [program, "job", words[0], "--address", head.address, *words[1:]]


@pytest.mark.timeout(1800)
def test_jobs_train_stop_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out, bucket = tmp_path / "data", tmp_path / "out", f"file://{tmp_path}/bucket/run"
    cache = tmp_path / "cache"  # of the cluster's machines
    monkeypatch.setenv(CACHE, str(cache))
    prepare_synthetic(resolve(RunConfig, "tiny", DATA), data, progress=False)
    with job_head(tmp_path, ROOT, 4, TOKEN) as head:
        # Plain Ray, which must be told about the token and about nothing else.
        plain = ["python", "-m", "duet_rl", "pretrain", "all", "--data", str(data), "--out"]
        command = ray_job(head, "submit", "--working-dir", ".", "--")
        log = tmp_path / "plain.log"
        told = {**client(head), "RAY_ADDRESS": "", "RAY_AUTH_MODE": "token"}
        with started([*command, *plain, str(out), *PRETRAIN], log, told) as program:
            assert ended(program, END, log) == 0, log.read_text()
        assert "follower: 8 steps in" in log.read_text(), "what the job says is passed on"
        assert checkpoint.is_checkpoint(out / "follower", "follower")

        # Ours, with everything but the follower behind URIs.
        command = [
            *(sys.executable, "-m", "duet_rl", "submit", "--address", head.address),
            *("--name", "dance", "--env", f"{CACHE}={cache}"),
            *("--env", f"RAY_JOB_STOP_WAIT_TIME_S={STOP_SECONDS}", "--", "rl"),
            *("--data", f"file://{data}", "--follower", str(out / "follower"), "--out", bucket),
            *RL,
        ]
        work = cache_folder("runs", bucket) / WORK
        log = tmp_path / "stopped.log"
        endless = [*command, f"rl.iterations={MANY}"]
        with started(endless, log, client(head)) as program:
            wait_until(lambda: "job dance-" in log.read_text(), START, "a job", log)
            other = tmp_path / "other.log"
            with started(endless, other, client(head)) as second:
                assert ended(second, START, other) == 2
            assert "is still at work in" in other.read_text()
            words = log.read_text().split()
            job = next(word for word in words if word.startswith("dance-")).rstrip(":")
            wait_until((work / STATE).is_dir, START, "a saved state", log)
            stopped = tmp_path / "stop.log"
            with started(ray_job(head, "stop", job), stopped, told) as stop:
                assert ended(stop, END, stopped) == 0, stopped.read_text()
            assert ended(program, END, log) == STOPPED, log.read_text()
        assert f"1/{MANY}: reward" in log.read_text(), "what the job says is passed on"
        assert "the same command again goes on" in log.read_text()
        store = open_place(bucket)
        assert f"{WORK}/{STATE}/{checkpoint.META}" in contents_of(store).files, "sent when stopped"
        shutil.rmtree(cache)  # as if it went on on other machines
        saved = checkpoint.read_meta(fetched(f"{bucket}/{WORK}/{STATE}"))["iterations"]
        assert 0 < saved < MANY

        log, all_of_them = tmp_path / "resumed.log", saved + MORE
        command = [*command, f"rl.iterations={all_of_them}"]
        with started(command, log, client(head)) as program:
            assert ended(program, END, log) == 0, log.read_text()
        assert f"resuming after {saved} iterations" in log.read_text()
        assert f"{bucket}/{FOLDER}" in log.read_text().split(), "the folder is called by its URI"
    assert checkpoint.read_meta(fetched(f"{bucket}/{FOLDER}"))["iterations"] == all_of_them
    rows = read_metrics(fetched(f"{bucket}/{WORK}"))
    assert [row[STEP] for row in rows] == list(range(1, all_of_them + 1))
