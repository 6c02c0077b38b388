"""Sets of dances are compared by windows; where that would mean nothing, words say so."""

import torch

from duet_rl.evaluate.sets import SET_MEASURES, compare_sets
from duet_rl.metrics.set_features import FEATURES

DIMS = 5


def dances(count: int, windows: int = 8, seed: int = 0, shift: float = 0.0, first: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return {
        f"clip{first + number}": {
            kind: torch.randn(2, windows, DIMS, generator=generator) + shift for kind in FEATURES
        }
        for number in range(count)
    }


def test_a_set_like_the_reference_is_nearer_than_one_that_is_shifted():
    reference = dances(12, first=100)
    alike = compare_sets(dances(12, seed=1), reference)
    shifted = compare_sets(dances(12, seed=1, shift=1.0), reference)
    assert alike.keys() == SET_MEASURES.keys()
    for name in ("kid_kinetic", "fid_kinetic"):
        assert shifted[name].interval.low > alike[name].interval.high
    assert alike["kid_duet"].samples == 12 * 8  # of the first seed


def test_too_few_windows_have_no_fid_and_a_reason():
    found = compare_sets(dances(2, windows=2), dances(12, first=100))
    assert found["fid_manual"].interval is None
    assert "4 windows in 5 dimensions" in found["fid_manual"].reason
    assert found["kid_manual"].interval is not None


def test_the_reference_has_no_distance_from_itself():
    reference = dances(12)
    found = compare_sets(reference, reference, in_reference=True)
    assert found["fid_duet"].interval is None and "reference" in found["fid_duet"].reason


def test_missing_dances_do_not_count_and_short_clips_have_no_windows():
    some = dances(6)
    some["clip0"] = {kind: torch.full((2, 8, DIMS), torch.nan) for kind in FEATURES}
    assert compare_sets(some, dances(6, first=100))["kid_duet"].samples == 5 * 8
    found = compare_sets(dances(6, windows=0), dances(6, first=100))
    assert all(s.interval is None and "no clip lasts" in s.reason for s in found.values())
