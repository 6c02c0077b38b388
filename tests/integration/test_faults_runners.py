"""Faults of env runners, by real errors and kills: what is told, and how soon all goes on."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from duet_rl.rl.collector import RolloutError
from duet_rl.rl.journal import Journal
from duet_rl.rl.run import run_rl
from duet_rl.rl.settings import CollectConfig
from duet_rl.rl.tags import HEALTHY, ITERATION_SECONDS, RESTARTS
from duet_rl.run_log import read_metrics
from tests.envs.dancers import SidestepCodec
from tests.envs.stumbling import STUMBLING
from tests.integration.processes import write_world
from tests.rl.world import SETTINGS, algorithm_config, write_follower

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

# s, on a busy machine; a free one has a runner back after six.
MOST_SECONDS_TO_TELL = 60.0
MOST_SECONDS_TO_COME_BACK = 100.0
PATIENCE = 200.0


@pytest.mark.parametrize("synchronous", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_error_while_sampling_is_told_at_once_with_runner_and_cause(
    tmp_path: Path, synchronous: bool
) -> None:
    world = write_world(tmp_path)
    settings = SETTINGS.model_copy(
        update={
            "env": STUMBLING,
            "env_runners": 2,
            "collect": CollectConfig(synchronous=synchronous),
        }
    )
    told: list[float] = []
    with pytest.raises(RolloutError, match=r"env runner [12] failed:") as error:
        try:
            run_rl(settings, world.follower, world.data, tmp_path, progress=False)
        finally:
            told.append(time.time())
    stumbled = re.search(r"ZeroDivisionError: stumbled at ([\d.]+)", str(error.value))
    assert stumbled, "the cause is named"
    assert told[0] - float(stumbled[1]) < MOST_SECONDS_TO_TELL


@pytest.mark.slow
def test_a_killed_runner_is_missed_and_back_soon(tmp_path: Path) -> None:
    follower = write_follower(tmp_path / "follower")
    algorithm = algorithm_config(follower, SETTINGS, runners=2).build_algo()
    try:
        runners = algorithm.env_runner_group
        with Journal(tmp_path, SETTINGS, algorithm, SidestepCodec.spec.names, None, False) as log:
            log.note(algorithm.train())
            pids = runners.foreach_env_runner(lambda _: os.getpid(), local_env_runner=False)
            os.kill(pids[0], signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                numbers = log.note(algorithm.train())
                if numbers[HEALTHY] == 2 and numbers[RESTARTS] == 1:
                    break
    finally:
        algorithm.stop()
    rows = read_metrics(tmp_path)
    assert rows[0][HEALTHY] == 2 and rows[-1][HEALTHY] == 2 and rows[-1][RESTARTS] == 1
    missed = [row for row in rows if row[HEALTHY] == 1]
    assert len(missed) > 1, "training goes on, and the numbers say with how many"
    assert sum(row[ITERATION_SECONDS] for row in rows[1:]) < MOST_SECONDS_TO_COME_BACK
