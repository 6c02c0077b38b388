"""Captions: which facts of a motion are worth saying, and how they are said."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.captions.detect import facts_of, occurrences
from duet_rl.captions.facts import Caption, Fact, Stated
from duet_rl.captions.sayings import SAYINGS
from duet_rl.captions.signals import FPS

WINDOW = round(4 * FPS)  # frames of the windows in which facts are counted
MOST = 4  # facts in a caption
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 2.5  # a deed counts as long as this, a pose at most so long
_MOST_OF_A_REGION = 2  # facts of arms, of legs, of the way, of the couple in one caption
_PLACED = 0.5  # share of the facts whose place in time is said, where it can be
_NEW_SENTENCE = 0.25
_VOICES = (  # who the sentences speak of (none: they begin with the deed), and whose limbs
    ("", "the"),
    ("The dancer", "the"),
    ("The person", "their"),
    ("He", "his"),
    ("She", "her"),
)
_THEN = ("then", "and then", "after that")
_FIRST, _LAST = ("at first", "in the beginning"), ("at the end", "finally")
_REGIONS = ("arm", "hand", "knee", "foot", "feet", "trunk", "partner")

T = TypeVar("T")


@dataclass(frozen=True)
class Captioner:
    """Says what is rare and lasts.

    Args:
        often: for the key of a fact the share of training windows in which it holds.
        windows: on how many training windows that was counted; a fact of none of them is as rare
            as one of one window more.
    """

    often: Mapping[str, float] = field(default_factory=dict)
    windows: int = 0

    @classmethod
    def fit(
        cls,
        joints: Sequence[Float[Tensor, "_ _ 3"]],
        partners: Sequence[Float[Tensor, "_ _ 3"]] | None = None,
    ) -> "Captioner":
        """Return a captioner that knows how often each fact holds in training clips.

        Args:
            joints: one clip each, metres, 30 fps; counted in windows of `WINDOW` frames.
            partners: the other dancer of each clip, for facts of the couple.

        Raises:
            InputError: as `facts_of`.
        """
        assert partners is None or len(partners) == len(joints)
        found: Counter[str] = Counter()
        windows = 0
        for index, clip in enumerate(joints):
            partner = None if partners is None else partners[index]
            stated = facts_of(clip, partner)
            for start in range(0, max(1, len(clip) - WINDOW + 1), WINDOW):
                windows += 1
                stop = start + WINDOW
                found.update({s.fact.key for s in stated if s.start < stop and s.stop > start})
        return cls({key: count / windows for key, count in sorted(found.items())}, windows)

    def caption(
        self,
        joints: Float[Tensor, "T J 3"],
        generator: torch.Generator,
        partner: Float[Tensor, "T J 3"] | None = None,
    ) -> Caption:
        """Return one caption of a motion; the generator chooses facts, order and words.

        Raises:
            InputError: as `facts_of`.
        """
        return caption_of(facts_of(joints, partner), len(joints), generator, self)

    def rarity(self, fact: Fact) -> float:
        """Return -log of how often a fact holds; 1 for each where nothing was counted."""
        if not self.windows:
            return 1.0
        return -math.log(max(self.often.get(fact.key, 0.0), 1 / (self.windows + 1)))

    def ranked(self, stated: Sequence[Stated]) -> list[Stated]:
        """Return stated facts by rarity times duration, the most worth saying first."""
        return sorted(stated, key=lambda one: (-self._worth(one), one.start, one.fact.key))

    def _worth(self, stated: Stated) -> float:
        seconds = min(max(stated.frames / FPS, _LEAST_SECONDS), _MOST_SECONDS)
        return self.rarity(stated.fact) * seconds


def caption_of(
    stated: Sequence[Stated],
    frames: int,
    generator: torch.Generator,
    captioner: Captioner | None = None,
) -> Caption:
    """Return a caption of 1 to `MOST` of the facts of a motion.

    The facts most worth saying are found, up to three of them dropped, the rest said in any order.

    Args:
        stated: what `facts_of` found.
        frames: length of the motion.
        generator: of facts, order and words; on the CPU.
        captioner: knows what is rare; without one all facts are as rare.
    """
    assert stated, "every motion has a pace"
    worth = _varied((captioner or Captioner()).ranked(stated))
    told = worth[: 1 + _draw(len(worth), generator)]
    told = [told[index] for index in torch.randperm(len(told), generator=generator).tolist()]
    facts: list[Fact] = []
    for one in told:
        here = _places(one.fact, facts, len(told))
        true = [fact for fact in here if one in occurrences(fact, stated, frames)]
        placed = true and torch.rand((), generator=generator) < _PLACED
        facts.append(_pick(true, generator) if placed else one.fact)
    return Caption(_text(facts, generator), tuple(facts), tuple(told))


def _varied(ranked: list[Stated]) -> list[Stated]:
    """Return the first facts of a ranking that do not all speak of the same limbs."""
    chosen: list[Stated] = []
    regions: Counter[str] = Counter()
    for one in ranked:
        region = _region(one.fact)
        if regions[region] < _MOST_OF_A_REGION and not any(_repeats(one, c) for c in chosen):
            regions[region] += 1
            chosen.append(one)
        if len(chosen) == MOST:
            break
    return chosen


def _region(fact: Fact) -> str:
    """Return what a fact speaks of: arms, legs, the trunk, the partner, or the whole dancer."""
    found = next((r for r in _REGIONS if fact.kind == "couple" or r in fact.subject), "dancer")
    joined = {"hand": "arm", "knee": "leg", "foot": "leg", "feet": "leg"}
    return "partner" if fact.kind == "couple" else joined.get(found, found)


def _repeats(one: Stated, other: Stated) -> bool:
    """Return whether a fact is the other one again, or the same of one side or of both."""
    same = one.fact.kind == "couple" or one.fact.what == other.fact.what
    return one.fact == other.fact or (same and _region(one.fact) == _region(other.fact))


def _places(fact: Fact, before: Sequence[Fact], count: int) -> Iterator[Fact]:
    """Return a fact with each place in time that can be said of it after the facts before it."""
    if not before:
        yield Fact(fact.kind, fact.subject, fact.what, "first")
    if len(before) == count - 1:
        yield Fact(fact.kind, fact.subject, fact.what, "last")
    if before and before[-1].bare != fact:
        yield Fact(fact.kind, fact.subject, fact.what, "then", before[-1].bare)
        if before[-1].when != "while":
            yield Fact(fact.kind, fact.subject, fact.what, "while", before[-1].bare)


def _text(facts: Sequence[Fact], generator: torch.Generator) -> str:
    """Return sentences that say the facts in their order."""
    subject, whose = _pick(_VOICES, generator)
    inner = subject.lower() or "the dancer"
    text, joined = "", False
    for fact in facts:
        deed = _pick(SAYINGS[fact.bare], generator).format(p=whose)
        begins = not text or joined or float(torch.rand((), generator=generator)) < _NEW_SENTENCE
        joined = not fact.when and not begins
        if fact.when == "then":
            text += f", {_pick(_THEN, generator)} {deed}"
        elif fact.when == "while":
            text += f" while {inner} {deed}"
        elif fact.when:
            place = _pick(_FIRST if fact.when == "first" else _LAST, generator)
            text += f". {place.capitalize()} {inner} {deed}"
        elif joined:
            text += f" and {deed}"
        else:
            text += f". {subject} {deed}" if subject else f". {deed.capitalize()}"
    return text.removeprefix(". ") + "."


def _pick(options: Sequence[T], generator: torch.Generator) -> T:
    return options[_draw(len(options), generator)]


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
