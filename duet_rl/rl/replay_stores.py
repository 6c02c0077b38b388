"""Where remembered groups lie: what a store does, and the one in the driver's own memory."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from duet_rl.rl.rollout_group import RolloutGroup


class Kept(NamedTuple):
    """A group that lies in a store: its size, and where."""

    steps: int  # token steps
    nbytes: int  # of its arrays
    place: Any  # for the store alone


Answer = Callable[[], list[RolloutGroup | None]]


@runtime_checkable
class Store(Protocol):
    """Holds groups and gives them back; `Replay` decides which ones stay and which are drawn."""

    def put(self, groups: Sequence[RolloutGroup]) -> list[Kept]:
        """Hold copies of `groups`; return one `Kept` for each."""

    def drop(self, kept: Sequence[Kept]) -> None:
        """Hold these no longer."""

    def ask(self, kept: Sequence[Kept]) -> Answer:
        """Ask for groups; the answer, when called, waits for them. None is one that was lost."""

    def is_lost(self, kept: Kept) -> bool:
        """Return whether the group is known to have died where it lay."""

    def losses(self) -> dict[str, float]:
        """Return what was lost so far, by name of the metric; nothing where nothing can be."""

    def pids(self) -> list[int]:
        """Return the processes beside this one that hold groups."""

    def close(self) -> None:
        """Give back what the store took: memory, processes."""


class DriverStore:
    """Holds groups in this process."""

    def put(self, groups: Sequence[RolloutGroup]) -> list[Kept]:
        return [Kept(len(group), group.nbytes, group.to_keep()) for group in groups]

    def drop(self, kept: Sequence[Kept]) -> None:
        pass  # a group lies in its `Kept` and goes with it

    def ask(self, kept: Sequence[Kept]) -> Answer:
        return lambda: [one.place for one in kept]

    def is_lost(self, kept: Kept) -> bool:
        return False

    def losses(self) -> dict[str, float]:
        return {}

    def pids(self) -> list[int]:
        return []

    def close(self) -> None:
        pass
