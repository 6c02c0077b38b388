"""What RL asks of an environment beyond gymnasium: whole dances at once, and a way to look them up.

Environments are reached by gymnasium id only; `envs:DuetDance-v0` answers to all of this.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.rewards.base import RewardTerms


@runtime_checkable
class Cut(Protocol):
    """Where a dance is cut from."""

    @property
    def clip(self) -> int:
        """Index of the clip in its split."""

    @property
    def frame(self) -> int:
        """The first frame of the dance within its clip."""


@runtime_checkable
class Dances(Protocol):
    """Many dances that can be followed and scored as one batch, the `dances` of a vector env."""

    @property
    def steps(self) -> int:
        """Token steps of a dance."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What each token stream moves."""

    @property
    def picks(self) -> Sequence[Cut]:
        """Where the current dances are cut from."""

    def restart(self, generators: Sequence[np.random.Generator]) -> None:
        """Begin new dances, one generator each."""

    def conditions(self) -> dict[str, Tensor]:
        """Return what the follower is told in the current dances: `(B, T, C)`, `(B, N, S)`."""

    def window(self, clip: int, frame: int) -> dict[str, Tensor]:
        """Return what the follower is told in the dance that begins at `frame` of `clip`."""

    def beginnings(self) -> Tensor:
        """Return the tokens of the true followers' first step in the current dances, `(B, 1, S)`.

        Only followers that must be given their first tokens ask for them.
        """

    def score(self, tokens: Tensor) -> RewardTerms:
        """Return the reward terms of whole rollouts, `(B, N, S)`."""


def make_dances(env: str, count: int, settings: Mapping[str, Any]) -> VectorEnv:
    """Return the vector environment `env` of `count` dances.

    Raises:
        InputError: there is no such environment, or it takes other settings.
    """
    try:
        return gymnasium.make_vec(
            env, num_envs=count, vectorization_mode="vector_entry_point", **settings
        )
    except (gymnasium.error.Error, ModuleNotFoundError, TypeError) as error:
        raise InputError(
            f"the environment {env!r} cannot be made ({' '.join(str(error).split())}); give the "
            "id of a registered vector environment and settings that it takes"
        ) from error


def dances_of(env: VectorEnv) -> Dances:
    """Return the dances inside a vector environment.

    Raises:
        InputError: it has none.
    """
    dances = getattr(env.unwrapped, "dances", None)
    if not isinstance(dances, Dances):
        raise InputError(
            f"{type(env.unwrapped).__name__} has no `dances` that can be scored as a whole; RL "
            "wants the interface of duet_rl.rl.dances.Dances"
        )
    return dances
