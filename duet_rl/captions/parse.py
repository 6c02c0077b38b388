"""From text back to facts: own captions come back exactly, other texts as far as they are known.

A sentence is cut where one thing ends and the next begins (`and`, `then`, `while`, commas). What
is said in a piece is the bag of its meanings and the order of the limbs that it names; the pieces
that `SAYINGS` makes are looked up as such, so that no word order and no inflection matters.
"""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from duet_rl.captions.facts import Fact, When
from duet_rl.captions.lexicon import NOT, Token, near_words, plain_text, tokens_of
from duet_rl.captions.sayings import SAYINGS
from duet_rl.errors import InputError

Concepts = frozenset[str]
Parts = tuple[str, ...]

_SENTENCE = re.compile(r"[.!?;:\n]+(?!\d)")
_MARKERS: dict[str, str] = {
    r"and then|then|after that|afterwards|next": "then",
    r"at the same time|meanwhile|while|as": "while",
    r"at first|first|at the (?:beginning|start)|in the beginning|to begin with": "first",
    r"at the end|in the end|finally|at last": "last",
    r"and": "",
}
_MARKER = re.compile(
    "|".join([*(rf"\b(?P<m{i}>{pattern})\b" for i, pattern in enumerate(_MARKERS)), ","])
)
_COARSE = {"hand": "arm", "elbow": "arm", "leg": "knee"}
_NEAR_SAYINGS, _ALIKE = 3, 0.5
_LEAST_CONCEPTS = 2  # that tell a deed without a limb apart from the words around it


class Reading(NamedTuple):
    """What was understood of a text, and the words that were not."""

    facts: tuple[Fact, ...]
    left: tuple[str, ...]


class Piece(NamedTuple):
    """What is said between two joints of a sentence, and the markers of time that stand there."""

    markers: frozenset[str]
    tokens: list[Token]

    @property
    def concepts(self) -> Concepts:
        return frozenset(t.meaning for t in self.tokens if not t.is_part and t.meaning)

    @property
    def parts(self) -> Parts:
        return tuple(t.meaning for t in self.tokens if t.is_part)


class _Found(NamedTuple):
    fact: Fact
    concepts: Concepts
    parts: Parts


def read(text: str) -> Reading:
    """Return the facts that a text says, and its words that say none; refuses nothing."""
    facts: list[Fact] = []
    left: list[str] = []
    for sentence in _SENTENCE.split(text):
        pending: set[str] = set()
        pieces = list(pieces_of(sentence))
        for index, piece in enumerate(pieces):
            pending |= piece.markers
            found, rest = understood_among(pieces, index)
            left += rest
            for one in found:
                facts.append(_placed(one, pending, facts))
                pending = set()
    return Reading(tuple(facts), tuple(left))


def parse(text: str) -> tuple[Fact, ...]:
    """Return the facts that a text says, in its order.

    Words that say nothing that can be checked are passed over; `read` tells which.

    Raises:
        InputError: nothing is understood, or a word is misspelt; with near words.
    """
    facts, left = read(text)
    for word in left:
        near = near_words(word, misspelt=True)
        if near:
            raise InputError(f"{word!r} in {text!r} is not understood; near to it: {near}")
    if not facts:
        ways = [way.format(p="the") for said in SAYINGS.values() for way in said]
        near = difflib.get_close_matches(text.lower(), ways, _NEAR_SAYINGS, _ALIKE)
        hint = f"near to it: {near}" if near else "say what limbs do, or where they are"
        raise InputError(f"nothing in {text!r} can be checked on a motion; {hint}")
    return facts


def understood(tokens: list[Token]) -> tuple[list[Fact], list[Token]]:
    """Return the facts that tokens of one piece say, and the tokens that are left.

    What is left without a limb speaks of the one before: `raises the left hand above the head`.
    """
    piece, found = Piece(frozenset(), tokens), list[Fact]()
    subject: Parts = ()
    while piece.tokens and NOT not in piece.concepts:
        match = _exact(piece.concepts, piece.parts or subject) or _within(piece, subject)
        if match is None:
            break
        if match.fact not in found:
            found.append(match.fact)
        subject = piece.parts[:1] or subject
        piece = Piece(piece.markers, _without(piece.tokens, match))
    return found, piece.tokens


