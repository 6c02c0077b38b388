"""From text back to facts."""

from typing import NamedTuple

from duet_rl.captions.facts import Fact


class Reading(NamedTuple):
    """What was understood of a text, and the words that were not."""

    facts: tuple[Fact, ...]
    left: tuple[str, ...]


def read(text: str) -> Reading:
    """Return the facts that a text says, and its words that say none; refuses nothing."""
    raise NotImplementedError


def parse(text: str) -> tuple[Fact, ...]:
    """Return the facts that a text says, in its order.

    Raises:
        InputError: nothing is understood, or a word is misspelt; with near words.
    """
    raise NotImplementedError
