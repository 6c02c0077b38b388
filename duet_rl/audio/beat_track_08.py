"""The beat tracker of librosa 0.8: the path through an onset envelope that keeps time best.

Ellis 2007, "Beat tracking by dynamic programming", with the choices of that version.
"""

import librosa
import numpy as np
from jaxtyping import Float, Int
from scipy.signal import convolve

_TIGHTNESS = 100.0  # cost of a squared log ratio between a step and the beat
_SPREAD = 32.0  # a beat is so many standard deviations of the window that onsets are summed over
_FIRST_ONSET = 0.01  # of the greatest score; what comes before the first such frame is no beat
_WEAK = 0.5  # of the root mean square; weaker beats at the ends are left out


def track_beats(onset: Float[np.ndarray, "T"], bpm: float, fps: float) -> Int[np.ndarray, "beats"]:
    """Return the frames of the beats.

    Args:
        onset: onset strength, at least 0.
        bpm: beats a minute that the track keeps, roughly.
        fps: frames per second of `onset`.
    """
    period = round(60 * fps / bpm)
    score = _local_score(onset, period)
    total, previous = _best_paths(score, period)
    beats = _followed_back(total, previous)
    return _without_weak_ends(beats, score)


def _local_score(onset: np.ndarray, period: int) -> Float[np.ndarray, "T"]:
    """Return how well a beat would lie on each frame: onsets near by, in standard deviations."""
    spread = onset.std(ddof=1)
    lags = np.arange(-period, period + 1)
    window = np.exp(-0.5 * (_SPREAD * lags / period) ** 2)
    return convolve(onset / spread if spread > 0 else onset, window, "same")


def _best_paths(
    score: np.ndarray, period: int
) -> tuple[Float[np.ndarray, "T"], Int[np.ndarray, "T"]]:
    """Return the score of the best path that ends on each frame, and the beat before it or -1."""
    steps = np.arange(-2 * period, -int(np.round(period / 2)) + 1)
    cost = _TIGHTNESS * np.log(-steps / period) ** 2
    farthest, nearest = -steps[0], -steps[-1]
    total = np.zeros(farthest + len(score))  # nothing is gained before the track
    previous = np.empty(len(score), dtype=int)
    for frame, here in enumerate(score):
        gains = total[frame : frame + farthest - nearest + 1] - cost
        best = int(gains.argmax())
        total[farthest + frame] = here + gains[best]
        previous[frame] = frame + steps[best]
    previous[: int((score >= _FIRST_ONSET * score.max()).argmax())] = -1
    return total[farthest:], previous


def _followed_back(total: np.ndarray, previous: np.ndarray) -> Int[np.ndarray, "beats"]:
    """Return the path that ends at the last peak which is not much lower than the others."""
    peaks = np.flatnonzero(librosa.util.localmax(total))
    if not len(peaks):
        return peaks
    frame = int(peaks[2 * total[peaks] > np.median(total[peaks])].max())
    beats = []
    while frame >= 0:
        beats.append(frame)
        frame = int(previous[frame])
    return np.array(beats[::-1])


def _without_weak_ends(beats: np.ndarray, score: np.ndarray) -> Int[np.ndarray, "beats"]:
    """Return the beats from the first strong one up to, but not with, the last strong one."""
    if not len(beats):
        return beats
    strength = convolve(score[beats], np.hanning(5), "same")
    strong = np.flatnonzero(strength > _WEAK * np.sqrt(np.mean(strength**2)))
    return beats[strong[0] : strong[-1]] if len(strong) else beats[:0]
