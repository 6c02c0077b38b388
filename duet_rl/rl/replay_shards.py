"""Remembered groups in processes of their own, on any node; a lost one costs what it held.

Imports no torch, nor does what it imports: a shard's process would be 180 MB larger.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import ray
from ray.exceptions import ObjectLostError, RayActorError

from duet_rl.rl.replay_stores import Answer, Kept
from duet_rl.rl.rollout_group import RolloutGroup

logger = logging.getLogger(__name__)


class Shard:
    """The groups that one process holds, by key."""

    def __init__(self) -> None:
        self._groups: dict[int, RolloutGroup] = {}

    def add(self, groups: dict[int, RolloutGroup]) -> None:
        """Hold copies of these, so that they leave Ray's object store."""
        self._groups |= {key: group.to_keep() for key, group in groups.items()}

    def drop(self, keys: Sequence[int]) -> None:
        """Hold these no longer."""
        for key in keys:
            del self._groups[key]

    def get(self, keys: Sequence[int]) -> list[RolloutGroup]:
        """Return these, in this order."""
        return [self._groups[key] for key in keys]


class _Seat:
    """A shard as the driver sees it; a new one takes its seat when it is lost."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_alive = True
        self.groups = 0  # that it holds
        # A shard waits more than it works, and takes no processor from the env runners.
        self.actor: Any = (
            ray.remote(Shard).options(num_cpus=0, scheduling_strategy="SPREAD").remote()
        )
        self.told: list[ray.ObjectRef] = []  # answers to what it was told to do


class _Place(NamedTuple):
    seat: _Seat
    key: int


class ShardStore:
    """Deals groups out to actors in turn; groups go there and come back by reference.

    Where a group lies has no influence on what is drawn, so a sharded memory draws what one in the
    driver would, until a shard is lost.

    Args:
        shards: how many actors. Ray must be running.
    """

    def __init__(self, shards: int) -> None:
        self._seats = [_Seat(number) for number in range(shards)]
        self._dealt = 0
        self._lost_shards = self._lost_groups = 0

    def put(self, groups: Sequence[RolloutGroup]) -> list[Kept]:
        self._check()
        kept = []
        parts: list[dict[int, RolloutGroup]] = [{} for _ in self._seats]
        for group in groups:
            key, number = self._dealt, self._dealt % len(self._seats)
            parts[number][key] = group
            kept.append(Kept(len(group), group.nbytes, _Place(self._seats[number], key)))
            self._dealt += 1
        for seat, part in zip(self._seats, parts, strict=True):
            seat.groups += len(part)
            seat.told.append(seat.actor.add.remote(ray.put(part)))  # an empty one asks: alive?
        return kept

    def drop(self, kept: Sequence[Kept]) -> None:
        for seat, keys in _by_seat(kept).items():
            seat.groups -= len(keys)
            seat.told.append(seat.actor.drop.remote(keys))

    def ask(self, kept: Sequence[Kept]) -> Answer:
        asked = {seat: (keys, seat.actor.get.remote(keys)) for seat, keys in _by_seat(kept).items()}

        def answer() -> list[RolloutGroup | None]:
            found: dict[_Place, RolloutGroup] = {}
            for seat, (keys, reference) in asked.items():
                groups = self._wait(seat, [reference])
                if groups:
                    places = [_Place(seat, key) for key in keys]
                    found |= dict(zip(places, groups[0], strict=True))
            return [found.get(one.place) for one in kept]

        return answer

    def is_lost(self, kept: Kept) -> bool:
        return not kept.place.seat.is_alive

    def losses(self) -> dict[str, float]:
        return {
            "lost_shards": float(self._lost_shards),
            "lost_groups": float(self._lost_groups),
        }

    def close(self) -> None:
        for seat in self._seats:
            seat.is_alive = False
            ray.kill(seat.actor)
        self._seats = []

    def pids(self) -> list[int]:
        calls = [seat.actor.__ray_call__.remote(_pid) for seat in self._seats]
        return list(ray.get(calls))

    def _check(self) -> None:
        """Wait until every shard has done what it was told, and find those that cannot."""
        for seat in list(self._seats):
            self._wait(seat, seat.told)
            seat.told = []

    def _wait(self, seat: _Seat, references: list[ray.ObjectRef]) -> list[Any] | None:
        """Return the answers of a shard, or None if it was lost."""
        try:
            return list(ray.get(references))
        except (RayActorError, ObjectLostError) as error:
            self._replace(seat, error)
            return None

    def _replace(self, seat: _Seat, error: Exception) -> None:
        if not seat.is_alive:
            return
        seat.is_alive = False
        ray.kill(seat.actor)  # it may be merely out of reach
        self._lost_shards += 1
        self._lost_groups += seat.groups
        logger.warning(
            "replay shard %d was lost with %d groups (%s); an empty one takes its place and "
            "training goes on",
            seat.number,
            seat.groups,
            type(error).__name__,
        )
        self._seats[seat.number] = _Seat(seat.number)


def _by_seat(kept: Sequence[Kept]) -> dict[_Seat, list[int]]:
    """Return the keys of groups in shards that are there, without repeats."""
    keys: dict[_Seat, dict[int, None]] = {}
    for seat, key in (one.place for one in kept):
        if seat.is_alive:
            keys.setdefault(seat, {})[key] = None
    return {seat: list(found) for seat, found in keys.items()}


def _pid(_: Any) -> int:
    return os.getpid()
