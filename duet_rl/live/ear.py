"""Music features of a sound that is still being played, by what has sounded alone.

As `audio.features`, with what needs the future left out: loudness is judged by the loudest so
far, sustained and struck sounds are told apart by the last half second, low pitches come half
their filter late, and beats are foretold (`live.beats`). How near that comes: docs/live.md.
"""

from collections import deque
from functools import lru_cache

import librosa
import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.ndimage import median_filter
from torch import Tensor

from duet_rl.audio.features import BEAT, CHROMA, MFCC, MFCC_DELTA, MUSIC_DIMS, ONSET
from duet_rl.audio.spectra import HOP, SAMPLE_RATE
from duet_rl.errors import InputError
from duet_rl.live.beats import BeatListener

RATES = (8_000, 96_000)  # Hz that a sound may have
MOST_AHEAD = 60.0  # s of sound that may be there before the leader's frames

_FFT = 2048  # samples
_MEDIAN = 31  # frames or frequency bins
_BANDS = 128  # mel bands
_OCTAVES, _BINS = 7, 12
_LONGEST = 8192  # samples; the filter of the lowest pitch
_MFCCS = 20
_QUIET = 1e-10  # power below which nothing is heard
_RANGE = 80.0  # dB below the loudest that count
_LOUD_AT_FIRST = 1.0  # power of the loudest mel band before anything has sounded


