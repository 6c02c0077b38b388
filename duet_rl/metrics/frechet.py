"""FID and DIV as published, and the moments they are made of.

Duolando and Bailando compute both in the same way: features of predictions and of a reference,
each feature normalised by the mean and deviation of the reference. Scores of few sequences mean
little; `published_reason` says when they mean nothing. For new comparisons see `set_scores`.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

DEVIATION_FLOOR = 1e-10  # added to deviations, so that a feature that is constant weighs 1e10
RIDGE = 1e-5  # what the original adds to both covariances where its matrix root fails
CONSTANT = 1e-6  # a feature that deviates less than this share of its mean is rounding alone


class Normalised(NamedTuple):
    """Two sets of features in units of the reference's deviation."""

    samples: Float[Tensor, "N D"]
    reference: Float[Tensor, "M D"]


class Moments(NamedTuple):
    """Mean and covariance of a set of features, or of many sets."""

    mean: Float[Tensor, "*sets D"]
    covariance: Float[Tensor, "*sets D D"]


def normalise(samples: Float[Tensor, "N D"], reference: Float[Tensor, "M D"]) -> Normalised:
    """Return both sets less the reference's mean, over its population deviation, as published.

    In the precision of the sets; the original's is single.
    """
    mean, deviation = reference.mean(0), reference.std(0, correction=0) + DEVIATION_FLOOR
    return Normalised((samples - mean) / deviation, (reference - mean) / deviation)


def constant_features(reference: Float[Tensor, "M D"]) -> Bool[Tensor, "D"]:
    """Return which features do not vary but for rounding."""
    reference = reference.double()
    return reference.std(0, correction=0) <= CONSTANT * reference.mean(0).abs()


def moments(features: Float[Tensor, "N D"]) -> Moments:
    """Return the mean and the sample covariance (over N - 1) of a set."""
    features = features.double()
    centred = features - features.mean(0)
    return Moments(features.mean(0), centred.mT @ centred / (len(features) - 1))


def frechet_distance(one: Moments, other: Moments) -> Float[Tensor, "*sets"]:
    """Return the squared Fréchet distance of two normal distributions (Heusel et al., 2017).

    The trace of a matrix's root is the sum of the roots of its eigenvalues; those of S1 S2 are
    those of the symmetric R1 S2 R1 with R1 the root of S1, which are real and not negative.
    """
    values, vectors = torch.linalg.eigh(one.covariance)
    root = (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT
    inner = torch.linalg.eigvalsh(root @ other.covariance @ root).clamp_min(0)
    spreads = (_trace(one.covariance) + _trace(other.covariance)) - 2 * inner.sqrt().sum(-1)
    return (one.mean - other.mean).square().sum(-1) + spreads


def published_fid(
    samples: Float[Tensor, "N D"], reference: Float[Tensor, "M D"], ridge: float = 0.0
) -> float:
    """Return the FID of two sets of features that are normalised already.

    The original prints a complex number where rounding makes an eigenvalue of S1 S2 negative; this
    is its real part.

    Args:
        samples: of the predictions.
        reference: of the ground truth.
        ridge: is added to the diagonals of both covariances in the root, and only there. The
            original does so, by `RIDGE`, where its root of the matrix product is not finite, which
            no sum of eigenvalues ever is.

    Returns:
        NaN if a feature is not finite or a set has one vector alone.
    """
    one, other = moments(samples), moments(reference)
    product = _raised(one.covariance, ridge) @ _raised(other.covariance, ridge)
    if not (torch.isfinite(product).all() and torch.isfinite(one.mean).all()):
        return float("nan")
    root = torch.linalg.eigvals(product).sqrt().real.sum()
    spreads = _trace(one.covariance) + _trace(other.covariance) - 2 * root
    return float((one.mean - other.mean).square().sum() + spreads)


def mean_distance(features: Float[Tensor, "N D"]) -> float:
    """Return DIV: the mean Euclidean distance over all pairs of a set; NaN for fewer than two.

    The original adds up pair by pair in the precision of its features, which is single. Of a few
    hundred vectors that rounds off the sixth digit, so the order of the sum is kept.
    """
    rows, count = features.cpu().numpy(), len(features)
    if count < 2:
        return float("nan")
    total = rows.dtype.type(0)
    for place, row in enumerate(rows[:-1]):
        distances = np.linalg.norm(rows[place + 1 :] - row, axis=1)
        total = np.add.accumulate(np.concatenate([[total], distances]), dtype=rows.dtype)[-1]
    return float(total) / (count * (count - 1) / 2)


def published_reason(
    samples: Float[Tensor, "N D"], reference: Float[Tensor, "M D"], full_rank: bool
) -> str:
    """Return why a published score of these features, not yet normalised, means nothing, or "".

    Args:
        samples: of the predictions.
        reference: of the ground truth.
        full_rank: the score needs covariances that are not singular, as FID does.
    """
    dims = reference.shape[1]
    fewest = dims + 1 if full_rank else 2
    for name, features in (("sequences", samples), ("reference sequences", reference)):
        if len(features) < fewest:
            why = "their covariance is singular" if full_rank else "there are no pairs"
            return f"{len(features)} {name}, fewer than {fewest}: {why}"
        broken = int((~torch.isfinite(features)).any(1).sum())
        if broken:
            return f"{broken} of {len(features)} {name} have features that are not finite"
    places = constant_places(samples, reference, alike=False)
    if places:
        return f"constant in the reference alone, where a difference counts 1e10-fold: {places}"
    return ""


def constant_places(
    samples: Float[Tensor, "N D"], reference: Float[Tensor, "M D"], alike: bool
) -> str:
    """Return the places, from 1, of features that are constant in the reference.

    Args:
        samples: of the predictions, not yet normalised.
        reference: of the ground truth.
        alike: those that have the same value in the samples, and so count nothing, or the others.
    """
    usual = reference.double().mean(0)
    same = ((samples.double() - usual).abs() <= CONSTANT * usual.abs()).all(0)
    places = (constant_features(reference) & (same == alike)).nonzero()[:, 0]
    return ", ".join(str(place + 1) for place in places.tolist())


def _trace(matrices: Float[Tensor, "*sets D D"]) -> Float[Tensor, "*sets"]:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1)


def _raised(matrix: Float[Tensor, "D D"], ridge: float) -> Float[Tensor, "D D"]:
    return matrix + ridge * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
