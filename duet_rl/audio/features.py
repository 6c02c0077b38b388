"""Music features: 54 numbers for each of 30 frames a second."""

from pathlib import Path

import librosa
import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

from duet_rl.audio.files import MINIMUM_SECONDS, read_audio
from duet_rl.errors import InputError

SAMPLE_RATE = 15360  # Hz
HOP = 512  # samples a frame: 30 frames a second exactly
FPS = SAMPLE_RATE / HOP

MFCC = slice(0, 20)  # timbre
MFCC_DELTA = slice(20, 40)
CHROMA = slice(40, 52)  # how strong each of the 12 pitch classes is, of the harmonic part
ONSET = 52  # onset strength of the percussive part
BEAT = 53  # 1 on a beat, else 0
MUSIC_DIMS = 54

_FFT = 2048  # samples
_CHROMA_OCTAVES = 7
_CHROMA_BINS = 36  # bins an octave
_MEDIAN = 31  # frames or frequency bins; librosa's default for splitting harmony and percussion
_DELTA_WIDTH = 3  # frames
_SILENCE = 1e-5  # amplitude; a track that never gets louder has no beat and no harmony


def load_audio(path: Path | str, sample_rate: int = SAMPLE_RATE) -> Float[np.ndarray, "samples"]:
    """Return a music file as mono samples at `sample_rate` Hz.

    Args:
        path: a WAV, OGG, MP3 or FLAC file.
        sample_rate: Hz; another rate in the file is converted.

    Raises:
        InputError: the file is missing, corrupt, truncated, too short, or holds NaN.
    """
    samples, rate = read_audio(path)
    return resample_audio(samples, rate, sample_rate)


def resample_audio(
    samples: Float[np.ndarray, "samples"], from_rate: int, to_rate: int
) -> Float[np.ndarray, "resampled"]:
    """Return `samples` taken at `from_rate` Hz as float32 samples at `to_rate` Hz."""
    if from_rate != to_rate:
        samples = librosa.resample(samples, orig_sr=from_rate, target_sr=to_rate)
    return samples.astype(np.float32)


def music_features(
    samples: Float[np.ndarray, "samples"], frames: int | None = None
) -> Float[np.ndarray, "T 54"]:
    """Return the music features of a whole track, 30 frames a second.

    The Duolando features (54 values a frame): 20 MFCC, their 20 deltas, 12 chroma, onset strength
    and a beat flag; see `MFCC`, `CHROMA`, `ONSET`, `BEAT` for their places. They are raw; whoever
    feeds a network normalises them. Loudness and beats are judged over the whole track, so the
    features of a cut differ a little from a cut of the features.

    Args:
        samples: mono, `SAMPLE_RATE` Hz.
        frames: return exactly so many frames, with silence after the end of a shorter track;
            by default `1 + samples / HOP`.

    Returns:
        `(T, 54)` float32, frame `t` centred on `t / 30` seconds.

    Raises:
        InputError: there are too few samples, or some are not finite.
    """
    samples = _checked(samples, frames)
    spectrum = librosa.stft(samples, n_fft=_FFT, hop_length=HOP)
    mfcc = _mfcc(spectrum)
    features = np.zeros((spectrum.shape[1], MUSIC_DIMS), dtype=np.float32)
    features[:, MFCC] = mfcc.T
    features[:, MFCC_DELTA] = librosa.feature.delta(mfcc, width=_DELTA_WIDTH, order=1).T
    if np.abs(samples).max() > _SILENCE:
        harmonic, percussive = _harmonic_percussive(spectrum, len(samples))
        features[:, CHROMA] = _chroma(harmonic).T
        onset = librosa.onset.onset_strength(y=percussive, sr=SAMPLE_RATE, aggregate=np.median)
        features[:, ONSET] = onset
        features[beat_frames(onset), BEAT] = 1
    return features[:frames]


def music_features_of(path: Path | str, frames: int | None = None) -> Float[np.ndarray, "T 54"]:
    """Return the music features of a file; see `load_audio` and `music_features`."""
    return music_features(load_audio(path), frames)


def beat_frames(onset: Float[np.ndarray, "T"]) -> np.ndarray:
    """Return the frames of the beats that librosa's tracker hears in an onset envelope."""
    _, beats = librosa.beat.beat_track(onset_envelope=onset, sr=SAMPLE_RATE, hop_length=HOP)
    return beats


def _checked(
    samples: Float[np.ndarray, "samples"], frames: int | None
) -> Float[np.ndarray, "longer"]:
    if len(samples) < MINIMUM_SECONDS * SAMPLE_RATE:
        raise InputError(
            f"the music has {len(samples)} samples at {SAMPLE_RATE} Hz; at least "
            f"{MINIMUM_SECONDS} s are wanted"
        )
    if not np.isfinite(samples).all():
        raise InputError("the music has samples that are not numbers; export it again")
    wanted = 0 if frames is None else frames * HOP
    return np.pad(samples.astype(np.float32), (0, max(0, wanted - len(samples))))


def _mfcc(spectrum: np.ndarray) -> np.ndarray:
    """Return `(20, T)` MFCC, in decibels below the loudest mel band of the track."""
    mel = librosa.feature.melspectrogram(S=np.abs(spectrum) ** 2, sr=SAMPLE_RATE)
    return librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=np.max), n_mfcc=20)


def _harmonic_percussive(spectrum: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sustained and the struck part of the music (Fitzgerald 2010).

    Equal to `librosa.effects.hpss`, with the median filters run ten times as fast.
    """
    magnitude = np.abs(spectrum)
    sustained = _running_median(magnitude)
    struck = np.ascontiguousarray(_running_median(np.ascontiguousarray(magnitude.T)).T)
    harmonic = spectrum * librosa.util.softmask(sustained, struck, power=2.0, split_zeros=True)
    percussive = spectrum * librosa.util.softmask(struck, sustained, power=2.0, split_zeros=True)
    return librosa.istft(harmonic, length=length), librosa.istft(percussive, length=length)


def _running_median(rows: np.ndarray) -> np.ndarray:
    """Return the median over `_MEDIAN` neighbours along the last axis, mirrored at both ends.

    SciPy's filter is fast in one dimension only, so the padded rows are laid end to end.
    """
    half = _MEDIAN // 2
    padded = np.pad(rows, ((0, 0), (half, half)), mode="symmetric")
    return median_filter(padded.ravel(), size=_MEDIAN).reshape(padded.shape)[:, half:-half]


def _chroma(harmonic: np.ndarray) -> np.ndarray:
    return librosa.feature.chroma_cqt(
        y=harmonic,
        sr=SAMPLE_RATE,
        hop_length=HOP,
        n_octaves=_CHROMA_OCTAVES,
        bins_per_octave=_CHROMA_BINS,
    )
