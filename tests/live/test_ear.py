"""Music heard as it plays: near what the whole track gives, and never by what is still to come."""

import numpy as np
import pytest
import torch

from duet_rl.audio.features import BEAT, MFCC, ONSET, music_features
from duet_rl.audio.spectra import SAMPLE_RATE
from duet_rl.errors import InputError
from duet_rl.live.beats import BeatListener
from duet_rl.live.ear import Ear

SECONDS = 8.0
BEAT_FRAMES = 15  # 120 beats a minute


def clicks(rate: int) -> np.ndarray:
    """A drum on each beat over a quiet chord."""
    time = np.arange(round(SECONDS * rate)) / rate
    since = time % (BEAT_FRAMES / 30)
    noise = np.random.default_rng(0).normal(size=len(time)) * np.exp(-since * 60)
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330)) * 0.05
    return (0.4 * noise + chord).clip(-1, 1).astype(np.float32)


def heard(samples: np.ndarray, rate: int, each: int) -> torch.Tensor:
    ear = Ear(rate)
    for start in range(0, len(samples), each):
        ear.hear(samples[start : start + each])
    return ear.rows(round(len(samples) / rate * 30) - 2)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_it_hears_nearly_what_the_whole_track_gives() -> None:
    samples = clicks(SAMPLE_RATE)
    live, whole = heard(samples, SAMPLE_RATE, 512).numpy()[60:], music_features(samples)[60:]
    assert correlation(live[:, ONSET], whole[: len(live), ONSET]) > 0.9
    late = 2  # frames; a window of sound ends with the frame and is not centred on it
    for mfcc in range(MFCC.start, 8):
        assert correlation(live[late:, mfcc], whole[: len(live) - late, mfcc]) > 0.9


def test_beats_are_told_when_they_come() -> None:
    beats = np.flatnonzero(heard(clicks(SAMPLE_RATE), SAMPLE_RATE, 512)[:, BEAT].numpy())
    settled = beats[beats > 120]
    assert len(settled) >= 6
    assert set(np.diff(settled)) <= {BEAT_FRAMES - 1, BEAT_FRAMES, BEAT_FRAMES + 1}
    off = (settled + BEAT_FRAMES // 2) % BEAT_FRAMES - BEAT_FRAMES // 2
    assert np.abs(off - 2).max() <= 2  # an onset shows two frames after its sound, as in librosa


def test_pieces_of_any_size_are_heard_alike() -> None:
    samples = clicks(44_100)
    torch.testing.assert_close(
        heard(samples, 44_100, 1470), heard(samples, 44_100, 333), atol=1e-3, rtol=1e-3
    )


def test_another_sample_rate_sounds_the_same() -> None:
    low = heard(clicks(SAMPLE_RATE), SAMPLE_RATE, 512)[60:, ONSET].numpy()
    high = heard(clicks(48_000), 48_000, 1600)[60:, ONSET].numpy()
    assert correlation(low, high) > 0.8


def test_silence_has_no_beat_and_broken_samples_are_silence() -> None:
    broken = np.full(SAMPLE_RATE * 4, np.nan, dtype=np.float32)
    rows = heard(broken, SAMPLE_RATE, 512)
    assert rows.isfinite().all()
    assert not rows[:, [ONSET, BEAT]].any()


def test_late_sound_is_guessed_and_stays_in_time() -> None:
    samples = clicks(SAMPLE_RATE)
    on_time, late = Ear(SAMPLE_RATE), Ear(SAMPLE_RATE)
    on_time.hear(samples[: 512 * 90])
    late.hear(samples[: 512 * 60])
    wanted, before = on_time.rows(90), late.rows(70)  # ten frames have no sound yet
    assert late.late > 0
    late.hear(samples[512 * 60 : 512 * 90])
    after = late.rows(20)
    assert torch.equal(before[:60], wanted[:60])
    assert torch.equal(after, wanted[70:])


def test_a_whole_album_at_once_is_refused() -> None:
    ear = Ear(SAMPLE_RATE)
    second = np.zeros(SAMPLE_RATE, dtype=np.float32)
    with pytest.raises(InputError, match="as it plays"):
        for _ in range(100):
            ear.hear(second)
    with pytest.raises(InputError, match="Hz"):
        Ear(1)


def test_a_tempo_that_changes_is_found_again() -> None:
    onsets = np.zeros(1200)
    onsets[:600:15] = 5.0
    onsets[600::18] = 5.0
    listener = BeatListener()
    beats = np.flatnonzero([listener.hear(onset) for onset in onsets])
    assert set(np.diff(beats[(beats > 200) & (beats < 590)])) == {15}
    assert set(np.diff(beats[beats > 900])) == {18}
