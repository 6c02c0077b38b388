"""Packed rollouts and the bounded memory that mixes current, first and past ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, Int16
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config

_ARRAYS = ("tokens", "log_probs", "rewards")
_NUMBERS = ("clip", "frame", "version")


@dataclass(frozen=True, eq=False)
class RolloutGroup:
    """`R` rollouts that follow one leader window, as small as they travel.

    Music and leader are not here: `clip` and `frame` name them, and the learner looks them up.
    `len()` is the number of token steps, which is what RLlib counts.
    """

    clip: int  # index of the clip in its split
    frame: int  # the first of the window within its clip
    version: int  # of the weights that sampled the tokens
    tokens: Int16[np.ndarray, "R N S"]
    log_probs: Float32[np.ndarray, "R N S"]  # of the behaviour policy
    rewards: Float32[np.ndarray, "R N S"]  # each stream its own, in [0, 1]
    means: dict[str, float] = field(default_factory=dict)  # of each reward term, for the log

    def __len__(self) -> int:
        return self.tokens.shape[0] * self.tokens.shape[1]


class ReplayConfig(Config):
    """How much of the past is kept, and how much of it joins each update."""

    capacity: int = Field(256, ge=0)  # groups of past rollouts kept; the oldest leave first
    first: int = Field(8, ge=0)  # groups of the very first rollouts, kept for good
    first_a_batch: int = Field(0, ge=0)  # groups of the first that join each gradient step
    past_a_batch: int = Field(1, ge=0)  # groups of the past that join each gradient step


class Replay:
    """The first rollouts, kept for good, and the latest past ones, up to a capacity.

    Example:
        >>> replay = Replay(ReplayConfig())
        >>> replay.remembered(np.random.default_rng(0))
        []
    """

    def __init__(self, config: ReplayConfig) -> None:
        self.config = config
        self._first: list[RolloutGroup] = []
        self._past: list[RolloutGroup] = []

    def __len__(self) -> int:
        return len(self._first) + len(self._past)

    def add(self, groups: Sequence[RolloutGroup]) -> None:
        """Remember `groups`: as first ones while there is room there, then as past ones."""
        room = max(0, self.config.first - len(self._first))
        self._first += groups[:room]
        self._past += groups[room:]
        del self._past[: max(0, len(self._past) - self.config.capacity)]

    def remembered(self, rng: np.random.Generator) -> list[RolloutGroup]:
        """Return the old groups that join one gradient step, drawn without replacement."""
        return _draw(self._first, self.config.first_a_batch, rng) + _draw(
            self._past, self.config.past_a_batch, rng
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return everything remembered as a few tensors, for a checkpoint."""
        groups = self._first + self._past
        if not groups:
            return {}
        stacked = {
            name: torch.from_numpy(np.stack([getattr(group, name) for group in groups]))
            for name in _ARRAYS
        }
        numbers = [[getattr(group, name) for name in _NUMBERS] for group in groups]
        return {**stacked, "numbers": torch.tensor(numbers)}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` returned, in the same order."""
        self._first, self._past = [], []
        if not tensors:
            return
        arrays = {name: tensors[name].numpy() for name in _ARRAYS}
        groups = [
            RolloutGroup(
                **dict(zip(_NUMBERS, numbers, strict=True)),
                **{name: array[index] for name, array in arrays.items()},
            )
            for index, numbers in enumerate(tensors["numbers"].tolist())
        ]
        self.add(groups)


def _draw(groups: list[RolloutGroup], count: int, rng: np.random.Generator) -> list[RolloutGroup]:
    picks = rng.choice(len(groups), size=min(count, len(groups)), replace=False)
    return [groups[int(pick)] for pick in picks]