class Ear:
    """Turns samples as they come into rows of features, 30 a second.

    Row `t` is told when the samples up to `t / 30` s have come, like the leader's frame `t`.
    """

    def __init__(self, rate: int) -> None:
        if not RATES[0] <= rate <= RATES[1]:
            raise InputError(f"sound at {rate} Hz; wanted {RATES[0]} to {RATES[1]} Hz")
        self.rate = rate
        self.late = 0  # rows that had to be guessed, as their sound was not there
        self._resampler = _Resampler(rate)
        self._samples = np.zeros(_LONGEST, dtype=np.float32)  # heard, then still to be heard
        self._rows: deque[Tensor] = deque()  # (54,) each, not asked for yet
        self._last = torch.zeros(MUSIC_DIMS)
        self._owed = 0  # rows that were guessed, and whose sound will come
        self._spectra = np.zeros((_MEDIAN, 1 + _FFT // 2), dtype=np.float32)
        self._struck = np.full(_BANDS, 10 * np.log10(_QUIET), dtype=np.float32)  # dB
        self._loudest, self._loudest_struck = _LOUD_AT_FIRST, _LOUD_AT_FIRST
        self._mfccs = np.zeros((3, _MFCCS), dtype=np.float32)
        self._beats = BeatListener()
        self._heard_any = False

    @property
    def bpm(self) -> float:
        """Beats a minute, 0 while no tempo is known."""
        return self._beats.bpm

    def hear(self, samples: Float[np.ndarray, "samples"]) -> None:
        """Take in the next samples, mono, -1 to 1; what is not finite is silence.

        Raises:
            InputError: the sound is a minute ahead of the leader.
        """
        if len(self._rows) > MOST_AHEAD * SAMPLE_RATE / HOP:
            raise InputError(
                f"the sound is {MOST_AHEAD:.0f} s ahead of the leader's frames; send it as it plays"
            )
        clean = np.nan_to_num(np.asarray(samples, np.float32), nan=0, posinf=0, neginf=0)
        fresh = self._resampler.put(clean.clip(-1, 1))
        self._samples = np.concatenate([self._samples, fresh])
        first = not self._heard_any
        while len(self._samples) >= _LONGEST + (0 if first else HOP):
            if not first:
                self._samples = self._samples[HOP:]
            first, self._heard_any = False, True
            row = torch.from_numpy(self._row(self._samples[:_LONGEST]))
            if self._owed:
                self._owed -= 1  # its frame has been danced to a guess
                self._last = row
            else:
                self._rows.append(row)

    def rows(self, count: int) -> Float[Tensor, "T 54"]:
        """Return the rows of the next frames; what has not sounded yet is as it was last."""
        taken = []
        for _ in range(count):
            if self._rows:
                self._last = self._rows.popleft()
                taken.append(self._last)
                continue
            self.late += 1
            self._owed += 1
            guess = self._last.clone()
            guess[[ONSET, BEAT]] = 0
            taken.append(guess)
        return torch.stack(taken) if taken else torch.zeros(0, MUSIC_DIMS)

    def _row(self, heard: Float[np.ndarray, "8192"]) -> Float[np.ndarray, "54"]:
        """Return the features of the last of these samples."""
        row = np.zeros(MUSIC_DIMS, dtype=np.float32)
        magnitude = np.abs(np.fft.rfft(heard[-_FFT:] * _window())).astype(np.float32)
        self._spectra = np.concatenate([self._spectra[1:], magnitude[None]])
        power = _bands() @ magnitude**2
        self._loudest = max(self._loudest, float(power.max()))
        cepstrum = _cosines() @ _decibels(power, self._loudest)
        self._mfccs = np.concatenate([self._mfccs[1:], cepstrum[None]])
        row[MFCC] = cepstrum
        row[MFCC_DELTA] = (self._mfccs[2] - self._mfccs[0]) / 2
        if np.abs(heard).max() < 1e-5:
            self._beats.hear(0.0)
            return row
        pitches = np.abs(_pitch_filters() @ heard).reshape(_OCTAVES, _BINS).sum(0)
        row[CHROMA] = pitches / max(float(pitches.max()), 1e-9)
        row[ONSET] = self._onset(magnitude)
        row[BEAT] = self._beats.hear(float(row[ONSET]))
        return row

    def _onset(self, magnitude: Float[np.ndarray, "1025"]) -> float:
        """Return the onset strength of the struck part of the newest spectrum."""
        sustained = np.partition(self._spectra, _MEDIAN // 2, axis=0)[_MEDIAN // 2]
        struck = median_filter(magnitude, size=_MEDIAN)
        share = struck**2 / np.maximum(struck**2 + sustained**2, 1e-20)
        power = _bands() @ (magnitude * share) ** 2
        self._loudest_struck = max(self._loudest_struck, float(power.max()))
        decibels = 10 * np.log10(np.maximum(power, _QUIET))
        decibels = np.maximum(decibels, 10 * np.log10(self._loudest_struck) - _RANGE)
        rise = float(np.median(np.maximum(decibels - self._struck, 0)))
        self._struck = decibels
        return rise


class _Resampler:
    """Samples at any rate to 15,360 Hz, as they come; a short filter keeps what folds back out."""

    def __init__(self, rate: int) -> None:
        self._step = rate / SAMPLE_RATE  # old samples a new one
        self._place = 0.0  # of the next new sample, in old samples from the first kept
        taps = 0
        if self._step > 1:
            taps = 16 * round(self._step) + 1
            at = np.arange(taps) - taps // 2
            low = np.sinc(at / self._step * 0.95) * np.hanning(taps + 2)[1:-1]
            self._low = (low / low.sum()).astype(np.float32)
        self._kept = np.zeros(0, dtype=np.float32)  # low-passed, not used up
        self._past = np.zeros(max(taps - 1, 0), dtype=np.float32)
        self._taps = taps

    def put(self, samples: Float[np.ndarray, "samples"]) -> Float[np.ndarray, "fewer"]:
        if self._taps:
            longer = np.concatenate([self._past, samples])
            self._past = longer[len(longer) - self._taps + 1 :]
            samples = np.convolve(longer, self._low, mode="valid").astype(np.float32)
        kept = np.concatenate([self._kept, samples])
        count = max(int(np.floor((len(kept) - 1 - self._place) / self._step)) + 1, 0)
        places = self._place + self._step * np.arange(count)
        places = places[places <= len(kept) - 1]
        out = np.interp(places, np.arange(len(kept)), kept).astype(np.float32)
        following = self._place + self._step * len(places)
        used = min(int(following), max(len(kept) - 1, 0))
        self._kept, self._place = kept[used:], following - used
        return out


def _decibels(power: Float[np.ndarray, "128"], loudest: float) -> Float[np.ndarray, "128"]:
    """Return decibels below the loudest, as `librosa.power_to_db`."""
    levels = 10 * np.log10(np.maximum(power, _QUIET) / max(loudest, _QUIET))
    return np.maximum(levels, -_RANGE).astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> Float[np.ndarray, "2048"]:
    return librosa.filters.get_window("hann", _FFT).astype(np.float32)


@lru_cache(maxsize=1)
def _bands() -> Float[np.ndarray, "128 1025"]:
    wide = librosa.filters.mel(sr=2 * SAMPLE_RATE, n_fft=2 * _FFT, fmax=SAMPLE_RATE / 2)
    return wide[:, : _FFT // 2 + 1]


@lru_cache(maxsize=1)
def _cosines() -> Float[np.ndarray, "20 128"]:
    """Return the orthonormal cosine transform (DCT-II) whose first rows make MFCC."""
    place = np.arange(_BANDS) + 0.5
    rows = np.cos(np.pi * np.arange(_MFCCS)[:, None] * place / _BANDS) * np.sqrt(2 / _BANDS)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


@lru_cache(maxsize=1)
def _pitch_filters() -> Complex[np.ndarray, "84 8192"]:
    """Return one filter a semitone, each at the end of the samples."""
    pitches = librosa.note_to_hz("C1") * 2 ** (np.arange(_OCTAVES * _BINS) / _BINS)
    filters, lengths = librosa.filters.wavelet(freqs=pitches, sr=SAMPLE_RATE, filter_scale=1)
    out = np.zeros((len(pitches), _LONGEST), dtype=np.complex64)
    for row, wave, length in zip(out, filters, lengths, strict=True):
        size = min(int(np.ceil(length)), _LONGEST)
        middle = len(wave) // 2
        start = max(middle - size // 2, 0)
        cut = wave[start : start + size]
        row[_LONGEST - len(cut) :] = np.conj(cut) * np.sqrt(length)
    return out
