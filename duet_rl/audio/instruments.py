"""Instruments: one struck, plucked or bowed note each, as samples."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.signal import butter, sosfilt

A4_HERTZ, A4_NOTE = 440.0, 69  # MIDI number of the tuning note
_HUSH = 0.012  # s; notes fade out for so long at their end, so that nothing clicks

Samples = Float[np.ndarray, "samples"]
Instrument = Literal[
    "kick",
    "hat",
    "brush",
    "clave",
    "cowbell",
    "conga",
    "bass",
    "piano",
    "bandoneon",
    "violin",
]


@lru_cache(maxsize=512)
def note(instrument: Instrument, pitch: int, seconds: float, sample_rate: int) -> Samples:
    """Return one note, peak about 1.

    Args:
        instrument: who plays.
        pitch: MIDI note number; drums ignore it.
        seconds: how long the note is held; struck instruments may ring for less.
        sample_rate: Hz.
    """
    time = np.arange(max(1, round(seconds * sample_rate))) / sample_rate
    hertz = A4_HERTZ * 2 ** ((pitch - A4_NOTE) / 12)
    samples = _VOICES[instrument](time, hertz, sample_rate)
    samples *= np.clip((time[-1] - time) / _HUSH, 0, 1)
    samples = (samples / max(np.abs(samples).max(), 1e-9)).astype(np.float32)
    samples.flags.writeable = False  # it is shared by every caller
    return samples


def _kick(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    sweep = 48 * time + 3.4 * (1 - np.exp(-time * 32))  # cycles: 157 Hz falling to 48 Hz
    return np.sin(2 * np.pi * sweep) * np.exp(-time * 14) + 0.25 * _click(time, sample_rate)


def _hat(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    return _noise(time, sample_rate, 6500, "highpass") * np.exp(-time * 60)


def _brush(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    return _noise(time, sample_rate, 2200, "highpass") * (time + 0.002) * np.exp(-time * 26)


def _clave(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * 2480 * time) * np.exp(-time * 55)


def _cowbell(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    tones = np.sin(2 * np.pi * 562 * time) + 0.8 * np.sin(2 * np.pi * 845 * time)
    return (np.tanh(2.5 * tones) * np.exp(-time * 20)) + 0.3 * _click(time, sample_rate)


def _conga(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    sweep = 205 * time + 0.6 * (1 - np.exp(-time * 60))
    slap = _noise(time, sample_rate, 1500, "highpass") * np.exp(-time * 90)
    return np.sin(2 * np.pi * sweep) * np.exp(-time * 17) + 0.3 * slap


def _bass(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    tone = _partials(time, hertz, (1, 0.55, 0.25, 0.1), decay=1.5)
    return tone * np.exp(-time * 2.2) * _attack(time, 0.006)


def _piano(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    tone = _partials(time, hertz, (1, 0.5, 0.32, 0.2, 0.12, 0.07, 0.04), decay=1.1)
    return tone * np.exp(-time * 3.0) * _attack(time, 0.003)


def _bandoneon(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    reeds = (1, 0.7, 0.6, 0.4, 0.35, 0.22, 0.18, 0.1)
    pair = _partials(time, hertz, reeds) + _partials(time, hertz * 1.003, reeds)
    return pair * _attack(time, 0.015)


def _violin(time: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    vibrato = 0.0035 * np.sin(2 * np.pi * 5.4 * time) * np.clip(time / 0.3, 0, 1)
    bent = time + np.cumsum(vibrato) / sample_rate
    strings = _partials(bent, hertz, (1, 0.6, 0.45, 0.3, 0.2, 0.12, 0.08))
    return strings * _attack(time, 0.06)


_VOICES: dict[str, Callable[[np.ndarray, float, int], np.ndarray]] = {
    "kick": _kick,
    "hat": _hat,
    "brush": _brush,
    "clave": _clave,
    "cowbell": _cowbell,
    "conga": _conga,
    "bass": _bass,
    "piano": _piano,
    "bandoneon": _bandoneon,
    "violin": _violin,
}


def _partials(
    time: np.ndarray, hertz: float, strengths: tuple[float, ...], decay: float = 0.0
) -> np.ndarray:
    """Return a tone of harmonics; with `decay` the higher ones die away faster."""
    tone = np.zeros_like(time)
    for index, strength in enumerate(strengths):
        partial = np.sin(2 * np.pi * hertz * (index + 1) * time)
        tone += strength * partial * np.exp(-time * decay * index)
    return tone


def _attack(time: np.ndarray, seconds: float) -> np.ndarray:
    return np.clip(time / seconds, 0, 1)


def _click(time: np.ndarray, sample_rate: int) -> np.ndarray:
    return _noise(time, sample_rate, 3000, "highpass") * np.exp(-time * 250)


def _noise(time: np.ndarray, sample_rate: int, hertz: float, kind: str) -> np.ndarray:
    white = np.random.default_rng(0).standard_normal(len(time))
    return sosfilt(butter(2, hertz, kind, fs=sample_rate, output="sos"), white)
