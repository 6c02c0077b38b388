"""Spectra of long tracks, taken block by block, so that an hour needs no more room than a minute.

Every function gives what librosa gives for the whole track at once; only memory and time differ.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import librosa
import numpy as np
from jaxtyping import Complex, Float
from scipy.ndimage import median_filter

from duet_rl.audio.compiled import compile_librosa
from duet_rl.audio.recipes import PadMode

SAMPLE_RATE = 15360  # Hz
HOP = 512  # samples a frame: at this rate 30 frames a second exactly

_FFT = 2048  # samples
_BLOCK = 1024  # frames, 34 s: 17 MB of spectrum
_MEDIAN = 31  # frames or frequency bins; librosa's default for splitting harmony and percussion
_OVERLAP = _FFT // HOP // 2  # frames on either side that sound in a frame's samples


class Block(NamedTuple):
    """Some frames of a track's spectrum, and a few more on either side where there are any."""

    start: int  # first frame of the block itself
    stop: int  # frame after its last
    first: int  # first frame of `spectrum`
    spectrum: Complex[np.ndarray, "1025 T"]

    def own(self, values: np.ndarray) -> np.ndarray:
        """Return the block's own frames of `values`, which has the frames of `spectrum`."""
        return values[..., self.start - self.first : self.stop - self.first]


class Parts(NamedTuple):
    """A track taken apart."""

    mel: Float[np.ndarray, "128 T"]  # power in mel bands
    harmonic: Float[np.ndarray, "samples"]
    percussive: Float[np.ndarray, "samples"]


def frame_count(samples: Float[np.ndarray, "samples"]) -> int:
    """Return how many frames a track has, the one that is centred on its end included."""
    return 1 + len(samples) // HOP


def take_apart(
    samples: Float[np.ndarray, "samples"], pad_mode: PadMode, sample_rate: int = SAMPLE_RATE
) -> Parts:
    """Return the mel power of a track, and its sustained and struck parts (Fitzgerald 2010).

    The parts are those of `librosa.effects.hpss`, with the median filters run ten times as fast.

    Args:
        samples: mono.
        pad_mode: what lies before and after the track.
        sample_rate: of `samples`, Hz.
    """
    compile_librosa()
    bands = _mel_bands(sample_rate / 2, sample_rate)
    mel = np.empty((len(bands), frame_count(samples)), dtype=np.float32)
    harmonic, percussive = np.empty_like(samples), np.empty_like(samples)
    for block in _blocks(samples, pad_mode, margin=_MEDIAN // 2 + _OVERLAP):
        magnitude = np.abs(block.spectrum)
        mel[:, block.start : block.stop] = bands @ block.own(magnitude) ** 2
        sustained = _running_median(magnitude)
        struck = np.ascontiguousarray(_running_median(np.ascontiguousarray(magnitude.T)).T)
        for part, loud, quiet in (
            (harmonic, sustained, struck),
            (percussive, struck, sustained),
        ):
            mask = librosa.util.softmask(loud, quiet, power=2.0, split_zeros=True)
            _put_samples(part, block, block.spectrum * mask)
    return Parts(mel, harmonic, percussive)


def mel_power(
    samples: Float[np.ndarray, "samples"],
    pad_mode: PadMode,
    fmax: float,
    sample_rate: int = SAMPLE_RATE,
) -> Float[np.ndarray, "128 T"]:
    """Return the power of a track in mel bands up to `fmax` Hz."""
    bands = _mel_bands(fmax, sample_rate)
    mel = np.empty((len(bands), frame_count(samples)), dtype=np.float32)
    for block in _blocks(samples, pad_mode):
        mel[:, block.start : block.stop] = bands @ np.abs(block.spectrum) ** 2
    return mel


def tuning(
    samples: Float[np.ndarray, "samples"],
    pad_mode: PadMode,
    bins_per_octave: int,
    sample_rate: int = SAMPLE_RATE,
) -> float:
    """Return by how much of a bin a track is tuned higher than 440 Hz, in [-0.5, 0.5)."""
    pitches, strengths = [], []
    for block in _blocks(samples, pad_mode):
        pitch, strength = librosa.piptrack(S=np.abs(block.spectrum), sr=sample_rate)
        found = pitch > 0
        pitches.append(pitch[found])
        strengths.append(strength[found])
    pitch, strength = np.concatenate(pitches), np.concatenate(strengths)
    if not len(pitch):
        return 0.0
    clear = pitch[strength >= np.median(strength)]
    return float(librosa.pitch_tuning(clear, bins_per_octave=bins_per_octave))


def _mel_bands(fmax: float, sample_rate: int) -> Float[np.ndarray, "128 1025"]:
    """Return mel bands up to `fmax` Hz; those above half the sample rate hear nothing.

    They are cut from the bands of a higher rate, as librosa warns of bands that hear nothing.
    """
    times = max(2, math.ceil(2 * fmax / sample_rate))
    bands = librosa.filters.mel(sr=times * sample_rate, n_fft=times * _FFT, fmax=fmax)
    return bands[:, : _FFT // 2 + 1]


def _blocks(
    samples: Float[np.ndarray, "samples"], pad_mode: PadMode, margin: int = 0
) -> Iterator[Block]:
    """Yield the spectrum of a track, with `margin` more frames on either side of each block."""
    padded = np.pad(samples, _FFT // 2, mode=pad_mode)
    total = frame_count(samples)
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        first, last = max(0, start - margin), min(total, stop + margin)
        cut = padded[first * HOP : (last - 1) * HOP + _FFT]
        spectrum = librosa.stft(cut, n_fft=_FFT, hop_length=HOP, center=False)
        yield Block(start, stop, first, spectrum)


def _put_samples(track: np.ndarray, block: Block, spectrum: np.ndarray) -> None:
    """Write the samples of a block's own frames into the track, which its frames begin."""
    begin = block.first * HOP
    end = len(track) if block.stop == frame_count(track) else block.stop * HOP
    samples = librosa.istft(spectrum, hop_length=HOP, length=end - begin)
    track[block.start * HOP : end] = samples[block.start * HOP - begin :]


def _running_median(rows: np.ndarray) -> np.ndarray:
    """Return the median over `_MEDIAN` neighbours along the last axis, mirrored at both ends.

    SciPy's filter is fast in one dimension only, so the padded rows are laid end to end.
    """
    half = _MEDIAN // 2
    padded = np.pad(rows, ((0, 0), (half, half)), mode="symmetric")
    return median_filter(padded.ravel(), size=_MEDIAN).reshape(padded.shape)[:, half:-half]
