"""An environment whose third rollout raises: in an actor, after the rehearsal in the driver."""

import time
from typing import Any

import gymnasium

from duet_rl.rewards.base import RewardTerms
from envs.vector import DuetDanceVectorEnv

STUMBLING = "tests.envs.stumbling:Stumbling-v0"
_GOOD_ROLLOUTS = 2


class StumblingVectorEnv(DuetDanceVectorEnv):
    """Dances that can be scored twice; the error says when it was raised, in s since the epoch."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        score, self.scored = self.dances.score, 0

        def stumble(tokens: Any) -> RewardTerms:
            self.scored += 1
            if self.scored > _GOOD_ROLLOUTS:
                raise ZeroDivisionError(f"stumbled at {time.time():.3f}")
            return score(tokens)

        self.dances.score = stumble  # type: ignore[method-assign]


gymnasium.register(
    id="Stumbling-v0",
    entry_point="tests.envs.stumbling:StumblingVectorEnv",
    vector_entry_point="tests.envs.stumbling:StumblingVectorEnv",
)
