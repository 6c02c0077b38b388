"""The bootstrap: seeded, as wide as the data are noisy, and aware of clips and seeds."""

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.metrics.bootstrap import Interval, applies, bootstrap_mean


def noise(clips: int, seeds: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(clips, seeds, generator=torch.Generator().manual_seed(seed))


def test_the_interval_holds_the_mean_and_the_same_seed_gives_it_again():
    interval = bootstrap_mean(noise(12, 3), seed=4)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == pytest.approx(float(noise(12, 3).mean()))
    assert bootstrap_mean(noise(12, 3), seed=4) == interval
    assert bootstrap_mean(noise(12, 3), seed=5) != interval


def test_the_interval_is_as_wide_as_theory_says():
    interval = bootstrap_mean(noise(200, 1), draws=4000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 200**0.5, rel=0.15)


def test_it_covers_the_truth_about_as_often_as_it_claims():
    covered = [bootstrap_mean(noise(15, 3, seed), draws=300) for seed in range(200)]
    share = sum(interval.low <= 0 <= interval.high for interval in covered) / len(covered)
    assert 0.88 <= share <= 1


def test_clips_that_differ_widen_it_although_the_seeds_agree():
    clips = noise(6, 1).expand(6, 30)
    wide, narrow = bootstrap_mean(clips), bootstrap_mean(noise(6, 30))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_equal_values_leave_no_doubt():
    assert bootstrap_mean(torch.full((4, 3), 0.5)) == (0.5, 0.5, 0.5)


def test_intervals_say_whether_they_overlap():
    low, middle, high = Interval(1, 0, 2), Interval(2, 1, 3), Interval(5, 4, 6)
    assert low.overlaps(middle) and not low.overlaps(high) and not high.overlaps(low)
    assert f"{high:.1f}" == "5.0 [4.0, 6.0]"


def test_a_clip_to_which_nothing_applies_is_left_out():
    values = noise(12, 3)
    values[[2, 7]] = torch.nan
    kept = values[values.isfinite().all(1)]
    assert bootstrap_mean(values, seed=4) == bootstrap_mean(kept, seed=4)
    assert applies(values) == 10 and applies(kept) == 10


def test_every_clip_counts_alike_however_many_seeds_it_has():
    values = torch.tensor([[1.0, torch.nan, torch.nan], [4.0, 5.0, 6.0]])
    interval = bootstrap_mean(values)
    assert interval.mean == 3.0
    assert interval.low == 1.0 and 4.0 <= interval.high <= 6.0
    assert applies(values) == 2


def test_where_the_missing_seeds_stand_changes_nothing():
    first, last = noise(8, 4), noise(8, 4)
    first[:, 0] = torch.nan
    last[:, :3], last[:, 3] = first[:, 1:], torch.nan
    assert bootstrap_mean(first) == bootstrap_mean(last)


@pytest.mark.parametrize(
    "values",
    [
        torch.zeros(0, 3),
        torch.zeros(3, 0),
        torch.full((2, 2), torch.nan),
        torch.tensor([[1.0, torch.inf]]),
    ],
)
def test_nothing_has_no_mean_and_infinity_is_refused(values):
    with pytest.raises(InputError, match="finite"):
        bootstrap_mean(values)
