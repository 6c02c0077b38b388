"""A run that may begin with fewer runners begins with any of them, the first or not."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from duet_rl.rl.algorithm import DuetRL
from duet_rl.rl.env_runner import FollowerEnvRunner
from duet_rl.rl.tags import HEALTHY, RESTARTS
from tests.rl.world import SETTINGS, algorithm_config, write_follower

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

ELASTIC = SETTINGS.model_copy(update={"min_env_runners": 1, "env_runners": 2})
PATIENCE = 200.0  # s; a free machine takes ten
ITERATIONS = 5000  # far more than a runner takes to begin


def late_first(door: Path) -> type[FollowerEnvRunner]:
    """Return runners of which the first one has no place before `door` is there."""

    class LateFirst(FollowerEnvRunner):
        def __init__(self, **kwargs: Any) -> None:
            while kwargs["worker_index"] == 1 and not door.exists():
                time.sleep(0.05)
            super().__init__(**kwargs)

    return LateFirst


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Path]:
    """A file that is written after `PATIENCE` at the latest, for a test that fails without it."""
    door = tmp_path / "door"
    timer = threading.Timer(PATIENCE, door.touch)
    timer.start()
    yield door
    timer.cancel()


def test_a_run_begins_with_whom_there_is_room_for(tmp_path: Path, door: Path) -> None:
    config = algorithm_config(write_follower(tmp_path / "follower"), ELASTIC, runners=2)
    config.env_runner_cls = late_first(door)
    algorithm = config.build_algo()
    assert isinstance(algorithm, DuetRL)
    runners = algorithm.env_runner_group
    try:
        assert not door.exists(), "the first is not waited for"
        assert runners.healthy_env_runner_ids() == [2]
        ((spaces, weights),) = runners.foreach_env_runner(
            lambda one: (one.get_spaces(), one.module.gpt.state_dict()), local_env_runner=False
        )
        assert algorithm.spaces[DEFAULT_MODULE_ID] == spaces[DEFAULT_MODULE_ID]
        for name, tensor in algorithm.follower_tensors().items():
            torch.testing.assert_close(weights[name], tensor, msg=name)

        assert algorithm.numbers(algorithm.train())[HEALTHY] == 1
        door.touch()
        for _ in range(ITERATIONS):
            numbers = algorithm.numbers(algorithm.train())
            if numbers[HEALTHY] == 2:
                break
        assert numbers[HEALTHY] == 2 and numbers[RESTARTS] == 0, "who comes late was not lost"
    finally:
        algorithm.stop()
