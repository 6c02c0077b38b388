"""Roles exchanged: stores in which he who led stands as the follower, for models that lead."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from duet_rl.body.contact import HOLD_TARGETS, hold_due
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.prepare import PrepareTask, fingerprint
from duet_rl.datasets.store import SWAPPED, DuetStore

Part = Literal["leader", "follower"]
"""Whose part somebody dances: he who leads, or he who follows."""

META_KEY = "part"  # of it, among the facts about a follower's checkpoint; unsaid: the follower's
_PALMS = HOLD_TARGETS.index("right_palm") + 1


def part_in(meta: Mapping[str, Any]) -> Part:
    """Return whose part a checkpoint with these facts has learned."""
    return "leader" if meta.get(META_KEY) == "leader" else "follower"


def part_facts(store: DuetStore) -> dict[str, Part]:
    """Return what a checkpoint says of the part that it learned from a store."""
    return {META_KEY: "leader"} if store.swapped else {}


def partner_of(part: Part) -> Part:
    """Return the other part."""
    return "leader" if part == "follower" else "follower"


def swapped(clip: DuetClip) -> DuetClip:
    """Return a couple's clip with the roles exchanged: he who led now stands as the follower.

    A palm that held a palm is held by it. What else the new follower's hands hold is found as for
    captured couples, by `hold_due`. What people wrote of the follower is left out.
    """
    duet = clip.duet.swapped()
    hold = hold_due(duet.leader.joints, duet.follower.joints, FPS)
    hold[..., :_PALMS] = clip.hold[..., :_PALMS].mT
    return replace(
        clip, duet=duet, hold=hold, source=f"{clip.source}, roles exchanged", captions=()
    )


def swap_tasks(store: DuetStore) -> Iterator[PrepareTask]:
    """Yield what exchanges the roles of each couple of a store.

    Raises:
        InputError: the store holds soloists.
    """
    store.require_couples("a store with the roles exchanged")
    for record in store.records():
        yield PrepareTask(
            record.name,
            fingerprint(Config(), record.sha256, SWAPPED),
            partial(_take, store.path.absolute(), record.name),
        )


def _take(store: Path, clip: str, scratch: Path) -> DuetClip:
    return swapped(DuetStore.open(store).clip(clip))
