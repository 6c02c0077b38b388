"""FID and DIV as published: known answers, another road to the root, and when they mean nothing."""

import math

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from duet_rl.metrics.frechet import (
    RIDGE,
    constant_features,
    constant_places,
    frechet_distance,
    mean_distance,
    moments,
    normalise,
    published_fid,
    published_reason,
)


def vectors(count: int, dims: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(dims, dims, generator=generator, dtype=torch.float64)
    return torch.randn(count, dims, generator=generator, dtype=torch.float64) @ mixed


def by_matrix_root(one: Tensor, other: Tensor, ridge: float = 0.0) -> float:
    """Return the FID by the root of the product of covariances, as the original does."""
    (mean, spread), (mean_there, spread_there) = moments(one), moments(other)
    raised = ridge * torch.eye(len(mean), dtype=torch.float64)
    root = sqrtm(((spread + raised) @ (spread_there + raised)).numpy()).trace().real
    moved = (mean - mean_there).square().sum()
    return float(moved + spread.trace() + spread_there.trace() - 2 * root)


@pytest.mark.parametrize("ridge", [0.0, RIDGE, 1.0])
def test_the_sum_of_eigenvalues_is_the_trace_of_the_matrix_root(ridge: float):
    one, other = vectors(40), vectors(50, seed=1)
    assert published_fid(one, other, ridge) == pytest.approx(by_matrix_root(one, other, ridge))


def test_both_ways_to_the_distance_agree():
    one, other = vectors(40), vectors(50, seed=1)
    strict = frechet_distance(moments(one), moments(other))
    assert float(strict) == pytest.approx(published_fid(one, other))
    assert float(strict) == pytest.approx(float(frechet_distance(moments(other), moments(one))))


def test_of_numbers_it_is_the_shift_and_the_change_of_the_deviation():
    one, other = vectors(40, dims=1), vectors(60, dims=1, seed=1)
    means = (one.mean() - other.mean()).square()
    deviations = (one.std() - other.std()).square()
    assert published_fid(one, other) == pytest.approx(float(means + deviations))


def test_too_few_vectors_give_a_real_number_as_published():
    few = vectors(4, dims=20)
    assert math.isfinite(published_fid(few, vectors(5, dims=20, seed=1)))
    assert math.isnan(published_fid(few[:1], few)) and math.isnan(mean_distance(few[:1]))


def test_the_reference_alone_sets_the_unit():
    samples, reference = vectors(10, seed=1), vectors(30)
    found = normalise(samples, reference)
    torch.testing.assert_close(found.reference.mean(0), torch.zeros(4).double())
    torch.testing.assert_close(found.reference.std(0, correction=0), torch.ones(4).double())
    scaled = normalise(samples * 7 + 2, reference * 7 + 2)
    torch.testing.assert_close(scaled.samples, found.samples)


def test_div_is_the_mean_over_all_pairs():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])
    assert mean_distance(points) == pytest.approx((5 + 8 + 5) / 3)


def test_div_is_added_up_in_the_precision_of_the_features():
    """As in the original, whose single precision shows in a sum of many distances."""
    many = vectors(300)
    exact = mean_distance(many)
    assert exact == pytest.approx(float(torch.pdist(many).mean()), rel=1e-12)
    single = mean_distance(many.float())
    assert single == pytest.approx(exact, rel=1e-4) and abs(single / exact - 1) > 1e-8


def test_rounding_is_no_variation():
    features = torch.tensor([[1e4, 0.0, 0.5], [1e4 + 1e-3, 0.0, 0.6]], dtype=torch.float64)
    assert constant_features(features).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("samples", "reference", "full_rank", "reason"),
    [
        (vectors(4), vectors(9), True, "4 sequences, fewer than 5"),
        (vectors(9), vectors(4), True, "4 reference sequences, fewer than 5"),
        (vectors(1), vectors(9), False, "1 sequences, fewer than 2"),
        (vectors(9) / 0, vectors(9), False, "9 of 9 sequences have features that are not finite"),
        (vectors(9), vectors(9) * torch.tensor([1, 0, 1, 0]), True, "constant in the reference"),
        (vectors(5), vectors(5), True, ""),
        (vectors(2), vectors(2), False, ""),
    ],
)
def test_there_is_a_reason_where_a_published_number_means_nothing(
    samples: Tensor, reference: Tensor, full_rank: bool, reason: str
):
    found = published_reason(samples, reference, full_rank)
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_constant_features_are_told_by_place_and_harm_only_where_the_samples_differ():
    reference = torch.cat([vectors(9), torch.ones(9, 2)], dim=1)
    samples = torch.cat([vectors(9, seed=1), torch.ones(9, 1), vectors(9, dims=1)], dim=1)
    assert constant_places(samples, reference, alike=True) == "5"
    assert published_reason(samples, reference, full_rank=True).endswith(": 6")
    assert not published_reason(samples[:, :5], reference[:, :5], full_rank=True)
    ready = normalise(samples[:, :5], reference[:, :5])
    without = normalise(samples[:, :4], reference[:, :4])
    assert published_fid(*ready) == pytest.approx(published_fid(*without), rel=1e-4)
