"""Scores of texts and motions that an evaluator put into one space: as published, and mended.

The evaluator is a network that was trained on pairs of text and motion, so that every number says
as much of it as of the motion: numbers of two evaluators cannot be compared. Guo et al.,
Generating Diverse and Natural 3D Human Motions from Text (CVPR 2022), section 6.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

POOL = 32  # motions of which one belongs to the text
TOP = 3  # the motion is among the first, the first two, the first three
DIVERSITY_PAIRS = 300
MULTIMODAL_PAIRS = 5  # of the motions of one text
NORMAL_95 = 1.96  # standard errors to either side that hold 95 % of a normal distribution


class Pairs(NamedTuple):
    """Which vectors are held against which."""

    first: Int[Tensor, "P"]
    second: Int[Tensor, "P"]


class Repeated(NamedTuple):
    """The mean of a score over repeats, and half of its 95 % interval."""

    mean: float
    half: float

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.mean:{spec}} ± {self.half:{spec}}"


def published_r_precision(
    texts: Float[Tensor, "N D"],
    motions: Float[Tensor, "N D"],
    pool: int = POOL,
    top: int = TOP,
    drop_tail: bool = True,
) -> Float[Tensor, "top"]:
    """Return how often a text's motion is among the nearest 1, 2, ... `top` of its batch.

    Batches are taken in the order of the rows, so that the number depends on it.

    Args:
        texts: embedded; row by row of one pair with `motions`.
        motions: embedded.
        pool: rows of a batch.
        top: how far down the list is looked.
        drop_tail: leave out the rows after the last whole batch, as published. Otherwise they are
            a smaller batch, which is easier.

    Returns:
        NaN if no batch is left.
    """
    batches = list(zip(texts.split(pool), motions.split(pool), strict=True))
    if drop_tail:
        batches = [pair for pair in batches if len(pair[0]) == pool]
    if not batches:
        return torch.full((top,), torch.nan, dtype=torch.float64)
    ranks = torch.cat([_ranks(torch.cdist(*pair)) for pair in batches])
    return _within(ranks, top)


def r_precision(
    texts: Float[Tensor, "N D"],
    motions: Float[Tensor, "N D"],
    pool: int = POOL,
    top: int = TOP,
    same: Sequence[object] | None = None,
) -> Float[Tensor, "N top"]:
    """Return the chance that a text's motion is among the nearest of a pool, text by text.

    The expectation over all pools that hold the motion and `pool - 1` others, so that it depends
    neither on the order of the rows nor on luck, and no row is left out. With c of M others as
    near as the motion or nearer, the number of them in the pool is hypergeometric.

    Args:
        texts: embedded; row by row of one pair with `motions`.
        motions: embedded.
        pool: motions to choose from.
        top: how far down the list is looked.
        same: one value a row; motions of the same value are right answers, too, and not held
            against each other (the text itself, for instance). None: all differ.

    Returns:
        NaN for a row with fewer than `pool - 1` others.
    """
    distances = torch.cdist(texts.double(), motions.double())
    others = _different(len(texts), same).to(distances.device)
    nearer = (others & (distances <= distances.diagonal()[:, None])).sum(1)
    known = others.sum(1)
    chances = [_at_most(least, known, nearer, pool - 1) for least in range(top)]
    found = torch.stack(chances, dim=1)
    return torch.where((known >= pool - 1)[:, None], found, torch.nan)


def matching_distance(
    texts: Float[Tensor, "N D"], motions: Float[Tensor, "N D"]
) -> Float[Tensor, "N"]:
    """Return how far each motion is from its text (MM-distance is the mean)."""
    return (texts - motions).norm(dim=-1)


def draw_pairs(count: int, pairs: int, generator: torch.Generator, distinct: bool = False) -> Pairs:
    """Return pairs out of `count` vectors: two draws without replacement.

    Args:
        count: of vectors.
        pairs: to draw.
        generator: the source of chance.
        distinct: never hold a vector against itself, as the published draws may. The second draw
            is then the first, shifted by one.
    """
    assert pairs <= count, "vectors are drawn without replacement"
    first = torch.randperm(count, generator=generator)[:pairs]
    if distinct and pairs > 1:
        return Pairs(first, first.roll(1))
    return Pairs(first, torch.randperm(count, generator=generator)[:pairs])


def diversity(motions: Float[Tensor, "N D"], pairs: Pairs) -> float:
    """Return the mean distance of pairs of motions; NaN without any."""
    return float((motions[pairs.first] - motions[pairs.second]).norm(dim=-1).mean())


def multimodality(motions: Float[Tensor, "texts samples D"], pairs: Pairs) -> float:
    """Return the mean distance of pairs of motions of one text, the same pairs for all texts."""
    return float((motions[:, pairs.first] - motions[:, pairs.second]).norm(dim=-1).mean())


def spread(motions: Float[Tensor, "texts samples D"]) -> Float[Tensor, "texts"]:
    """Return the mean distance over all pairs of each text's motions; NaN for a single one."""
    samples = motions.shape[1]
    first, second = torch.triu_indices(samples, samples, offset=1, device=motions.device)
    return (motions[:, first] - motions[:, second]).norm(dim=-1).mean(-1)


def over_repeats(values: Sequence[float]) -> Repeated:
    """Return the mean over repeats with its interval, as published: 1.96 population deviations
    over the root of their number.

    It tells the chance of sampling alone, not that of the few texts. NaN for one repeat.
    """
    told = torch.tensor(values, dtype=torch.float64)
    if len(told) < 2:
        return Repeated(float(told.mean()), float("nan"))
    half = NORMAL_95 * float(told.std(correction=0)) / math.sqrt(len(told))
    return Repeated(float(told.mean()), half)


def _ranks(distances: Float[Tensor, "N N"]) -> Int[Tensor, "N"]:
    """Return how many motions stand before the right one in each row's sorted list."""
    order = distances.argsort(dim=1, stable=True)
    right = torch.arange(len(distances), device=distances.device)[:, None]
    return (order == right).long().argmax(1)


def _within(ranks: Int[Tensor, "N"], top: int) -> Float[Tensor, "top"]:
    return torch.stack([(ranks < places).double().mean() for places in range(1, top + 1)])


def _different(count: int, same: Sequence[object] | None) -> Tensor:
    """Return `(N, N)`, which motion is a wrong answer to which text."""
    numbers = {value: index for index, value in enumerate(same or range(count))}
    rows = torch.tensor([numbers[value] for value in (same or range(count))])
    assert len(rows) == count, "one value a row"
    return rows[:, None] != rows


def _at_most(
    least: int, known: Int[Tensor, "N"], nearer: Int[Tensor, "N"], drawn: int
) -> Float[Tensor, "N"]:
    """Return P(X <= least) of X of the `nearer` among `drawn` of the `known`, hypergeometric."""
    whole = _log_choose(known, torch.full_like(known, drawn))
    total = torch.zeros(len(known), dtype=torch.float64, device=known.device)
    for count in range(least + 1):
        met, missed = torch.full_like(known, count), torch.full_like(known, drawn - count)
        ways = _log_choose(nearer, met) + _log_choose(known - nearer, missed)
        total = total + (ways - whole).exp()
    return total


def _log_choose(of: Int[Tensor, "N"], chosen: Int[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Return the logarithm of a binomial coefficient, minus infinity where it is 0."""
    rest = of - chosen
    possible = (chosen >= 0) & (rest >= 0)
    logs = [torch.lgamma(x.clamp_min(0).double() + 1) for x in (of, chosen, rest)]
    return torch.where(possible, logs[0] - logs[1] - logs[2], -torch.inf)
