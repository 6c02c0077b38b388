"""A couple that steps with joined hands, and a second of sound."""

from pathlib import Path

import numpy as np
import pytest

from duet_rl.audio.files import write_wav
from duet_rl.body.motion import Duet
from tests.couple import stepping_couple

WAV_RATE = 22_050  # Hz
TONE = 440.0  # Hz


@pytest.fixture(scope="session")
def couple() -> Duet:
    """A second and a bit, 37 frames: no whole number of tokens."""
    return stepping_couple(37 / 30)


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: silence, and from 0.5 s on a tone."""
    time = np.arange(2 * WAV_RATE) / WAV_RATE
    samples = np.where(time < 0.5, 0.0, 0.5 * np.sin(2 * np.pi * TONE * time))
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    write_wav(path, samples.astype(np.float32), WAV_RATE)
    return path
