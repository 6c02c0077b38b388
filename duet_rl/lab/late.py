"""RL whose rollouts are as old as one asks for: the algorithm itself, but for when it learns."""

from collections import deque
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.utils.annotations import override

from duet_rl.rl.algorithm import DuetRL, DuetRLConfig
from duet_rl.rl.collector import Collector
from duet_rl.rl.env_runner import FollowerEnvRunner
from duet_rl.rl.replay import RolloutGroup


class LateRLConfig(DuetRLConfig):
    """The configuration of `LateDuetRL`, made by `of`, as that of its base.

    `settings` must ask for one gradient step an iteration, and for rollouts in one process.
    """

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        super().__init__(algo_class=algo_class or LateDuetRL)
        self.env_runner_cls = CountingEnvRunner
        self.staleness = 0  # gradient steps by which rollouts lag; 0 is on-policy


class CountingEnvRunner(FollowerEnvRunner):
    """Draws by the number of the rollout alone: a seed dances to the same windows at any age."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rollouts = 0

    @override(FollowerEnvRunner)
    def _next_key(self) -> list[int]:
        self._rollouts += 1
        return [self.config.seed or 0, self._rollouts]


class LateCollector(Collector):
    """Keeps rollouts back until they are `staleness` gradient steps old.

    The step after `n` steps learns from what the weights danced after `n - staleness` steps; the
    first `staleness` steps learn from what the start danced. No more is danced than will be learned
    from.
    """

    def __init__(self, algorithm: Any, staleness: int) -> None:
        super().__init__(algorithm)
        self.staleness = staleness
        self._waiting: deque[list[RolloutGroup]] = deque()
        self._danced = 0  # iterations' worth

    @override(Collector)
    def collect(self) -> list[RolloutGroup]:
        wanted = self.algorithm.iterations_done + self.staleness + 1
        while self._danced < min(wanted, self.settings.iterations):
            self._waiting.append(super().collect())
            self._danced += 1
        return self._waiting.popleft()


class LateDuetRL(DuetRL):
    """`DuetRL` with rollouts of one age. It cannot be saved: what waits would be lost."""

    @classmethod
    @override(DuetRL)
    def get_default_config(cls) -> LateRLConfig:
        return LateRLConfig()

    @override(DuetRL)
    def setup(self, config: Any) -> None:
        assert isinstance(config, LateRLConfig) and config.num_env_runners == 0
        super().setup(config)
        self.collector = LateCollector(self, config.staleness)
