"""Means over the frames to which a measure applies."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def mean_where(
    values: Float[Tensor, "B *frames"], where: Bool[Tensor, "B *frames"]
) -> Float[Tensor, "B"]:
    """Return the mean of each row of `values` over the places marked in `where`; NaN if none is.

    Example:
        >>> found = torch.tensor([[True, False, True], [False, False, False]])
        >>> mean_where(torch.tensor([[1.0, 9.0, 3.0], [1.0, 1.0, 1.0]]), found)
        tensor([2., nan])
    """
    values, where = values.flatten(1), where.flatten(1)
    return ratio(torch.where(where, values, 0).sum(1), where.sum(1))


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return `part / whole`; NaN where the whole is 0, for then there is nothing to share out."""
    return torch.where(whole == 0, torch.nan, part / torch.where(whole == 0, 1, whole))
