"""Music features: 54 numbers for each of 30 frames a second."""

from pathlib import Path

import librosa
import numpy as np
from jaxtyping import Float, Int

from duet_rl.audio import beat_track_08
from duet_rl.audio.compiled import compile_librosa
from duet_rl.audio.files import MINIMUM_SECONDS, read_audio
from duet_rl.audio.recipes import OCTAVE_BINS, Compat, Recipe, recipe
from duet_rl.audio.spectra import HOP, SAMPLE_RATE, frame_count, mel_power, take_apart, tuning
from duet_rl.errors import InputError

FPS = SAMPLE_RATE / HOP

MFCC = slice(0, 20)  # timbre
MFCC_DELTA = slice(20, 40)
CHROMA = slice(40, 52)  # how strong each of the 12 pitch classes is, of the harmonic part
ONSET = 52  # onset strength of the percussive part
BEAT = 53  # 1 on a beat, else 0
MUSIC_DIMS = 54

_CHROMA_OCTAVES = 7
_LOW_CHROMA_OCTAVES = 5  # below this sample rate, where higher octaves do not sound
_CHROMA_BLOCK, _CHROMA_MARGIN = 4096, 256  # frames analysed at once, and heard on either side
_TEMPO_SECONDS = 8.0  # s; a tempo shows in onsets this near to each other
_TEMPO_BLOCK = 4096  # frames whose tempograms are held at once
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
        compile_librosa()
        samples = librosa.resample(samples, orig_sr=from_rate, target_sr=to_rate)
    return samples.astype(np.float32, copy=False)


def music_features(
    samples: Float[np.ndarray, "samples"],
    frames: int | None = None,
    compat: Compat = "0.11",
    sample_rate: int = SAMPLE_RATE,
) -> Float[np.ndarray, "T 54"]:
    """Return the music features of a whole track, 30 frames a second.

    The Duolando features (54 values a frame): 20 MFCC, their 20 deltas, 12 chroma, onset strength
    and a beat flag; see `MFCC`, `CHROMA`, `ONSET`, `BEAT` for their places. They are raw; whoever
    feeds a network normalises them. Loudness and beats are judged over the whole track, so the
    features of a cut differ a little from a cut of the features.

    Args:
        samples: mono.
        frames: return exactly so many frames, with silence after the end of a shorter track;
            by default `1 + samples / HOP`.
        compat: the librosa whose numbers are wanted: today's, or 0.8, which Duolando's authors
            used; see `recipes.recipe` about its resampler.
        sample_rate: of `samples`, Hz. Another one gives another frame rate: one row a `HOP`.

    Returns:
        `(T, 54)` float32, frame `t` centred on `t / 30` seconds.

    Raises:
        InputError: there are too few samples, or some are not finite, or the librosa is unknown.
    """
    made_by = recipe(compat)
    samples = _checked(samples, frames, sample_rate)
    parts = take_apart(samples, made_by.pad_mode, sample_rate)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(parts.mel, ref=np.max), n_mfcc=20)
    features = np.zeros((mfcc.shape[1], MUSIC_DIMS), dtype=np.float32)
    features[:, MFCC] = mfcc.T  # decibels below the loudest mel band of the track
    features[:, MFCC_DELTA] = librosa.feature.delta(mfcc, width=_DELTA_WIDTH, order=1).T
    if np.abs(samples).max() > _SILENCE:
        features[:, CHROMA] = _chroma(parts.harmonic, made_by, sample_rate).T
        onset = _onset_strength(parts.percussive, made_by, sample_rate)
        features[:, ONSET] = onset
        features[beat_frames(onset, compat, sample_rate), BEAT] = 1
    return features[:frames]


def music_features_of(
    path: Path | str, frames: int | None = None, compat: Compat = "0.11"
) -> Float[np.ndarray, "T 54"]:
    """Return the music features of a file; see `load_audio` and `music_features`."""
    return music_features(load_audio(path), frames, compat)


