"""Grooves: who plays what on which beat of a waltz, a tango and a salsa."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from duet_rl.audio.instruments import Instrument

Style = Literal["waltz", "tango", "salsa"]


class Hit(NamedTuple):
    """One note of one bar."""

    beat: float  # beats after the bar's first
    instrument: Instrument
    gain: float
    pitch: int = 0  # MIDI note number; 0 for drums
    beats: float = 1.0  # how long it is held


class Chord(NamedTuple):
    """A triad: its root as a MIDI number within one octave, and its notes above the root."""

    root: int
    third: int
    fifth: int

    def notes(self, lowest: int) -> list[int]:
        """Return the triad's notes in close position, from `lowest` upwards."""
        pitches = (self.root, self.root + self.third, self.root + self.fifth)
        return sorted(lowest + (pitch - lowest) % 12 for pitch in pitches)


@dataclass(frozen=True)
class Groove:
    """How a style is played."""

    metre: int  # beats a bar
    progressions: tuple[tuple[str, ...], ...]  # one chord a bar, repeated; one is drawn
    bar: Callable[[Chord, int, np.random.Generator], Iterator[Hit]]  # chord, bar number
    melody: Instrument
    rhythms: tuple[tuple[float, ...], ...]  # beats on which the melody changes its note


_BASS_LOWEST, _CHORD_LOWEST, _MELODY_LOWEST = 36, 55, 69  # C2, G3, A4
_DEGREES = {  # semitones of the root above the key, and the triad
    "I": (0, 4, 7),
    "ii": (2, 3, 7),
    "IV": (5, 4, 7),
    "V": (7, 4, 7),
    "vi": (9, 3, 7),
    "i": (0, 3, 7),
    "iv": (5, 3, 7),
    "VI": (8, 4, 7),
    "VII": (10, 4, 7),
}
_SON_CLAVE = ((1.0, 2.0), (0.0, 1.5, 3.0))  # the two bars of 2-3 son clave, in beats


def chord(degree: str, key: int) -> Chord:
    """Return the chord on a degree of a key (semitones above C)."""
    above, third, fifth = _DEGREES[degree]
    return Chord((key + above) % 12, third, fifth)


def melody_notes(now: Chord, last: int, count: int, rng: np.random.Generator) -> list[int]:
    """Return `count` notes of a chord that wander from the note `last` in small leaps."""
    ladder = now.notes(_MELODY_LOWEST) + now.notes(_MELODY_LOWEST + 12)
    place = int(np.argmin(np.abs(np.array(ladder) - last)))
    notes = []
    for _ in range(count):
        notes.append(ladder[place])
        place = int(np.clip(place + rng.integers(-1, 2), 0, len(ladder) - 1))
    return notes


def _bass_note(now: Chord, fifth: bool = False) -> int:
    return _BASS_LOWEST + (now.root + (now.fifth if fifth else 0) - _BASS_LOWEST) % 12


def _waltz_bar(now: Chord, bar: int, rng: np.random.Generator) -> Iterator[Hit]:
    yield Hit(0, "kick", 0.8)
    yield Hit(0, "bass", 0.9, _bass_note(now, fifth=bar % 2 == 1), 0.95)
    for beat in (1, 2):
        yield Hit(beat, "brush", 0.55)
        yield Hit(beat, "kick", 0.3)
        for pitch in now.notes(_CHORD_LOWEST):
            yield Hit(beat, "piano", 0.34, pitch, 0.6)
    if rng.random() < 0.4:
        yield Hit(2.5, "hat", 0.18)


def _tango_bar(now: Chord, bar: int, rng: np.random.Generator) -> Iterator[Hit]:
    for beat in range(4):
        strong = beat % 2 == 0
        yield Hit(beat, "kick", 0.75 if strong else 0.5)
        yield Hit(beat, "bass", 0.8, _bass_note(now, fifth=not strong), 0.5)
        for pitch in now.notes(_CHORD_LOWEST):
            yield Hit(beat, "bandoneon", 0.26 if strong else 0.22, pitch, 0.35)
        yield Hit(beat, "hat", 0.2)
    if bar % 4 == 3:  # the pick-up into the next phrase
        yield Hit(3.5, "piano", 0.35, _CHORD_LOWEST + (now.root - _CHORD_LOWEST) % 12, 0.4)


def _salsa_bar(now: Chord, bar: int, rng: np.random.Generator) -> Iterator[Hit]:
    for quarter in range(4):
        yield Hit(quarter, "cowbell", 0.42 if quarter % 2 == 0 else 0.36)
        yield Hit(quarter, "kick", 0.6)
    for beat in _SON_CLAVE[bar % 2]:
        yield Hit(beat, "clave", 0.4)
    for beat, gain in ((1.0, 0.3), (3.0, 0.4), (3.5, 0.32)):
        yield Hit(beat, "conga", gain)
    yield Hit(1.5, "bass", 0.6, _bass_note(now, fifth=True), 1.4)  # tumbao
    yield Hit(3, "bass", 0.75, _bass_note(now), 1.4)
    low, middle, high = now.notes(_CHORD_LOWEST)
    montuno = ((0.0, high), (1.0, middle), (1.5, high), (2.5, low), (3.0, high), (3.5, middle))
    for beat, pitch in montuno:
        for octave in (0, 12):
            yield Hit(beat, "piano", 0.2, pitch + octave, 0.45)


GROOVES: dict[Style, Groove] = {
    "waltz": Groove(
        metre=3,
        progressions=(("I", "vi", "ii", "V"), ("I", "IV", "V", "I"), ("I", "V", "V", "I")),
        bar=_waltz_bar,
        melody="violin",
        rhythms=((0,), (0, 2), (0, 1, 2), (0, 1.5, 2)),
    ),
    "tango": Groove(
        metre=4,
        progressions=(("i", "i", "iv", "V"), ("i", "VI", "iv", "V"), ("i", "VII", "VI", "V")),
        bar=_tango_bar,
        melody="violin",
        rhythms=((0, 3), (0, 1, 2), (0, 1.5, 2), (0, 2, 3)),
    ),
    "salsa": Groove(
        metre=4,
        progressions=(("i", "iv", "V", "iv"), ("I", "IV", "V", "IV"), ("i", "VII", "VI", "V")),
        bar=_salsa_bar,
        melody="bandoneon",
        rhythms=((0,), (0, 1.5, 3), (0, 2), (1, 2.5)),
    ),
}
