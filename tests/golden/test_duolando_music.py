"""The music features are those of the reference code on librosa 0.11."""

import os
from pathlib import Path

import numpy as np
import pytest

from duet_rl.audio.features import music_features

GOLDEN = Path(
    os.environ.get("DUET_RL_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden")
)
FILE = GOLDEN / "duolando" / "music.npz"
RELATIVE = 1e-4  # the tolerance that the golden set suggests
INT16 = 32767

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is absent; set DUET_RL_GOLDEN"),
]


def test_all_features_are_the_originals() -> None:
    golden = np.load(FILE, allow_pickle=False)
    pieces = [name.removeprefix("feat") for name in golden if name.startswith("feat")]
    assert pieces
    for piece in pieces:
        samples = (golden[f"wav{piece}_int16"] / INT16).astype(np.float32)
        wanted = golden[f"feat{piece}"]
        features = music_features(samples)
        assert features.shape == wanted.shape
        np.testing.assert_allclose(features, wanted, atol=RELATIVE * np.abs(wanted).max())
