"""The synthesizer: its beat is heard where it was written, and seeds repeat."""

import numpy as np
import pytest

from duet_rl.audio.features import BEAT, SAMPLE_RATE, music_features, resample_audio
from duet_rl.audio.grooves import GROOVES
from duet_rl.audio.synth import SAMPLE_RATE as RATE
from duet_rl.audio.synth import render_rhythm
from duet_rl.errors import InputError

TEMPI = {"waltz": (84, 104), "tango": (108, 126), "salsa": (140, 160)}
SECONDS = 10.0
NEAR = 0.07  # s


def f1(heard: np.ndarray, true: np.ndarray) -> float:
    apart = np.abs(heard[:, None] - true[None])
    precision, recall = (apart.min(1) <= NEAR).mean(), (apart.min(0) <= NEAR).mean()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(("style", "bpm"), [(s, bpm) for s in GROOVES for bpm in TEMPI[s]])
def test_the_beat_is_heard_where_it_was_written(style, bpm):
    scores = []
    for seed in range(2):
        phase = 0.2 * seed
        track = render_rhythm(bpm, GROOVES[style].metre, SECONDS, style, seed, phase)
        features = music_features(resample_audio(track, RATE, SAMPLE_RATE), frames=300)
        heard = np.flatnonzero(features[:, BEAT]) / 30
        scores.append(f1(heard, np.arange(phase, SECONDS, 60 / bpm)))
    assert min(scores) > 0.85


@pytest.mark.parametrize("style", GROOVES)
def test_a_track_has_its_length_and_does_not_clip(style):
    track = render_rhythm(110, GROOVES[style].metre, 3.21, style, seed=1)
    assert len(track) == round(3.21 * RATE)
    assert np.abs(track).max() == pytest.approx(0.9, abs=0.01)


def test_the_seed_decides_the_notes():
    first, again, other = (render_rhythm(120, 4, 2.0, "tango", seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_band_plays_before_the_first_bar_too():
    track = render_rhythm(120, 4, 3.0, "salsa", seed=0, phase=1.7)
    assert np.abs(track[: round(1.5 * RATE)]).max() > 0.1


def test_a_waltz_in_four_is_refused():
    with pytest.raises(InputError, match="3 beats a bar, not 4"):
        render_rhythm(90, 4, 2.0, "waltz", seed=0)
