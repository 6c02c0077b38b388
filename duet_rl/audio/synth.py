"""A small synthesizer: a rhythm section at any tempo, as sound."""

import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve

from duet_rl.audio.grooves import GROOVES, Groove, Hit, Style, chord, melody_notes
from duet_rl.audio.instruments import note
from duet_rl.errors import InputError

SAMPLE_RATE = 22050  # Hz

_LOUDNESS = 0.9  # peak of the finished track
_TIMING = 0.003  # s; how far players are off the beat (sigma)
_TOUCH = 0.08  # how unevenly they strike (sigma, a share)
_MELODY_GAIN = 0.22
_MELODY_BARS = 2  # the melody repeats its rhythm for so many bars
_ROOM_SECONDS, _ROOM_DECAY, _ROOM_SHARE = 0.7, 7.0, 0.10  # reverberation: length, 1/s, loudness
_FADE = 0.02  # s


def render_rhythm(
    tempo_bpm: float,
    metre: int,
    seconds: float,
    style: Style,
    seed: int,
    phase: float = 0.0,
    sample_rate: int = SAMPLE_RATE,
) -> Float[np.ndarray, "samples"]:
    """Return a band playing: drums, bass, chords and a melody.

    Args:
        tempo_bpm: beats a minute.
        metre: beats a bar: 3 for a waltz, 4 for tango and salsa.
        seconds: length of the track.
        style: the groove.
        seed: draws key, chords and melody; the same seed plays the same notes.
        phase: time of the first beat of a bar, seconds. The band plays before it too.
        sample_rate: Hz.

    Returns:
        Mono float32 samples, peak 0.9.

    Raises:
        InputError: the metre is not the style's, or the length or the tempo is not above 0.
    """
    groove = _groove(style, metre)
    if not (seconds > 0 and tempo_bpm > 0):
        raise InputError(
            f"{seconds} s of music at {tempo_bpm} beats a minute; both must be above 0"
        )
    rng = np.random.default_rng(seed)
    beat = 60 / tempo_bpm
    track = np.zeros(round(seconds * sample_rate), dtype=np.float32)
    first = -int(np.ceil(phase / (beat * metre)))
    bars = int(np.ceil((seconds - phase) / (beat * metre))) - first
    for bar, hits in enumerate(_score(groove, bars, rng)):
        for hit in hits:
            start = phase + ((first + bar) * metre + hit.beat) * beat + rng.normal(0, _TIMING)
            gain = hit.gain * (1 + rng.normal(0, _TOUCH))
            length = max(hit.beats * beat, _shortest(hit))
            samples = note(hit.instrument, hit.pitch, round(length, 3), sample_rate)
            _add(track, samples, round(start * sample_rate), gain)
    return _master(track, sample_rate)


def _groove(style: Style, metre: int) -> Groove:
    groove = GROOVES[style]
    if metre != groove.metre:
        raise InputError(
            f"a {style} has {groove.metre} beats a bar, not {metre}; change the style or the metre"
        )
    return groove


def _score(groove: Groove, bars: int, rng: np.random.Generator) -> list[list[Hit]]:
    """Return the hits of every bar."""
    key = int(rng.integers(12))
    degrees = groove.progressions[rng.integers(len(groove.progressions))]
    rhythms = [groove.rhythms[rng.integers(len(groove.rhythms))] for _ in range(len(degrees))]
    last = int(rng.integers(72, 80))
    score = []
    for bar in range(bars):
        now = chord(degrees[bar % len(degrees)], key)
        hits = list(groove.bar(now, bar, rng))
        onsets = rhythms[bar // _MELODY_BARS % len(rhythms)]
        pitches = melody_notes(now, last, len(onsets), rng)
        ends = (*onsets[1:], groove.metre)
        for onset, end, pitch in zip(onsets, ends, pitches, strict=True):
            hits.append(Hit(onset, groove.melody, _MELODY_GAIN, pitch, end - onset))
        last = pitches[-1]
        score.append(hits)
    return score


def _shortest(hit: Hit) -> float:
    """Return for how many seconds a hit sounds at least: drums ring on at any tempo."""
    return 0.0 if hit.pitch else 0.3


def _add(track: np.ndarray, samples: np.ndarray, start: int, gain: float) -> None:
    """Mix a note into the track in place, cut at the track's ends."""
    skip = max(0, -start)
    start = max(0, start)
    length = min(len(samples) - skip, len(track) - start)
    if length > 0:
        track[start : start + length] += gain * samples[skip : skip + length]


def _master(track: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the track in a room, gently limited, at its final loudness."""
    time = np.arange(round(_ROOM_SECONDS * sample_rate)) / sample_rate
    room = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-time * _ROOM_DECAY)
    room *= _ROOM_SHARE / np.sqrt(np.square(room).sum())
    wet = track + fftconvolve(track, room)[: len(track)]
    limited = np.tanh(wet)
    fade = np.minimum(np.arange(len(track)), np.arange(len(track))[::-1]) / (_FADE * sample_rate)
    limited *= np.clip(fade, 0, 1)
    return (limited * (_LOUDNESS / max(np.abs(limited).max(), 1e-9))).astype(np.float32)
