"""Bailando's features: their places, rates, and what they say of sounds with a known answer."""

import numpy as np
import pytest

from duet_rl.audio.bailando import (
    BAILANDO_DIMS,
    FRAME_RATE,
    LAGS,
    TEMPOGRAM,
    TOKEN_RATE,
    bailando_features,
    paired_features,
    pooled_features,
)
from duet_rl.audio.features import BEAT, MUSIC_DIMS, ONSET, music_features, resample_audio
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.errors import InputError

SECONDS, BPM = 8.0, 120.0
RATES = pytest.mark.parametrize(("rate", "fps"), [(FRAME_RATE, 60.0), (TOKEN_RATE, 7.5)])


def song(rate: int, seconds: float = SECONDS) -> np.ndarray:
    return resample_audio(render_rhythm(BPM, 4, seconds, "tango", seed=3), SAMPLE_RATE, rate)


@RATES
def test_a_second_has_as_many_rows_as_its_rate_says(rate: int, fps: float) -> None:
    rows = bailando_features(song(rate), rate)
    assert rows.shape == (1 + round(SECONDS * fps), BAILANDO_DIMS) and rows.dtype == np.float32
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(
        rows[:, :MUSIC_DIMS], music_features(song(rate), sample_rate=rate)
    )


@RATES
def test_the_tempogram_is_highest_at_no_lag_and_shows_the_beat(rate: int, fps: float) -> None:
    middle = bailando_features(song(rate), rate)[round(SECONDS / 2 * fps), TEMPOGRAM]
    assert len(middle) == LAGS and middle.argmax() == 0
    period = 60 / BPM * fps  # rows
    if period > 10:
        near = middle[round(0.9 * period) : round(1.1 * period) + 1]
        assert near.max() > 0.3 and near.max() > 2 * middle[round(0.6 * period)]


def test_long_tracks_are_analysed_in_blocks_that_do_not_show() -> None:
    rows = bailando_features(song(FRAME_RATE, 20.0), FRAME_RATE)  # more than a block
    librosa = pytest.importorskip("librosa")
    whole = librosa.feature.tempogram(onset_envelope=rows[:, ONSET], hop_length=512)
    np.testing.assert_allclose(rows[:, TEMPOGRAM], whole.T, atol=1e-5)


def test_silence_has_neither_beats_nor_tempogram() -> None:
    rows = bailando_features(np.zeros(TOKEN_RATE * 4, np.float32), TOKEN_RATE)
    assert not rows[:, ONSET:].any() and np.isfinite(rows).all()


def test_a_pooled_token_has_a_beat_if_any_of_its_frames_has() -> None:
    samples = song(FRAME_RATE)
    fine = music_features(samples, sample_rate=FRAME_RATE)[: 8 * 60, BEAT]
    pooled = pooled_features(samples)
    assert pooled.shape == (60, BAILANDO_DIMS)
    np.testing.assert_array_equal(pooled[:, BEAT] > 0, fine.reshape(60, 8).any(axis=1))


@pytest.mark.parametrize("count", [1, 30, 90])
def test_as_many_rows_come_as_are_asked_for(count: int) -> None:
    samples = song(FRAME_RATE, 4.0)
    assert pooled_features(samples, count).shape == (count, 438)
    assert paired_features(samples, count).shape == (count, 110)
    assert bailando_features(song(TOKEN_RATE, 4.0), TOKEN_RATE, count).shape == (count, 438)


def test_a_frame_of_30_fps_is_two_of_60() -> None:
    samples = song(FRAME_RATE)
    rows = bailando_features(samples, FRAME_RATE)
    pairs = paired_features(samples)
    np.testing.assert_allclose(pairs.reshape(-1, 55)[: len(rows)], rows[:, :55], atol=1e-6)
    assert len(pairs) == 1 + round(SECONDS * 30)


def test_half_a_second_is_enough_and_less_is_not() -> None:
    assert pooled_features(song(FRAME_RATE, 0.6)).shape[0] >= 4
    with pytest.raises(InputError, match=r"at least 0\.5 s"):
        bailando_features(song(TOKEN_RATE)[:1000], TOKEN_RATE)
