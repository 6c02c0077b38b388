"""Music features: shape, units, and what they say of sounds with a known answer."""

import librosa
import numpy as np
import pytest

from duet_rl.audio import features as features_module
from duet_rl.audio.features import (
    BEAT,
    CHROMA,
    HOP,
    MFCC,
    MFCC_DELTA,
    MUSIC_DIMS,
    ONSET,
    SAMPLE_RATE,
    music_features,
    resample_audio,
)
from duet_rl.audio.recipes import Compat
from duet_rl.audio.spectra import mel_power, take_apart, tuning
from duet_rl.errors import InputError

A4 = 9  # the chroma row of the note A


def tone(hertz: float, seconds: float = 3.0, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def clicks(bpm: float, seconds: float = 8.0) -> np.ndarray:
    """A short burst of noise on every beat, the first after half a beat."""
    track = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    burst = np.random.default_rng(0).normal(0, 0.3, 400) * np.linspace(1, 0, 400)
    for time in np.arange(30 / bpm, seconds - 0.1, 60 / bpm):
        start = round(time * SAMPLE_RATE)
        track[start : start + len(burst)] += burst
    return track


@pytest.fixture(scope="module")
def rhythm() -> np.ndarray:
    return clicks(120) + tone(440, 8.0, 0.05)


@pytest.fixture(scope="module")
def long_track() -> np.ndarray:
    """More frames than a block of spectrum has, and not a whole number of hops."""
    rng = np.random.default_rng(0)
    return np.concatenate([clicks(bpm, 9.3) + tone(bpm * 3, 9.3) for bpm in (90, 120, 96, 140)])[
        : -rng.integers(HOP)
    ]


@pytest.mark.parametrize("compat", ["0.11", "0.8"])
def test_a_second_has_thirty_frames_of_54_features(rhythm, compat: Compat):
    features = music_features(rhythm, compat=compat)
    assert features.shape == (1 + len(rhythm) // HOP, MUSIC_DIMS)
    assert features.dtype == np.float32 and np.isfinite(features).all()


@pytest.mark.parametrize("frames", [30, 240, 300])
def test_as_many_frames_come_back_as_asked_for(rhythm, frames):
    assert len(music_features(rhythm, frames=frames)) == frames


def test_chroma_shows_the_note(rhythm):
    chroma = music_features(tone(440))[:, CHROMA]
    assert (chroma[10:-10].argmax(axis=1) == A4).all()


@pytest.mark.parametrize("compat", ["0.11", "0.8"])
def test_beats_are_flags_on_the_clicks(compat: Compat):
    bpm = 120
    features = music_features(clicks(bpm), compat=compat)
    assert set(np.unique(features[:, BEAT])) == {0.0, 1.0}
    heard = np.flatnonzero(features[:, BEAT]) / 30
    true = np.arange(30 / bpm, 8, 60 / bpm)
    assert len(heard) >= len(true) - 2
    assert all(np.abs(true - time).min() < 0.07 for time in heard)


def test_onsets_are_strongest_where_something_is_struck():
    onset = music_features(clicks(120))[:, ONSET]
    on_click = onset[[round((0.25 + 0.5 * k) * 30) + 1 for k in range(1, 14)]]
    assert on_click.min() > 5 * np.median(onset)


def test_louder_music_has_the_same_features(rhythm):
    quiet, loud = music_features(0.25 * rhythm), music_features(rhythm)
    np.testing.assert_allclose(quiet[:, :ONSET], loud[:, :ONSET], atol=0.05)


def test_deltas_are_the_slope_of_the_mfcc(rhythm):
    features = music_features(rhythm)
    slope = (features[2:, MFCC] - features[:-2, MFCC]) / 2
    np.testing.assert_allclose(features[1:-1, MFCC_DELTA], slope, atol=1e-3)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_a_track_in_blocks_is_taken_apart_as_librosa_does_at_once(long_track, pad_mode):
    parts = take_apart(long_track, pad_mode)
    mel = librosa.feature.melspectrogram(y=long_track, sr=SAMPLE_RATE, pad_mode=pad_mode)
    np.testing.assert_allclose(parts.mel, mel, rtol=1e-4, atol=1e-6 * mel.max())
    whole = librosa.effects.hpss(long_track, pad_mode=pad_mode)
    for mine, theirs in zip(parts[1:], whole, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_bands_above_half_the_rate_change_no_other(long_track):
    mel = mel_power(long_track, "reflect", 11025.0)
    with pytest.warns(UserWarning, match="Empty filters"):
        whole = librosa.feature.melspectrogram(
            y=long_track, sr=SAMPLE_RATE, fmax=11025.0, pad_mode="reflect"
        )
    np.testing.assert_allclose(mel, whole, rtol=1e-4, atol=1e-6 * whole.max())


def test_the_tuning_of_blocks_is_that_of_the_track(long_track):
    whole = librosa.estimate_tuning(y=long_track, sr=SAMPLE_RATE, bins_per_octave=36)
    assert tuning(long_track, "constant", 36) == whole


def test_the_features_of_librosa_08_differ_most_at_the_ends(rhythm):
    ours, theirs = music_features(rhythm), music_features(rhythm, compat="0.8")
    difference = np.abs(ours - theirs)[:, MFCC].max(axis=1)
    assert difference[[0, -1]].min() > 1 > 0.1 > difference[3:-3].max()
    assert not np.array_equal(ours[:, ONSET], theirs[:, ONSET])


def test_an_unknown_librosa_is_refused(rhythm):
    with pytest.raises(Exception, match=r"0\.9"):
        music_features(rhythm, compat="0.9")


@pytest.mark.parametrize("compat", ["0.11", "0.8"])
def test_silence_has_features_and_no_beat(compat: Compat):
    features = music_features(np.zeros(SAMPLE_RATE, dtype=np.float32), compat=compat)
    assert np.isfinite(features).all() and not features[:, BEAT].any()


@pytest.mark.parametrize("compat", ["0.11", "0.8"])
def test_half_a_second_is_enough(compat: Compat):
    features = music_features(clicks(120, 0.6), compat=compat)
    assert np.isfinite(features).all()


def test_resampling_keeps_the_pitch():
    time = np.arange(2 * 22050) / 22050
    samples = resample_audio(np.sin(2 * np.pi * 440 * time), 22050, SAMPLE_RATE)
    assert len(samples) == 2 * SAMPLE_RATE
    peak = np.abs(np.fft.rfft(samples)).argmax() / 2
    assert peak == pytest.approx(440, abs=1)


@pytest.mark.parametrize("samples", [np.zeros(100), np.full(SAMPLE_RATE, np.nan)])
def test_too_little_or_broken_music_is_refused(samples):
    with pytest.raises(InputError, match=r"at least 0.5 s|not numbers"):
        music_features(samples)


@pytest.mark.parametrize("compat", ["0.11", "0.8"])
def test_chroma_in_blocks_is_that_of_the_track_at_once(
    long_track, compat: Compat, monkeypatch: pytest.MonkeyPatch
):
    at_once = music_features(long_track, compat=compat)
    monkeypatch.setattr(features_module, "_CHROMA_BLOCK", 300)
    in_blocks = music_features(long_track, compat=compat)
    np.testing.assert_allclose(in_blocks[:, CHROMA], at_once[:, CHROMA], atol=1e-5)


def test_another_sample_rate_gives_another_frame_rate(rhythm):
    """Twice the samples a second, twice the rows; the beats keep their times."""
    fast = resample_audio(rhythm, SAMPLE_RATE, 2 * SAMPLE_RATE)
    features = music_features(fast, sample_rate=2 * SAMPLE_RATE)
    assert len(features) == 1 + len(fast) // HOP
    seconds = features[:, BEAT].nonzero()[0] * HOP / (2 * SAMPLE_RATE)
    off = np.abs((seconds - 0.25 + 0.25) % 0.5 - 0.25)
    assert len(seconds) >= 13 and off.max() < 0.05
