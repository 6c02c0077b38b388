"""The collector says clearly why rollouts do not come; runners are played by stand-ins."""

from typing import Any

import pytest

from duet_rl.rl.collector import Collector, RolloutError
from duet_rl.rl.env_runner import RunnerFailure
from duet_rl.rl.settings import RLConfig

WAIT = 0.3  # s


class Runners:
    """Remote runners of which `healthy` live, and what they answer."""

    def __init__(self, wanted: int, healthy: int, answers: list[Any], restarts: int = 0) -> None:
        self.wanted, self.healthy, self.answers, self.restarts = wanted, healthy, answers, restarts

    def num_remote_env_runners(self) -> int:
        return self.wanted

    def num_healthy_remote_env_runners(self) -> int:
        return self.healthy

    def num_remote_worker_restarts(self) -> int:
        return self.restarts

    def foreach_env_runner_async_fetch_ready(self, **kwargs: Any) -> list[Any]:
        return [self.answers.pop()] if self.answers else []


class Algorithm:
    """As much of an algorithm as a collector needs; nothing is ever restored."""

    def __init__(self, runners: Runners, **settings: Any) -> None:
        self.env_runner_group = runners
        self.config = type("Config", (), {"settings": RLConfig(wait_seconds=WAIT, **settings)})
        self.restored: list[int] = []

    def restore_env_runners(self, runners: Runners) -> list[int]:
        return self.restored


@pytest.mark.parametrize(
    ("runners", "message"),
    [
        (Runners(2, 2, []), "no rollouts came for 0.3 s from 2 live env runners"),
        (Runners(2, 0, []), "no env runner of 2 is alive"),
        (Runners(2, 1, [], restarts=6), "lost 6 times"),
        (Runners(2, 2, [RunnerFailure(1, "Traceback ...\nKeyError: 'leader'")]), "KeyError"),
    ],
)
def test_why_there_are_no_rollouts_is_said(runners: Runners, message: str) -> None:
    with pytest.raises(RolloutError, match=message):
        Collector(Algorithm(runners)).collect()
