"""The collector says clearly why rollouts do not come; runners are played by stand-ins."""

from typing import Any

import numpy as np
import pytest

from duet_rl.errors import InputError
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.rl.checks import check_settings
from duet_rl.rl.collector import Collector, RolloutError
from duet_rl.rl.env_runner import RunnerFailure
from duet_rl.rl.rollout_group import RolloutGroup
from duet_rl.rl.settings import RLConfig

WAIT = 0.3  # s
NONE = np.zeros((1, 1, 1), np.float32)  # a rollout of one token


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


def test_too_few_runners_are_waited_for_and_then_told_apart_from_none() -> None:
    """Below `min_env_runners` nothing is learned, though rollouts would come."""
    runners = Runners(4, 1, ["rollouts"])
    with pytest.raises(RolloutError, match=r"of at least 2 env runners 1 lived for 0\.3 s"):
        Collector(Algorithm(runners, min_env_runners=2)).collect()
    assert runners.answers, "nobody asked for them"


class Sent(Runners):
    """Runners that were lost often, and sent a rollout now and then."""

    def foreach_env_runner_async_fetch_ready(self, **kwargs: Any) -> list[Any]:
        self.restarts += 3
        return super().foreach_env_runner_async_fetch_ready(**kwargs)


@pytest.mark.parametrize("fewest", [None, 1])
def test_losses_between_which_rollouts_come_end_no_run_that_expects_them(
    fewest: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = RolloutGroup(0, 0, 0, NONE.astype(np.int16), NONE, NONE)
    answers = [group] * 6
    settings: dict[str, Any] = {
        "min_env_runners": fewest,
        "max_restarts": 5,
        "new_groups": len(answers),
    }
    collector = Collector(Algorithm(Sent(3, 2, answers), **settings))
    monkeypatch.setattr(collector, "_open", lambda answer: [answer])
    if fewest is None:
        with pytest.raises(RolloutError, match="lost 6 times"):
            collector.collect()
    else:
        assert len(collector.collect()) == 6


@pytest.mark.parametrize("most", [None, 3])
def test_the_fewest_runners_are_no_more_than_the_most(most: int | None) -> None:
    settings = RLConfig(min_env_runners=4, env_runners=most)
    with pytest.raises(InputError, match=f"rl.env_runners is {most}, which is the most"):
        check_settings(settings, MultiStreamGPTConfig())
    check_settings(RLConfig(min_env_runners=4, env_runners=4), MultiStreamGPTConfig())
