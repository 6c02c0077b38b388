"""The memory that mixes current, first and past rollouts; it says which, a store says where."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.rl.replay_stores import DriverStore, Kept, Store
from duet_rl.rl.rollout_group import ARRAYS, NUMBERS
from duet_rl.rl.rollout_group import RolloutGroup as RolloutGroup

_PAST_SHARE = 5  # Duolando draws so many past groups for each fresh or first one (spec 6.3)


class ReplayConfig(Config):
    """How much of the past is kept, and how much of it joins each update.

    `recent` keeps a few of the very first groups for good beside the latest ones, and lets old
    groups of both kinds join each gradient step. `uniform` sets none apart: all that is kept is
    equally likely, and no group is drawn twice in one pass. `duolando` is the paper's rule: an
    iteration learns from its own groups, all groups of the first iteration, and past ones drawn
    with replacement, up to five for each of these; the first iteration only from its own.
    """

    memory: Literal["recent", "uniform", "duolando"] = "recent"
    # Groups of past rollouts kept; the oldest leave first. None keeps all of them, as the paper.
    capacity: int | None = Field(256, ge=0)
    # Bounds of all that is kept, first groups included; the oldest past ones leave first.
    max_steps: int | None = Field(None, ge=1)  # token steps
    max_bytes: int | None = Field(None, ge=1)  # of the arrays: 10 a token step and stream
    shards: int = Field(0, ge=0)  # actors that share the groups out; 0: they lie in the driver

    # `recent` and `uniform`
    past_a_batch: int = Field(1, ge=0)  # groups of the past that join each gradient step

    # `recent` alone
    first: int = Field(8, ge=0)  # groups of the very first rollouts, kept for good
    first_a_batch: int = Field(0, ge=0)  # groups of the first that join each gradient step


class Replay:
    """The rollouts that are remembered: the first ones, where the rule has such, and past ones.

    Example:
        >>> replay = Replay(ReplayConfig())
        >>> list(replay.batches([], size=4, rng=np.random.default_rng(0)))
        []
    """

    def __init__(self, config: ReplayConfig) -> None:
        self.config = config
        self._store = _open_store(config.shards)
        self._first: list[Kept] = []
        self._past: list[Kept] = []
        self._were_first = 0  # groups that ever were; lost ones have no successors

    def __len__(self) -> int:
        return len(self._first) + len(self._past)

    @property
    def steps(self) -> int:
        """Token steps that are remembered."""
        return sum(kept.steps for kept in self._first + self._past)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that are remembered."""
        return sum(kept.nbytes for kept in self._first + self._past)

    def numbers(self) -> dict[str, float]:
        """Return how much is remembered, and what shards lost, by name of the metric."""
        kept = {"groups": len(self), "steps": self.steps, "bytes": self.nbytes}
        return {name: float(value) for name, value in kept.items()} | self._store.losses()

    def add(self, groups: Sequence[RolloutGroup]) -> None:
        """Remember the groups of an iteration: as first ones while there is room, or as past ones.

        By the paper's rule there is room for the first iteration, all of it, and no more.

        Raises:
            InputError: the bounds leave no room for a single past group.
        """
        kept = self._store.put(groups)
        self._leave_out_lost()
        room = self._room_for_first(len(groups))
        self._were_first += len(kept[:room])
        self._first += kept[:room]
        self._past += kept[room:]
        self._forget()

    def batches(
        self, fresh: Sequence[RolloutGroup], size: int, rng: np.random.Generator
    ) -> Iterator[list[RolloutGroup]]:
        """Yield the groups of each gradient step of one pass over `fresh`, in random order.

        Groups in shards are asked for before the first step, and come while steps are taken. A
        step does without those that are lost.

        Args:
            fresh: the groups of this iteration, not yet added.
            size: groups in a step, less in the last one; all rules but `duolando` add the old
                groups to these.
            rng: draws the order and the old groups.
        """
        self._leave_out_lost()
        steps = [self._request(step) for step in self._plan(fresh, size, rng)]
        while steps:
            if groups := steps.pop(0)():
                yield groups

    def remembered(self, rng: np.random.Generator) -> list[RolloutGroup]:
        """Return old groups as they join one step, drawn without replacement."""
        self._leave_out_lost()
        return self._request(self._old(rng))()

    def tensors(self) -> dict[str, Tensor]:
        """Return everything remembered as a few tensors, for a checkpoint."""
        answer = self._store.ask(self._first + self._past)()
        first = sum(group is not None for group in answer[: len(self._first)])
        groups = [group for group in answer if group is not None]
        self._leave_out_lost()
        if not groups:
            return {}
        stacked = {
            name: torch.from_numpy(np.stack([getattr(group, name) for group in groups]))
            for name in ARRAYS
        }
        numbers = [[getattr(group, name) for name in NUMBERS] for group in groups]
        return {
            **stacked,
            "numbers": torch.tensor(numbers),
            "first": torch.tensor(first),
            "were_first": torch.tensor(self._were_first),
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` returned, in the same order, with any number of shards."""
        self._store.drop(self._first + self._past)
        self._first, self._past, self._were_first = [], [], 0
        if not tensors:
            return
        arrays = {name: tensors[name].numpy() for name in ARRAYS}
        groups = [
            RolloutGroup(
                **dict(zip(NUMBERS, numbers, strict=True)),
                **{name: array[index] for name, array in arrays.items()},
            )
            for index, numbers in enumerate(tensors["numbers"].tolist())
        ]
        kept = self._store.put(groups)
        # A run that began before these were saved had its first groups by `recent`, and lost none.
        first = int(tensors["first"]) if "first" in tensors else self.config.first
        self._first, self._past = kept[:first], kept[first:]
        self._were_first = int(tensors.get("were_first", torch.tensor(len(self._first))))

    def shard_pids(self) -> list[int]:
        """Return the process of each shard, for those who watch over memory."""
        return self._store.pids()

    def close(self) -> None:
        """Forget everything and end the shards."""
        self._first, self._past = [], []
        self._store.close()

    def _room_for_first(self, new: int) -> int:
        """Return how many of `new` groups are set apart as first ones."""
        if self.config.memory == "duolando":
            return 0 if self._were_first else new
        if self.config.memory == "uniform":
            return 0
        return max(0, self.config.first - self._were_first)

    def _forget(self) -> None:
        """Let the oldest past groups leave until the rest is within all bounds."""
        capacity = self.config.capacity
        leaving = 0 if capacity is None else max(0, len(self._past) - capacity)
        steps = self.steps - sum(kept.steps for kept in self._past[:leaving])
        nbytes = self.nbytes - sum(kept.nbytes for kept in self._past[:leaving])
        while leaving < len(self._past) and self._are_over(steps, nbytes):
            steps -= self._past[leaving].steps
            nbytes -= self._past[leaving].nbytes
            leaving += 1
        none_stays = 0 < leaving == len(self._past) and capacity != 0
        if none_stays or self._are_over(steps, nbytes):
            raise InputError(
                f"rl.replay.max_steps={self.config.max_steps} and max_bytes={self.config.max_bytes}"
                f" have no room for a past group beside {len(self._first)} first ones of {steps} "
                f"token steps and {nbytes} bytes; raise them, or keep fewer first ones "
                "(rl.replay.first)"
            )
        self._store.drop(self._past[:leaving])
        del self._past[:leaving]

    def _are_over(self, steps: int, nbytes: int) -> bool:
        bounds = ((steps, self.config.max_steps), (nbytes, self.config.max_bytes))
        return any(bound is not None and size > bound for size, bound in bounds)

    def _plan(
        self, fresh: Sequence[RolloutGroup], size: int, rng: np.random.Generator
    ) -> list[list[RolloutGroup | Kept]]:
        """Return what each gradient step of a pass learns from, fresh or kept."""
        whole = self.config.memory == "duolando"
        groups = [*fresh, *self._recalled(len(fresh), rng)] if whole else fresh
        order = rng.permutation(len(groups))
        steps: list[list[RolloutGroup | Kept]] = [
            [groups[i] for i in order[start : start + size]] for start in range(0, len(order), size)
        ]
        if self.config.memory == "recent":
            return [[*step, *self._old(rng)] for step in steps]
        if self.config.memory == "uniform":
            old = _draw(self._past, self.config.past_a_batch * len(steps), rng)
            # Few old groups are spread over the pass.
            return [[*step, *old[index :: len(steps)]] for index, step in enumerate(steps)]
        return steps

    def _old(self, rng: np.random.Generator) -> list[Kept]:
        """Return the old groups of one step by `recent`; by `uniform` all are past ones."""
        return _draw(self._first, self.config.first_a_batch, rng) + _draw(
            self._past, self.config.past_a_batch, rng
        )

    def _recalled(self, fresh: int, rng: np.random.Generator) -> list[Kept]:
        """Return the groups that `duolando` lets join an iteration of `fresh` groups."""
        count = min(_PAST_SHARE * (fresh + len(self._first)), len(self._past))
        if not count:
            return list(self._first)
        picks = rng.integers(len(self._past), size=count)  # with replacement
        return self._first + [self._past[int(pick)] for pick in picks]

    def _request(self, step: Sequence[RolloutGroup | Kept]) -> Callable[[], list[RolloutGroup]]:
        """Ask the store for the groups of a step; what is returned waits for them."""
        answer = self._store.ask([group for group in step if isinstance(group, Kept)])

        def groups() -> list[RolloutGroup]:
            old = iter(answer())
            found = [next(old) if isinstance(group, Kept) else group for group in step]
            return [group for group in found if group is not None]

        return groups

    def _leave_out_lost(self) -> None:
        """Draw no more of what lay in shards that are gone."""
        self._first = [kept for kept in self._first if not self._store.is_lost(kept)]
        self._past = [kept for kept in self._past if not self._store.is_lost(kept)]


def _open_store(shards: int) -> Store:
    if not shards:
        return DriverStore()
    from duet_rl.rl.replay_shards import ShardStore  # Ray loads only when it is needed

    return ShardStore(shards)


def _draw(kept: Sequence[Kept], count: int, rng: np.random.Generator) -> list[Kept]:
    picks = rng.choice(len(kept), size=min(count, len(kept)), replace=False)
    return [kept[int(pick)] for pick in picks]
