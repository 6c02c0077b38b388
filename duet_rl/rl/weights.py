"""The way of the weights: the learner leaves them with a server, runners fetch what is newer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
import torch
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.rllib.env.env_runner_state_server import EnvRunnerStateServer
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_CALLERS = 16  # runners that the server answers at once


class Weights:
    """Hands the learner's weights to the runners of an algorithm.

    Remote runners look at the server before every rollout and fetch the weights, by reference,
    only if they are newer than their own. So the learner never waits for a runner, and a slow
    runner skips what it has missed. A runner in this process gets them at once.

    Args:
        algorithm: an RLlib `Algorithm`, after its `setup`.
        half: send them as bfloat16; runners then sample with weights of 8 bits of precision.
    """

    def __init__(self, algorithm: Any, half: bool = False) -> None:
        self.algorithm, self.half = algorithm, half
        self._server: Any = None
        if algorithm.env_runner_group.num_remote_env_runners():
            server: Any = ray.remote(EnvRunnerStateServer)
            options = {
                **{"num_cpus": 0, "max_restarts": -1, "max_concurrency": _CALLERS},
                # Beside the driver: on a node that is taken away the weights would go with it.
                "scheduling_strategy": NodeAffinitySchedulingStrategy(
                    ray.get_runtime_context().get_node_id(), soft=False
                ),
            }
            self._server = server.options(**options).remote()
            self.share()

    def share(self, runners: Sequence[int] | None = None) -> None:
        """Tell runners, all of them or those with these numbers, where the server is."""
        if self._server is not None:
            self.algorithm.env_runner_group.foreach_env_runner(
                "fetch_weights_from",
                kwargs={"server": self._server},
                remote_worker_ids=None if runners is None else list(runners),
                local_env_runner=False,
            )

    def close(self) -> None:
        """End the server; left to itself it may outlive its cluster."""
        if self._server is not None:
            ray.kill(self._server)
            self._server = None

    def send(self, wait: bool = False) -> None:
        """Make the learner's weights the newest.

        Args:
            wait: until the server has them, so that the next rollout is sure to use them.
        """
        component = f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}"
        state = self.algorithm.learner_group.get_state(components=[component], inference_only=True)[
            COMPONENT_LEARNER
        ]
        weights, version = state[COMPONENT_RL_MODULE], state[WEIGHTS_SEQ_NO]
        local = self.algorithm.env_runner_group.local_env_runner
        if local is not None:
            local.set_state({COMPONENT_RL_MODULE: weights, WEIGHTS_SEQ_NO: version})
        if self._server is None:
            return
        reference = ray.put(halved(weights) if self.half else weights)
        pushed = self._server.push.remote({COMPONENT_RL_MODULE: reference, WEIGHTS_SEQ_NO: version})
        if wait:
            ray.get(pushed)


def halved(weights: Any) -> Any:
    """Return nested weights with every float32 array as a bfloat16 tensor, half the bytes."""
    if isinstance(weights, dict):
        return {name: halved(part) for name, part in weights.items()}
    if isinstance(weights, np.ndarray) and weights.dtype == np.float32:
        return torch.from_numpy(weights).to(torch.bfloat16)
    return weights
