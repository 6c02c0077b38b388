"""Beats as they are heard: which frames are beats, told when they come and not afterwards.

A cumulated score ties each onset to those one beat before it (Ellis 2007, eq. 6). Half a beat
after each beat the score is carried on without onsets, and the next beat is where it will be
highest (Stark, Davies and Plumbley 2009, section 3). The tempo is that of the last seconds.
"""

import numpy as np
from jaxtyping import Float

FPS = 30.0
_SECONDS = 8.0  # of onsets in which the tempo shows
_EVERY = 15  # frames between two looks at the tempo
_SLOWEST, _FASTEST = 60.0, 200.0  # beats a minute
_CENTRE, _OCTAVES = 120.0, 0.7  # beats a minute that are likeliest, and how much, as in librosa
_TIGHT = 5.0  # how narrowly beats keep the distance of the tempo
_PAST = 0.85  # share of the past in the cumulated score
_KEEP = 1.3  # a new tempo must fit better by this than the one that is kept
_FLOOR = 1e-3  # onset strength below which nothing sounds


class BeatListener:
    """Says of each frame whether it is a beat, knowing the onsets up to it alone."""

    def __init__(self) -> None:
        self._onsets = np.zeros(round(_SECONDS * FPS))  # the newest last
        self._score = np.zeros(round(_SECONDS * FPS))
        self._period = 0.0  # frames; 0: not known yet
        self._heard = 0
        self._to_next = -1  # frames until the next beat
        self._to_look = -1  # frames until it is looked for

    @property
    def bpm(self) -> float:
        """Beats a minute; 0 before a tempo is known."""
        return 60 * FPS / self._period if self._period else 0.0

    def hear(self, onset: float) -> bool:
        """Return whether the next frame is a beat."""
        self._onsets = np.append(self._onsets[1:], onset)
        self._heard += 1
        if self._heard >= 2 * FPS and self._heard % _EVERY == 0:
            self._find_period()
        if not self._period:
            return False
        self._score = np.append(self._score[1:], self._next_score(self._score, self._scaled()))
        self._to_next -= 1
        self._to_look -= 1
        beat = self._to_next == 0
        if beat:
            self._to_look = max(round(self._period / 2), 1)
        if self._to_look == 0 or (self._to_next < 0 and self._to_look < 0):
            self._to_next = self._find_next()
            self._to_look = -1
        return beat and bool(self._onsets.max() > _FLOOR)

    def _scaled(self) -> float:
        spread = self._onsets[-min(self._heard, len(self._onsets)) :].std()
        return float(self._onsets[-1] / spread) if spread > _FLOOR else 0.0

    def _next_score(self, score: Float[np.ndarray, "T"], onset: float) -> float:
        back = np.arange(round(self._period / 2), round(2 * self._period) + 1)
        near = np.exp(-0.5 * (_TIGHT * np.log(back / self._period)) ** 2)
        return (1 - _PAST) * onset + _PAST * float((near * score[-back]).max())

    def _find_next(self) -> int:
        """Return in how many frames the next beat comes."""
        ahead = round(1.5 * self._period)
        score = self._score.copy()
        for _ in range(ahead):
            score = np.append(score, self._next_score(score, 0.0))
        frames = np.arange(1, ahead + 1)
        # Half a beat has passed since the last one; if none has been found yet, any place will do.
        due = self._period / 2 if self._to_look == 0 else self._period
        width = self._period / 4 if self._to_look == 0 else self._period
        likely = np.exp(-0.5 * ((frames - due) / width) ** 2)
        return int(frames[np.argmax(likely * score[-ahead:])])

    def _find_period(self) -> None:
        """Take the distance at which the onsets of the last seconds repeat themselves."""
        known = self._onsets[-min(self._heard, len(self._onsets)) :]
        if known.max() < _FLOOR:
            return
        centred = np.convolve(known - known.mean(), [0.25, 0.5, 0.25], mode="same")
        spectrum = np.fft.rfft(centred, 2 * len(centred))
        repeats = np.fft.irfft(np.abs(spectrum) ** 2)[: len(centred)].clip(min=0)
        shortest, longest = round(60 * FPS / _FASTEST), round(60 * FPS / _SLOWEST)
        longest = min(longest, len(repeats) // 2 - 2)
        lags = np.arange(shortest, longest + 1)
        octaves = np.log2(60 * FPS / lags / _CENTRE)
        fit = (repeats[lags] + repeats[2 * lags]) * np.exp(-0.5 * (octaves / _OCTAVES) ** 2)
        best = int(lags[np.argmax(fit)])
        if self._period:
            old = min(max(round(self._period), shortest), longest)
            if fit[best - shortest] < _KEEP * fit[old - shortest]:
                best = max(
                    range(max(old - 1, shortest), min(old + 1, longest) + 1),
                    key=lambda lag: fit[lag - shortest],
                )
        self._period = _between(repeats, best)


def _between(values: Float[np.ndarray, "T"], peak: int) -> float:
    """Return where between the samples a peak lies, by a parabola."""
    before, here, after = values[peak - 1 : peak + 2]
    bend = before - 2 * here + after
    return float(peak + (0.5 * (before - after) / bend if bend < 0 else 0.0))
