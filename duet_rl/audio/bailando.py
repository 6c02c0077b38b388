"""The music features of Bailando: 438 numbers a frame, at 60 or at 7.5 frames a second."""

from collections.abc import Iterator

import librosa
import numpy as np
from jaxtyping import Float

from duet_rl.audio.features import BEAT, MUSIC_DIMS, ONSET, music_features
from duet_rl.audio.recipes import Compat
from duet_rl.audio.spectra import HOP

FRAME_RATE = 30720  # Hz: 60 rows a second
TOKEN_RATE = 3840  # Hz: 7.5 rows a second, one a token
FRAMES_PER_TOKEN = FRAME_RATE // TOKEN_RATE

LAGS = 384  # of the tempogram: 6.4 s at 60 fps, 51 s at 7.5 fps
TEMPOGRAM = slice(MUSIC_DIMS, MUSIC_DIMS + LAGS)
BAILANDO_DIMS = MUSIC_DIMS + LAGS
PLUS_PLUS_DIMS = MUSIC_DIMS + 1  # Bailando++ hears lag 0 of the tempogram too, which says nothing

_BLOCK = 1024  # frames whose tempograms are held at once


def bailando_features(
    samples: Float[np.ndarray, "samples"],
    sample_rate: int,
    frames: int | None = None,
    compat: Compat = "0.11",
) -> Float[np.ndarray, "T 438"]:
    """Return Bailando's features of a whole track, one row for every 512 samples.

    The 54 numbers of `music_features`, in their places, and the tempogram: how alike the onset
    strength around a frame is to itself 0 to 383 frames earlier. Raw, as Bailando feeds them.

    At 7.5 rows a second, librosa 0.8 hears no onset, so that onset, beat and tempogram are 0 in
    every row: the features that the published networks learned from (spec section 1). And today's
    librosa hears about every second beat there; for beats take 60 rows a second.

    Args:
        samples: mono.
        sample_rate: of `samples`, Hz: `FRAME_RATE` or `TOKEN_RATE`.
        frames: return exactly so many rows, with silence after the end of a shorter track.
        compat: the librosa whose numbers are wanted; 0.8 is the authors'.

    Raises:
        InputError: there are too few samples, or some are not finite, or the librosa is unknown.
    """
    heard = music_features(samples, frames, compat, sample_rate)
    rows = np.empty((len(heard), BAILANDO_DIMS), dtype=np.float32)
    rows[:, :MUSIC_DIMS] = heard
    for start, block in _tempograms(heard[:, ONSET]):
        rows[start : start + len(block), TEMPOGRAM] = block
    return rows


def pooled_features(
    samples: Float[np.ndarray, "samples"], tokens: int | None = None, compat: Compat = "0.11"
) -> Float[np.ndarray, "N 438"]:
    """Return the features of 60 frames a second, pooled over the 8 frames of each token.

    A token's row is the mean of its frames' rows; its beat flag is 1 if any of them has a beat.

    Args:
        samples: mono, `FRAME_RATE` Hz.
        tokens: return exactly so many rows; by default as many as the track has whole tokens at
            30 frames a second.
        compat: the librosa whose numbers are wanted.

    Raises:
        InputError: there are too few samples, or some are not finite, or the librosa is unknown.
    """
    heard = _paired(samples, None if tokens is None else tokens * FRAMES_PER_TOKEN, compat)
    count = len(heard) // FRAMES_PER_TOKEN
    heard = heard[: count * FRAMES_PER_TOKEN]
    rows = np.empty((count, BAILANDO_DIMS), dtype=np.float32)
    rows[:, :MUSIC_DIMS] = _of_tokens(heard).mean(axis=1)
    rows[:, BEAT] = _of_tokens(heard[:, [BEAT]]).max(axis=1)[:, 0]
    for start, block in _tempograms(heard[:, ONSET]):
        first = start // FRAMES_PER_TOKEN
        pooled = _of_tokens(block).mean(axis=1)
        rows[first : first + len(pooled), TEMPOGRAM] = pooled
    return rows


def paired_features(
    samples: Float[np.ndarray, "samples"], pairs: int | None = None, compat: Compat = "0.11"
) -> Float[np.ndarray, "T 110"]:
    """Return what Bailando++ hears, 60 rows of 55 numbers a second, two rows side by side.

    Args:
        samples: mono, `FRAME_RATE` Hz.
        pairs: return exactly so many; by default one for every frame at 30 frames a second.
        compat: the librosa whose numbers are wanted.

    Raises:
        InputError: there are too few samples, or some are not finite, or the librosa is unknown.
    """
    heard = _paired(samples, None if pairs is None else 2 * pairs, compat)
    rows = np.empty((len(heard), PLUS_PLUS_DIMS), dtype=np.float32)
    rows[:, :MUSIC_DIMS] = heard
    for start, block in _tempograms(heard[:, ONSET]):
        rows[start : start + len(block), MUSIC_DIMS] = block[:, 0]
    return rows.reshape(-1, 2 * PLUS_PLUS_DIMS)


def _paired(samples: np.ndarray, frames: int | None, compat: Compat) -> Float[np.ndarray, "T 54"]:
    """Return the 54 numbers of 60 frames a second, by default two for every frame of 30.

    A track has an odd number of the former, so the last one is repeated, as Bailando does.
    """
    heard = music_features(samples, frames, compat, FRAME_RATE)
    return np.pad(heard, ((0, len(heard) % 2), (0, 0)), mode="edge") if frames is None else heard


def _of_tokens(rows: np.ndarray) -> np.ndarray:
    """Return the rows of each token, `(N, 8, C)`."""
    return rows.reshape(-1, FRAMES_PER_TOKEN, rows.shape[1])


def _tempograms(onset: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first frame and the tempogram, `(frames, 384)`, of each block of a track.

    What `librosa.feature.tempogram` gives for the whole track, without its memory.
    """
    padded = np.pad(onset, LAGS // 2, mode="linear_ramp", end_values=0)
    for start in range(0, len(onset), _BLOCK):
        stop = min(start + _BLOCK, len(onset))
        near = padded[start : stop + LAGS - 1]
        block = librosa.feature.tempogram(
            onset_envelope=near, hop_length=HOP, win_length=LAGS, center=False
        )
        yield start, block.T
