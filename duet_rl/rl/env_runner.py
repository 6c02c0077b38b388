"""Env runners: whole batches of dances, sampled with a KV cache and scored at once."""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils.annotations import override
from torch import Tensor

from duet_rl.models.policy import SamplingConfig
from duet_rl.models.sampling import Sampled, generate
from duet_rl.rewards.base import RewardTerms
from duet_rl.rl.dances import Dances, dances_of
from duet_rl.rl.replay import RolloutGroup
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

GREEDY = SamplingConfig(temperature=0)
TOKENS_PER_SECOND = "tokens_per_second"
_THREADS = 1  # of a runner that has a process of its own; there is one runner a core


@dataclass(frozen=True)
class RunnerFailure:
    """A Python error in a runner, sent home instead of rollouts."""

    runner: int
    report: str  # the traceback


class FollowerEnvRunner(SingleAgentEnvRunner):
    """Roll the current follower out over `num_envs` dances at once.

    Only sampling is replaced: weights, versions, metrics and fault tolerance are RLlib's. What is
    drawn depends on seed, runner, version of the weights and how often these weights were sampled
    from, so a resumed run draws what the unbroken one would.
    """

    # RLlib declares these as possibly None, which they are not once the runner is made.
    config: Any
    env: Any
    module: Any
    _env_runner_state_server: Any

    @override(SingleAgentEnvRunner)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._drawn = (-1, 0)  # version of the weights, rollouts drawn with them
        if self.worker_index:
            torch.set_num_threads(_THREADS)

    @property
    def dances(self) -> Dances:
        """The dances of this runner's environment."""
        return dances_of(self.env)

    @override(SingleAgentEnvRunner)
    def sample_get_state_and_metrics(self) -> Any:
        """Return rollouts by reference, or the error that stopped them as a value.

        RLlib answers an exception here by stopping the actor without a word to the driver.
        """
        try:
            return super().sample_get_state_and_metrics()
        except Exception:
            return RunnerFailure(int(self.worker_index or 0), traceback.format_exc())

    def fetch_weights_from(self, server: Any) -> None:
        """Look for newer weights at `server` (an actor) before every rollout."""
        self._env_runner_state_server = server

    def rehearse(self) -> None:
        """Dance every step once, so that an error shows here and not in an actor far away."""
        self._roll_out(*self._generators())

    @override(SingleAgentEnvRunner)
    def _sample(self, **kwargs: Any) -> list[RolloutGroup]:
        start = time.perf_counter()
        sampled, terms = self._roll_out(*self._generators())
        groups = self._pack(sampled, terms)
        steps = sum(len(group) for group in groups)
        self.metrics.log_value(
            TOKENS_PER_SECOND, steps * len(self.dances.parts) / (time.perf_counter() - start)
        )
        self._increase_sampled_metrics(steps, len(sampled.tokens))
        return groups

    def _generators(self) -> tuple[list[np.random.Generator], torch.Generator]:
        """Return the generators of the next rollouts: one a dance, and one of the tokens."""
        key = self._next_key()
        dances = [np.random.default_rng([*key, dance]) for dance in range(self.num_envs)]
        seed = int(np.random.default_rng(key).integers(2**62))
        return dances, torch.Generator().manual_seed(seed)

    def _next_key(self) -> list[int]:
        """Return the numbers that decide all that is drawn in the next rollouts."""
        version, count = self._drawn
        count = count + 1 if version == self._weights_seq_no else 0
        self._drawn = (self._weights_seq_no, count)
        return [self.config.seed or 0, int(self.worker_index or 0), self._weights_seq_no, count]

    def _roll_out(
        self, dances: Sequence[np.random.Generator], tokens: torch.Generator
    ) -> tuple[Sampled, RewardTerms]:
        self.dances.restart(dances)
        # Rollouts do not drop; the module by itself would, where the learner is to.
        gpt, sampling = self.module.gpt.eval(), self.module.sampling
        device = next(gpt.parameters()).device  # a GPU, where the runner has one
        sampled = generate(
            gpt,
            {name: told.to(device) for name, told in self.dances.conditions().items()},
            self.dances.steps,
            GREEDY if self.config.settings.greedy else sampling,
            tokens,
            self.module.look_ahead,
            self.dances.beginnings().to(device) if gpt.prompt_steps else None,
        )
        sampled = Sampled(*(part.cpu() for part in sampled))
        return sampled, self.dances.score(sampled.tokens)

    def _pack(self, sampled: Sampled, terms: RewardTerms) -> list[RolloutGroup]:
        """Return the rollouts in groups of neighbours that follow the same leader window."""
        rewards = terms.per_stream(self.dances.parts, FRAMES_PER_TOKEN)
        size: int = self.config.settings.rollouts
        means = {name: score.mean(1) for name, score in terms.tokens(FRAMES_PER_TOKEN).items()}
        means["total"] = terms.total(FRAMES_PER_TOKEN).mean(1)
        return [
            RolloutGroup(
                clip=self.dances.picks[row].clip,
                frame=self.dances.picks[row].frame,
                version=self._weights_seq_no,
                tokens=_rows(sampled.tokens, row, size, np.int16),
                log_probs=_rows(sampled.log_probs, row, size, np.float32),
                rewards=_rows(rewards, row, size, np.float32),
                means={name: float(mean[row : row + size].mean()) for name, mean in means.items()},
                watched={
                    name: float(share[row : row + size].mean())
                    for name, share in terms.watched.items()
                },
            )
            for row in range(0, len(sampled.tokens), size)
        ]


def _rows(tensor: Tensor, start: int, count: int, dtype: type) -> np.ndarray:
    return tensor[start : start + count].numpy().astype(dtype)
