"""The music features are those of the reference code, on librosa 0.11 and on librosa 0.8."""

from pathlib import Path

import numpy as np
import pytest

from duet_rl.audio import recipes
from duet_rl.audio.features import BEAT, CHROMA, MFCC, MFCC_DELTA, ONSET, music_features
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "music.npz"
FILE_08 = FILE.with_name("music_librosa080.npz")  # of the waveforms in FILE
RELATIVE = 1e-4  # the tolerance that the golden set suggests
INT16 = 32767
FLOAT32 = 1e-6  # MFCC reach 600: there two neighbouring float32 are 6e-5 apart

needs_08 = pytest.mark.skipif(not FILE_08.is_file(), reason=f"{FILE_08} is absent")
pytestmark = needs(FILE)


def pieces(file: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name of the piece -> its samples and its features in `file`."""
    waves, golden = (np.load(path, allow_pickle=False) for path in (FILE, file))
    found = [name.removeprefix("feat") for name in golden if name.startswith("feat")]
    assert found
    return {
        piece: (
            (waves[f"wav{piece}_int16"] / INT16).astype(np.float32),
            golden[f"feat{piece}"],
        )
        for piece in found
    }


def test_all_features_are_the_originals() -> None:
    for samples, wanted in pieces(FILE).values():
        features = music_features(samples)
        assert features.shape == wanted.shape
        np.testing.assert_allclose(features, wanted, atol=RELATIVE * np.abs(wanted).max())


@needs_08
def test_all_features_are_those_of_librosa_08() -> None:
    pytest.importorskip("resampy", reason="the extra compat08 is not installed")
    _compare_with_08(chroma=1e-5)


@needs_08
def test_without_its_resampler_only_the_chroma_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda name: None)
    _compare_with_08(chroma=2.5e-3)


def _compare_with_08(chroma: float) -> None:
    for samples, wanted in pieces(FILE_08).values():
        features = music_features(samples, compat="0.8")
        assert features.shape == wanted.shape
        for places, tolerance in ((MFCC, 2e-4), (MFCC_DELTA, 2e-4), (CHROMA, chroma)):
            np.testing.assert_allclose(
                features[:, places], wanted[:, places], rtol=FLOAT32, atol=tolerance
            )
        np.testing.assert_allclose(features[:, ONSET], wanted[:, ONSET], rtol=0, atol=1e-4)
        np.testing.assert_array_equal(features[:, BEAT], wanted[:, BEAT])