def beat_frames(
    onset: Float[np.ndarray, "T"], compat: Compat = "0.11", sample_rate: int = SAMPLE_RATE
) -> Int[np.ndarray, "beats"]:
    """Return the frames of the beats that librosa's tracker hears in an onset envelope."""
    if not onset.any():
        return np.zeros(0, dtype=int)
    compile_librosa()
    bpm = _tempo(onset, sample_rate)
    if compat == "0.8":
        return beat_track_08.track_beats(onset, bpm, sample_rate / HOP)
    _, beats = librosa.beat.beat_track(
        onset_envelope=onset, sr=sample_rate, hop_length=HOP, bpm=bpm
    )
    return beats


def _checked(
    samples: Float[np.ndarray, "samples"], frames: int | None, sample_rate: int
) -> Float[np.ndarray, "longer"]:
    if len(samples) < MINIMUM_SECONDS * sample_rate:
        raise InputError(
            f"the music has {len(samples)} samples at {sample_rate} Hz; at least "
            f"{MINIMUM_SECONDS} s are wanted"
        )
    if not np.isfinite(samples).all():
        raise InputError("the music has samples that are not numbers; export it again")
    wanted = 0 if frames is None else frames * HOP
    return np.pad(samples.astype(np.float32), (0, max(0, wanted - len(samples))))


def _onset_strength(
    percussive: np.ndarray, made_by: Recipe, sample_rate: int
) -> Float[np.ndarray, "T"]:
    fmax = made_by.onset_fmax or sample_rate / 2
    mel = mel_power(percussive, made_by.pad_mode, fmax, sample_rate)
    decibels = librosa.power_to_db(mel)
    return librosa.onset.onset_strength(S=decibels, sr=sample_rate, aggregate=np.median)


def _chroma(harmonic: np.ndarray, made_by: Recipe, sample_rate: int) -> Float[np.ndarray, "12 T"]:
    """Return how strong each pitch class is, block by block.

    What `librosa.feature.chroma_cqt` gives for the whole track, to 1e-5, without its memory.
    """
    octaves = _CHROMA_OCTAVES if sample_rate >= SAMPLE_RATE else _LOW_CHROMA_OCTAVES
    tuned = tuning(harmonic, made_by.pad_mode, OCTAVE_BINS, sample_rate)
    total = frame_count(harmonic)
    chroma = np.empty((12, total), dtype=np.float32)
    for start in range(0, total, _CHROMA_BLOCK):
        stop = min(start + _CHROMA_BLOCK, total)
        first, last = max(0, start - _CHROMA_MARGIN), min(total, stop + _CHROMA_MARGIN)
        end = len(harmonic) if last == total else last * HOP
        pitches = librosa.cqt(
            harmonic[first * HOP : end],
            sr=sample_rate,
            hop_length=HOP,
            n_bins=octaves * OCTAVE_BINS,
            bins_per_octave=OCTAVE_BINS,
            tuning=tuned,
            filter_scale=made_by.filter_scale,
            pad_mode=made_by.pad_mode,
            res_type=made_by.resampler,
        )
        block = librosa.feature.chroma_cqt(
            C=np.abs(pitches), sr=sample_rate, bins_per_octave=OCTAVE_BINS
        )
        chroma[:, start:stop] = block[:, start - first : stop - first]
    return chroma


def _tempo(onset: np.ndarray, sample_rate: int) -> float:
    """Return the beats a minute of a whole track: `librosa.feature.tempo`, block by block."""
    width = int(librosa.time_to_frames(_TEMPO_SECONDS, sr=sample_rate, hop_length=HOP))
    padded = np.pad(onset, width // 2, mode="linear_ramp", end_values=0)
    total = np.zeros(width)
    for start in range(0, len(onset), _TEMPO_BLOCK):
        stop = min(start + _TEMPO_BLOCK, len(onset))
        near = padded[start : stop + width - 1]
        tempogram = librosa.feature.tempogram(
            onset_envelope=near, hop_length=HOP, win_length=width, center=False
        )
        total += tempogram.sum(axis=-1)
    mean = total[:, None] / len(onset)
    return float(librosa.feature.tempo(tg=mean, sr=sample_rate, hop_length=HOP).item())
