"""Audio files: whole ones come back as they went in, broken ones are refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from duet_rl.audio.features import SAMPLE_RATE, load_audio, music_features_of
from duet_rl.audio.files import read_audio, write_wav
from duet_rl.errors import InputError

RATE = 22050
FORMATS = ("wav", "ogg", "flac", "mp3")


@pytest.fixture
def samples() -> np.ndarray:
    time = np.arange(2 * RATE) / RATE
    return (0.4 * np.sin(2 * np.pi * 330 * time)).astype(np.float32)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        music_features_of(path)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    return message


def test_a_wav_comes_back_as_it_was_written(tmp_path, samples):
    write_wav(tmp_path / "song.wav", samples, RATE)
    read, rate = read_audio(tmp_path / "song.wav")
    assert rate == RATE
    np.testing.assert_allclose(read, samples, atol=1e-4)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read_at_our_rate(tmp_path, samples, suffix):
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, samples, RATE)
    assert len(load_audio(path)) == pytest.approx(2 * SAMPLE_RATE, rel=0.05)
    assert music_features_of(path, frames=60).shape == (60, 54)


def test_stereo_is_mixed_to_mono(tmp_path, samples):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.stack([samples, 0 * samples], axis=1), RATE)
    np.testing.assert_allclose(read_audio(path)[0], samples / 2, atol=1e-4)


@pytest.mark.parametrize("suffix", FORMATS)
def test_half_a_file_is_refused(tmp_path, samples, suffix):
    whole, half = tmp_path / f"whole.{suffix}", tmp_path / f"half.{suffix}"
    soundfile.write(whole, samples, RATE)
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    assert "whole" in refusal(half)


@pytest.mark.parametrize("cut", [1, 50])
def test_an_ogg_that_lacks_its_very_end_is_refused(tmp_path, samples, cut):
    path = tmp_path / "song.ogg"
    soundfile.write(path, samples, RATE)
    path.write_bytes(path.read_bytes()[:-cut])
    assert "cut off" in refusal(path)


def test_what_is_no_audio_is_refused(tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(b"these are words and no sound at all")
    assert "cannot be read as audio" in refusal(path)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "song.mp3"
    path.touch()
    assert "is empty" in refusal(path)


def test_a_missing_file_is_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "song.wav")


def test_nan_is_refused(tmp_path, samples):
    path = tmp_path / "song.wav"
    samples[100:103] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert "3 samples that are not numbers" in refusal(path)


def test_a_blip_is_refused(tmp_path, samples):
    path = tmp_path / "song.wav"
    soundfile.write(path, samples[:1000], RATE)
    assert "at least 0.5 s" in refusal(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, samples, as_users_run):
    path = tmp_path / "song.wav"
    write_wav(path, samples, RATE)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_wav(path, samples, sample_rate=None)  # type: ignore[arg-type]
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
