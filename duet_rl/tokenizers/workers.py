"""Workers and micro batches that behave as one: sums, means and shares of the joined batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class MicroBatch:
    """One of the equal pieces in which a worker takes its share of a training step."""

    index: int = 0
    count: int = 1

    @property
    def is_last(self) -> bool:
        """Whether the step is complete with this piece."""
        return self.index == self.count - 1


_WHOLE = MicroBatch()
_CURRENT: ContextVar[MicroBatch] = ContextVar("micro_batch", default=_WHOLE)


@contextmanager
def micro_batch(index: int, count: int) -> Iterator[None]:
    """Say, while the block runs, which piece of the step's share it works on."""
    token = _CURRENT.set(MicroBatch(index, count))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_micro_batch() -> MicroBatch:
    """Return which piece is worked on; outside `micro_batch` it is the whole share."""
    return _CURRENT.get()


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


def joined_rows(count: int) -> int:
    """Return how many rows the joined batch has, if each piece of each worker has `count`."""
    return count * world_size() * current_micro_batch().count


def own_rows(count: int) -> slice:
    """Return which rows of the joined batch are this piece's, if each piece has `count`.

    The joined batch holds the workers' shares in the order of their rank, and each share its
    micro batches in the order in which they are taken.
    """
    piece = current_micro_batch()
    place = rank() * piece.count + piece.index
    return slice(place * count, (place + 1) * count)
