"""The old beat tracker: it keeps time, and forgets the last beat."""

import numpy as np
import pytest

from duet_rl.audio.beat_track_08 import track_beats

FPS = 30.0


def envelope(beats: np.ndarray, frames: int) -> np.ndarray:
    onset = np.zeros(frames, dtype=np.float32)
    onset[beats] = 1
    return onset


@pytest.mark.parametrize("period", [12, 15, 20])
def test_regular_onsets_are_the_beats_but_for_the_last(period):
    onsets = np.arange(period, 400, period)
    beats = track_beats(envelope(onsets, 420), 60 * FPS / period, FPS)
    np.testing.assert_array_equal(beats, onsets[:-1])


def test_a_missing_onset_is_filled_in():
    onsets = np.arange(15, 400, 15)
    beats = track_beats(envelope(np.delete(onsets, 10), 420), 120, FPS)
    np.testing.assert_array_equal(beats, onsets[:-1])


def test_a_drifting_tempo_is_followed():
    onsets = np.cumsum(np.linspace(13, 17, 26).round().astype(int))
    beats = track_beats(envelope(onsets, 420), 120, FPS)
    assert set(beats) <= set(onsets) and len(beats) >= len(onsets) - 1


def test_what_comes_before_the_first_onset_is_no_beat():
    onsets = np.arange(150, 400, 15)
    assert track_beats(envelope(onsets, 420), 120, FPS)[0] == 150


@pytest.mark.parametrize("frames", [2, 16, 31])
def test_a_track_of_few_frames_or_without_onsets_has_no_beats(frames):
    assert len(track_beats(np.zeros(frames), 120, FPS)) == 0