def understood_among(pieces: list[Piece], index: int) -> tuple[list[Fact], list[str]]:
    """Return the facts of a piece, and its words left over.

    `raises and lowers the left arm` and `raises the left arm and the right arm` name once what
    both pieces speak of.
    """
    piece = pieces[index]
    if _exact(piece.concepts, piece.parts) is None and NOT not in piece.concepts:
        lent = None
        if piece.concepts and not piece.parts:
            beside = [p for p in (*pieces[index + 1 : index + 2], *pieces[:index][::-1]) if p.parts]
            lent = _exact(piece.concepts, beside[0].parts) if beside else None
        elif piece.parts and not piece.concepts:
            beside = [p for p in pieces[:index][::-1] if p.concepts]
            lent = _exact(beside[0].concepts, piece.parts) if beside else None
        if lent is not None:
            return [lent.fact], [w for t in piece.tokens if not t.meaning for w in t.words]
    found, rest = understood(piece.tokens)
    return found, [word for token in rest for word in token.words]


def pieces_of(sentence: str) -> Iterator[Piece]:
    """Return the pieces of a sentence, with the markers of time that stand in each."""
    text = plain_text(sentence)
    start, markers = 0, frozenset[str]()
    for match in _MARKER.finditer(text):
        tokens = tokens_of(text[start : match.start()])
        kinds = enumerate(_MARKERS.values())
        kind = next((kind for i, kind in kinds if match.group(f"m{i}") is not None), "")
        if tokens:
            yield Piece(markers, tokens)
            markers = frozenset()
        if kind:
            markers |= {kind}
        start = match.end()
    tokens = tokens_of(text[start:])
    if tokens or markers:
        yield Piece(markers, tokens)


def _placed(fact: Fact, markers: set[str], before: list[Fact]) -> Fact:
    """Return the fact with its place in time, as far as there is something to relate it to."""
    when: When
    for when in ("first", "last"):
        if when in markers:
            return Fact(fact.kind, fact.subject, fact.what, when)
    for when in ("then", "while"):
        if when in markers and before and before[-1].bare != fact:
            return Fact(fact.kind, fact.subject, fact.what, when, before[-1].bare)
    return fact


@cache
def _index() -> dict[tuple[Concepts, Parts], Fact]:
    """Return for all that is said in one exact way what it says; asserts that it says one thing."""
    index: dict[tuple[Concepts, Parts], Fact] = {}
    for fact, ways in SAYINGS.items():
        for way in ways:
            piece = Piece(frozenset(), tokens_of(way.format(p="the")))
            key = piece.concepts, piece.parts
            assert all(token.meaning for token in piece.tokens), way
            assert index.setdefault(key, fact) == fact, (way, index[key])
    return index


@cache
def _coarse_index() -> dict[tuple[Concepts, Parts], Fact]:
    """Return the same for limbs as a whole, in any order, where that says one thing."""
    index: dict[tuple[Concepts, Parts], set[Fact]] = {}
    for (concepts, parts), fact in _index().items():
        for key in ((concepts, tuple(sorted(parts))), (concepts, _coarse(parts))):
            index.setdefault(key, set()).add(fact)
    return {key: facts.pop() for key, facts in index.items() if len(facts) == 1}


def _coarse(parts: Parts) -> Parts:
    return tuple(
        sorted(":".join(_COARSE.get(name, name) for name in part.split(":")) for part in parts)
    )


def _exact(concepts: Concepts, parts: Parts) -> _Found | None:
    """Return the fact that says just this."""
    fact = _index().get((concepts, parts))
    for key in (tuple(sorted(parts)), _coarse(parts)):
        fact = fact or _coarse_index().get((concepts, key))
    return _Found(fact, concepts, parts) if fact else None


def _within(piece: Piece, subject: Parts) -> _Found | None:
    """Return the fact that says most of a piece, of those that say nothing beside it."""
    best: _Found | None = None
    named = piece.parts or subject
    for (concepts, parts), fact in _index().items():
        if not concepts or not concepts <= piece.concepts or not _in_order(parts, named):
            continue
        if named and not parts and len(concepts) < _LEAST_CONCEPTS:
            continue
        size = len(concepts) + len(parts)
        if best is None or size > len(best.concepts) + len(best.parts):
            best = _Found(fact, concepts, parts)
    return best


def _in_order(some: Parts, all_: Parts) -> bool:
    rest = iter(all_)
    return all(part in rest for part in some)


def _without(tokens: list[Token], match: _Found) -> list[Token]:
    """Return the tokens that a match leaves; a meaning that stands twice is taken once or all."""
    parts = list(match.parts)
    left = []
    for token in tokens:
        if token.is_part and token.meaning in parts:
            parts.remove(token.meaning)
        elif token.is_part or token.meaning not in match.concepts:
            left.append(token)
    return left
