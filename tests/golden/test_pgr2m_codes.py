"""The published pose codes come out of our table, bit by bit."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.posecodes.catalogue import PGR2M392, PGR2M392_UNFLIPPED
from duet_rl.posecodes.points import PUBLISHED, body_points
from tests.golden.files import GOLDEN, needs

TAKES = ("60_01", "60_05", "61_01", "61_05")
FILES = {take: GOLDEN / "pgr2m" / f"posecodes_{take}.npz" for take in TAKES}
COMPLETED_POINTS = 27  # the points after them are marks of ours
VALUES_WITHIN = 2e-3  # deg or m; an arc cosine is no better near the vertical

pytestmark = needs(*FILES.values())
of_each_take = pytest.mark.parametrize("take", TAKES)
of_each_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@cache
def arrays(take: str) -> dict[str, np.ndarray]:
    with np.load(FILES[take], allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def stored(take: str, name: str) -> Tensor:
    return torch.from_numpy(arrays(take)[name])


def bits(take: str, name: str) -> Tensor:
    return torch.from_numpy(np.unpackbits(arrays(take)[name], axis=-1)[:, : PGR2M392.size]) > 0


@of_each_take
def test_the_points_are_the_published_ones(take: str) -> None:
    points = body_points(stored(take, "joints"), PUBLISHED)[:, :COMPLETED_POINTS]
    torch.testing.assert_close(points, stored(take, "joints27_flipped"), atol=1e-6, rtol=0)


@of_each_take
def test_the_values_are_the_published_ones(take: str) -> None:
    values = PGR2M392.values(stored(take, "joints"))
    torch.testing.assert_close(values, stored(take, "values_flipped"), atol=VALUES_WITHIN, rtol=0)


@of_each_take
@of_each_precision
def test_the_flipped_codes_are_the_published_ones(take: str, dtype: torch.dtype) -> None:
    codes = PGR2M392.codes(stored(take, "joints").to(dtype))
    assert torch.equal(codes, stored(take, "category_flipped").long())
    assert torch.equal(PGR2M392.k_hot(codes), bits(take, "multihot_flipped"))


@of_each_take
@of_each_precision
def test_the_blurred_codes_are_the_published_ones(take: str, dtype: torch.dtype) -> None:
    jitter = stored(take, "jitter").to(dtype)
    codes = PGR2M392.codes(stored(take, "joints").to(dtype), jitter=jitter)
    assert torch.equal(codes, stored(take, "category_flipped_jitter").long())
    assert torch.equal(PGR2M392.k_hot(codes), bits(take, "multihot_flipped_jitter"))


@of_each_take
@of_each_precision
def test_the_unflipped_codes_are_the_published_ones(take: str, dtype: torch.dtype) -> None:
    codes = PGR2M392_UNFLIPPED.codes(stored(take, "joints").to(dtype))
    assert torch.equal(codes, stored(take, "category_unflipped").long())
    assert torch.equal(PGR2M392_UNFLIPPED.k_hot(codes), bits(take, "multihot_unflipped"))


@of_each_take
def test_published_blurs_are_as_wide_as_the_table_says(take: str) -> None:
    widest = torch.tensor([row.scale.jitter for row in PGR2M392.rows])
    assert bool((stored(take, "jitter").abs() <= widest + 1e-6).all())
    assert bool((stored(take, "jitter").abs().amax(0) > 0.9 * widest).all())
