"""Which choreographies are for training, for refining, for choosing and for testing."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from duet_rl.config import Config
from duet_rl.errors import InputError

Split = Literal["train", "rl", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "rl", "val", "test")
SplitRule = Literal["drawn", "dd100"]

_DD100_BALLET = "Ballet"  # in the names of genres with a list of test choreographies of their own
_DD100_BALLET_TEST = (9, 10)
_DD100_TEST_EVERY = 5


class SplitConfig(Config):
    """How choreographies are shared out. A choreography is never divided."""

    rule: SplitRule = "drawn"  # dd100: the test split is that of the data set, and not drawn
    val: float = Field(0.1, ge=0, lt=1)  # share of the choreographies
    test: float = Field(0.2, ge=0, lt=1)  # share of the choreographies, where it is drawn
    rl: float = Field(0.0, ge=0, lt=1)  # share kept for refinement by RL, which training never saw
    seed: int = 0
    given: Mapping[str, Split] = Field(default_factory=dict)  # choreography -> split, not drawn


def in_dd100_test(choreography: str) -> bool:
    """Return whether `GENRE_NUMBER` is in the test split that DD100's authors use.

    Raises:
        InputError: the name does not end in a number.
    """
    genre, _, number = choreography.rpartition("_")
    if not genre or not number.isdecimal():
        raise InputError(
            f"{choreography!r} is no choreography of DD100, whose split goes by GENRE_NUMBER; "
            "rename the files, or set prepare.split.rule=drawn"
        )
    if _DD100_BALLET in genre:
        return int(number) in _DD100_BALLET_TEST
    return int(number) % _DD100_TEST_EVERY == 0


def split_choreographies(
    styles: Mapping[str, str], config: SplitConfig, known: Mapping[str, Split] | None = None
) -> dict[str, Split]:
    """Return the split of each choreography; the same names and seed give the same answer.

    Styles take turns, so that a small test split still holds several. A split that is asked for
    has at least one choreography as soon as training keeps one too.

    Args:
        styles: choreography -> its style.
        config: shares, seed, and the splits given by hand.
        known: choreographies whose split is settled (a store that grows); they keep it.

    Raises:
        InputError: the shares leave nothing for training, or a given choreography is unknown.
    """
    if config.val + config.test + config.rl >= 1:
        raise InputError(
            f"split.val {config.val:g} + split.test {config.test:g} + split.rl {config.rl:g} leave "
            "nothing for training; their sum must be under 1"
        )
    ruled: dict[str, Split] = {}
    if config.rule == "dd100":
        ruled = {name: "test" for name in styles if in_dd100_test(name)}
    settled: dict[str, Split] = {**ruled, **config.given, **(known or {})}
    unknown = sorted(config.given.keys() - styles.keys() - (known or {}).keys())
    if unknown:
        raise InputError(f"split.given names {unknown}; the choreographies are {sorted(styles)}")
    everyone = styles.keys() | (known or {}).keys()
    splits = {name: settled[name] for name in styles if name in settled}
    free = _in_turns({name: style for name, style in styles.items() if name not in settled}, config)
    drawn: tuple[Split, ...] = ("test", "val", "rl") if config.rule == "drawn" else ("val", "rl")
    for split in drawn:
        taken = sum(settled.get(name) == split for name in everyone)
        wanted = _count(len(everyone), getattr(config, split)) - taken
        # One choreography, at least, is left for training.
        room = len(free) - (0 if "train" in settled.values() else 1)
        for _ in range(max(0, min(wanted, room))):
            splits[free.pop(0)] = split
    splits.update(dict.fromkeys(free, "train"))
    return splits


def _count(total: int, share: float) -> int:
    return max(1, round(total * share)) if share > 0 else 0


def _in_turns(styles: Mapping[str, str], config: SplitConfig) -> list[str]:
    """Return the names in a seeded order in which the styles take turns."""

    def draw(name: str) -> str:
        return hashlib.sha256(f"{config.seed}:{name}".encode()).hexdigest()

    by_style: dict[str, list[str]] = {}
    for name in sorted(styles, key=draw):
        by_style.setdefault(styles[name], []).append(name)
    ranks = {name: rank for names in by_style.values() for rank, name in enumerate(names)}
    return sorted(ranks, key=lambda name: (ranks[name], draw(name)))
