"""Scores of sets: no bias, honest intervals, and no number where it would mean nothing."""

import pytest
import torch
from torch import Tensor

from duet_rl.metrics.set_features import FEATURES, KINETIC, WINDOW_SECONDS, window_features
from duet_rl.metrics.set_scores import FeatureSet, div, fid, kid
from tests.couple import FPS, joints_of, moved, stepping_couple, turned

DIMS = 6
SCORES = pytest.mark.parametrize("score", [kid, fid, div])
REFERENCE_CLIPS = 1000  # numbers from here on are clips of the reference


def windows(
    clips: int, each: int = 4, shift: float = 0.0, first: int = 0, seed: int = 0
) -> FeatureSet:
    """Return windows that are alike within a clip, as those of dances are."""
    generator = torch.Generator().manual_seed(seed)
    of_clip = torch.randn(clips, 1, DIMS, generator=generator)
    features = of_clip + torch.randn(clips, each, DIMS, generator=generator) + shift
    return FeatureSet(features.flatten(0, 1), torch.arange(clips).repeat_interleave(each) + first)


def reference(clips: int = 30, seed: int = 1) -> FeatureSet:
    return windows(clips, first=REFERENCE_CLIPS, seed=seed)


def plain_kid(samples: FeatureSet, truth: FeatureSet) -> float:
    """Return KID pair by pair of clips of one length, for two sets without a clip in common."""
    mean, deviation = truth.features.mean(0), truth.features.std(0, correction=0)
    ours, theirs = (
        [((s.features - mean) / deviation)[s.clips == clip] for clip in s.clips.unique()]
        for s in (samples, truth)
    )

    def kernel(a: Tensor, b: Tensor) -> float:
        return float(((a @ b.T / DIMS + 1) ** 3).mean())

    def pairs(one: list[Tensor], other: list[Tensor], apart: bool) -> float:
        values = [
            kernel(a, b)
            for i, a in enumerate(one)
            for j, b in enumerate(other)
            if not (apart and i == j)
        ]
        return sum(values) / len(values)

    return pairs(ours, ours, True) + pairs(theirs, theirs, True) - 2 * pairs(ours, theirs, False)


def test_kid_is_the_mean_over_pairs_of_clips():
    samples, truth = windows(5, shift=0.5), reference(7)
    assert kid(samples, truth).interval.mean == pytest.approx(plain_kid(samples, truth), rel=1e-5)


def test_kid_of_the_same_dances_has_no_bias_and_its_interval_holds_zero():
    """Of equal distributions: the mean over many sets is 0, and most intervals have 0 inside."""
    found = [
        kid(windows(12, seed=2 * i), reference(12, seed=2 * i + 1), draws=200).interval
        for i in range(40)
    ]
    means = torch.tensor([interval.mean for interval in found])
    assert abs(float(means.mean())) < 3 * float(means.std()) / len(means) ** 0.5
    assert sum(interval.low <= 0 <= interval.high for interval in found) >= 34


@pytest.mark.parametrize("score", [kid, fid])
def test_farther_sets_score_worse_and_their_intervals_tell_them_apart(score):
    near, far = (score(windows(30, shift=shift), reference()).interval for shift in (0.2, 1.5))
    assert near.mean < far.mean and near.high < far.low


def test_a_set_held_against_itself_scores_zero():
    truth = reference()
    for score in (kid, fid):
        interval = score(truth, truth).interval
        assert max(map(abs, interval)) < 1e-6


def test_fid_is_that_of_the_two_normal_distributions():
    """The standardised sets differ by a shift alone, so their distance is that of their means."""
    truth = reference()
    samples = FeatureSet(truth.features + 0.5, truth.clips)
    standard = truth.features.std(0, correction=0)
    assert fid(samples, truth).interval.mean == pytest.approx(
        float((0.5 / standard).square().sum()), rel=1e-4
    )


def test_fid_falls_with_the_number_of_windows_and_kid_does_not():
    few, many = windows(8, seed=3), windows(200, seed=3)
    assert fid(few, reference(200)).interval.mean > 2 * fid(many, reference(200)).interval.mean
    low, high = (kid(s, reference(200)).interval for s in (few, many))
    assert low.overlaps(high)


def test_the_interval_of_fid_has_the_estimate_inside():
    interval = fid(windows(12, shift=0.3), reference(12)).interval
    assert interval.low < interval.mean < interval.high


