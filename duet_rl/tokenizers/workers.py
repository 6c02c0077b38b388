"""Data-parallel workers that behave as one: sums, means and shares of the joined batch."""

import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def world_size() -> int:
    """Return the number of workers; 1 outside distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return which worker this is."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def all_sum(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return the sum of `values` over all workers."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def all_mean(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return the mean of `values` over all workers."""
    return all_sum(values) / world_size()


def own_rows(count: int) -> slice:
    """Return which rows of the joined batch are this worker's, if each worker has `count`.

    The joined batch holds the workers' batches in the order of their rank.
    """
    return slice(rank() * count, (rank() + 1) * count)
