"""Packed rollouts and the memory that mixes current, first and past ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int16
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config

_ARRAYS = ("tokens", "log_probs", "rewards")
_NUMBERS = ("clip", "frame", "version")
_PAST_SHARE = 5  # Duolando draws so many past groups for each fresh or first one (spec 6.3)


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
    rewards: Float32[np.ndarray, "R N S"]  # each stream its own
    means: dict[str, float] = field(default_factory=dict)  # of each reward term, for the log
    watched: dict[str, float] = field(default_factory=dict)  # likewise, what is not rewarded

    def __len__(self) -> int:
        return self.tokens.shape[0] * self.tokens.shape[1]


class ReplayConfig(Config):
    """How much of the past is kept, and how much of it joins each update.

    `recent` lets a few old groups join each gradient step. `duolando` is the paper's rule: an
    iteration learns from its own groups, all groups of the first iteration, and past ones drawn
    with replacement, up to five for each of these; the first iteration only from its own.
    """

    memory: Literal["recent", "duolando"] = "recent"
    # Groups of past rollouts kept; the oldest leave first. None keeps all of them, as the paper.
    capacity: int | None = Field(256, ge=0)

    # `recent` alone
    first: int = Field(8, ge=0)  # groups of the very first rollouts, kept for good
    first_a_batch: int = Field(0, ge=0)  # groups of the first that join each gradient step
    past_a_batch: int = Field(1, ge=0)  # groups of the past that join each gradient step


class Replay:
    """The first rollouts, kept for good, and the latest past ones, up to a capacity.

    Example:
        >>> replay = Replay(ReplayConfig())
        >>> list(replay.batches([], size=4, rng=np.random.default_rng(0)))
        []
    """

    def __init__(self, config: ReplayConfig) -> None:
        self.config = config
        self._first: list[RolloutGroup] = []
        self._past: list[RolloutGroup] = []

    def __len__(self) -> int:
        return len(self._first) + len(self._past)

    def add(self, groups: Sequence[RolloutGroup]) -> None:
        """Remember the groups of an iteration: as first ones while there is room, or as past ones.

        By the paper's rule there is room for the first iteration, all of it, and no more.
        """
        if self.config.memory == "duolando":
            room = 0 if self._first else len(groups)
        else:
            room = max(0, self.config.first - len(self._first))
        self._first += groups[:room]
        self._past += groups[room:]
        if self.config.capacity is not None:
            del self._past[: max(0, len(self._past) - self.config.capacity)]

    def batches(
        self, fresh: Sequence[RolloutGroup], size: int, rng: np.random.Generator
    ) -> Iterator[list[RolloutGroup]]:
        """Yield the groups of each gradient step of one pass over `fresh`, in random order.

        Args:
            fresh: the groups of this iteration, not yet added.
            size: groups in a step, less in the last one; `recent` adds the old groups to these.
            rng: draws the order and the old groups.
        """
        whole = self.config.memory == "duolando"
        groups = [*fresh, *self._recalled(len(fresh), rng)] if whole else fresh
        order = rng.permutation(len(groups))
        for start in range(0, len(order), size):
            now = [groups[i] for i in order[start : start + size]]
            yield now if whole else now + self.remembered(rng)

    def remembered(self, rng: np.random.Generator) -> list[RolloutGroup]:
        """Return the groups that `recent` lets join one step, drawn without replacement."""
        return _draw(self._first, self.config.first_a_batch, rng) + _draw(
            self._past, self.config.past_a_batch, rng
        )

    def _recalled(self, fresh: int, rng: np.random.Generator) -> list[RolloutGroup]:
        """Return the groups that `duolando` lets join an iteration of `fresh` groups."""
        count = min(_PAST_SHARE * (fresh + len(self._first)), len(self._past))
        if not count:
            return list(self._first)
        picks = rng.integers(len(self._past), size=count)  # with replacement
        return self._first + [self._past[int(pick)] for pick in picks]

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
        return {
            **stacked,
            "numbers": torch.tensor(numbers),
            "first": torch.tensor(len(self._first)),
        }

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
        # A run that began before this number was saved had its first groups by `recent`.
        first = int(tensors["first"]) if "first" in tensors else self.config.first
        self._first, self._past = groups[:first], groups[first:]


def _draw(groups: list[RolloutGroup], count: int, rng: np.random.Generator) -> list[RolloutGroup]:
    picks = rng.choice(len(groups), size=min(count, len(groups)), replace=False)
    return [groups[int(pick)] for pick in picks]