def test_more_windows_of_the_same_clips_do_not_make_an_interval_narrow():
    """Clips are drawn, not windows: forty windows of a clip tell little more than four do."""

    def width(each: int) -> float:
        low_high = div(windows(8, each), reference()).interval
        return low_high.high - low_high.low

    assert width(40) > width(4) / 2


@SCORES
def test_windows_may_come_in_any_order_and_clips_by_any_number(score):
    samples, truth = windows(6, shift=0.3), reference()
    order = torch.randperm(len(samples.clips), generator=torch.Generator().manual_seed(0))
    shuffled = FeatureSet(samples.features[order], samples.clips[order])
    assert score(shuffled, truth).interval == pytest.approx(score(samples, truth).interval)
    renamed = FeatureSet(samples.features, samples.clips + 50)
    assert score(renamed, truth).interval == pytest.approx(score(samples, truth).interval)


@SCORES
def test_the_unit_of_a_feature_does_not_matter(score):
    samples, truth = windows(10, shift=0.3), reference()
    scale, offset = torch.logspace(-3, 3, DIMS), torch.linspace(-5, 5, DIMS)
    scaled = [FeatureSet(s.features * scale + offset, s.clips) for s in (samples, truth)]
    assert score(*scaled).interval == pytest.approx(score(samples, truth).interval, rel=1e-3)


@SCORES
def test_features_that_are_constant_in_the_reference_are_left_out_and_told(score):
    samples, truth = windows(10, shift=0.3), reference()
    wider = [
        FeatureSet(torch.cat([s.features, c * torch.ones(len(s.clips), 2)], 1), s.clips)
        for s, c in ((samples, 5.0), (truth, 4.0))
    ]
    found = score(*wider)
    assert found.interval == pytest.approx(score(samples, truth).interval, rel=1e-6)
    assert "2 of 8 features are constant" in found.reason


@SCORES
def test_the_rounding_of_a_feature_that_is_zero_is_no_variation(score):
    """Palms in one place, as in a made-up hold: their distance is 1e-8 m, and 5 cm elsewhere."""
    samples, truth = windows(10, shift=0.3), reference()
    zero = 1e-8 * torch.rand(len(truth.clips), 1, generator=torch.Generator().manual_seed(0))
    wider = [
        FeatureSet(torch.cat([s.features, more], 1), s.clips)
        for s, more in ((samples, torch.full((len(samples.clips), 1), 0.05)), (truth, zero))
    ]
    assert score(*wider).interval == pytest.approx(score(samples, truth).interval, rel=1e-6)


@SCORES
@pytest.mark.parametrize(
    ("samples", "truth", "reason"),
    [
        (windows(1), reference(), "1 clips, at least 2"),
        (windows(5), reference(1), "1 reference clips, at least 2"),
        (FeatureSet(windows(5).features / 0, windows(5).clips), reference(), "20 of 20 windows"),
        (windows(5), FeatureSet(torch.ones(8, DIMS), torch.arange(8)), "6 of 6 features"),
        (FeatureSet(torch.ones(0, DIMS), torch.arange(0)), reference(), "0 clips"),
    ],
)
def test_there_is_a_reason_and_no_number_where_it_would_mean_nothing(
    score, samples: FeatureSet, truth: FeatureSet, reason: str
):
    found = score(samples, truth)
    assert found.interval is None and found.reason.startswith(reason)
    assert (found.samples, found.reference) == (len(samples.features), len(truth.features))
    assert f"{found:.2f}" == "-"


def test_fid_wants_more_windows_than_dimensions():
    few = windows(3, each=2)
    found = fid(few, reference())
    assert found.interval is None and found.reason.startswith("6 windows in 6 dimensions")
    assert kid(few, reference()).interval is not None


def test_window_features_do_not_care_where_a_couple_dances_or_how_it_is_turned():
    follower, leader = joints_of(stepping_couple(2 * WINDOW_SECONDS))
    here = window_features(follower, leader, FPS)
    there = [moved(turned(joints, 1.0), 3.0, 0.0, -2.0) for joints in (follower, leader)]
    for name, features in window_features(*there, FPS).items():
        assert features.shape[:2] == (1, 2)
        torch.testing.assert_close(features, here[name], rtol=1e-3, atol=1e-3)
    assert set(here) == set(FEATURES)


def test_a_clip_shorter_than_a_window_has_none():
    follower, leader = joints_of(stepping_couple(WINDOW_SECONDS / 2))
    assert window_features(follower, leader, FPS)[KINETIC].shape == (1, 0, 72)
