"""Bailando's music features are those of its code, on librosa 0.11 and on librosa 0.8."""

from functools import cache

import numpy as np
import pytest

from duet_rl.audio.bailando import FRAME_RATE, TEMPOGRAM, TOKEN_RATE, bailando_features
from duet_rl.audio.features import BEAT, CHROMA, MFCC, MFCC_DELTA, MUSIC_DIMS, ONSET
from duet_rl.audio.recipes import Compat
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "bailando" / "music438.npz"
RELATIVE = 1e-4  # the tolerance that the golden set suggests
INT16 = 32767
FLOAT16 = 1e-3  # relative; their features of 60 fps by librosa 0.8 are stored so
RATES = {"60fps": FRAME_RATE, "7_5fps": TOKEN_RATE}
ROWS = {"60fps": 60, "7_5fps": 10}  # every so many rows of the tempogram are stored

pytestmark = needs(FILE)
each_rate = pytest.mark.parametrize("rate", RATES)


@cache
def golden(name: str) -> np.ndarray:
    return np.load(FILE, allow_pickle=False)[name]


@cache
def features(rate: str, compat: Compat) -> np.ndarray:
    samples = (golden(f"wave_{rate}") / INT16).astype(np.float32)
    return bailando_features(samples, RATES[rate], compat=compat)


@each_rate
def test_all_features_are_the_originals(rate: str) -> None:
    wanted, found = golden(f"feat54_{rate}"), features(rate, "0.11")
    tolerance = RELATIVE * np.abs(wanted).max()
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found[:, :MUSIC_DIMS], wanted, atol=tolerance)
    for places in (CHROMA, ONSET):
        np.testing.assert_allclose(found[:, places], wanted[:, places], atol=RELATIVE)
    np.testing.assert_array_equal(found[:, BEAT], wanted[:, BEAT])
    stored = golden(f"tempogram_{rate}_every{ROWS[rate]}th_row")
    np.testing.assert_allclose(found[:: ROWS[rate], TEMPOGRAM], stored, atol=RELATIVE)


@each_rate
def test_all_features_are_those_of_librosa_08(rate: str) -> None:
    wanted, found = golden(f"librosa08_feat54_{rate}"), features(rate, "0.8")
    rounding = FLOAT16 if wanted.dtype == np.float16 else 1e-6
    for places, tolerance in ((MFCC, 2e-4), (MFCC_DELTA, 2e-4), (CHROMA, 3e-3), (ONSET, 1e-4)):
        np.testing.assert_allclose(
            found[:, places], wanted[:, places], rtol=rounding, atol=tolerance
        )
    np.testing.assert_array_equal(found[:, BEAT], wanted[:, BEAT])


def test_librosa_08_hears_no_rhythm_at_the_rate_of_tokens() -> None:
    found = features("7_5fps", "0.8")
    assert golden("librosa08_tempogram_7_5fps_absmax") == 0
    assert not found[:, [ONSET, BEAT]].any() and not found[:, TEMPOGRAM].any()


def test_the_tempogram_at_60_fps_is_that_of_librosa_08() -> None:
    stored = golden("librosa08_tempogram_60fps_every60th_row")
    found = features("60fps", "0.8")[:: ROWS["60fps"], TEMPOGRAM]
    np.testing.assert_allclose(found, stored, atol=1e-5)
