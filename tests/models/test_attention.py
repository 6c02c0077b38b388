"""Tests of banded attention and rotary positions."""

import pytest
import torch

from duet_rl.models import attention
from duet_rl.models.attention import banded_attention, make_band, rotate, rotation_of

CPU = torch.device("cpu")


@pytest.fixture
def heads() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query, key and value of 3 samples, 2 heads, 50 positions and 8 channels."""
    random = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 3, 2, 50, 8, generator=random)
    return query, key, value


@pytest.mark.parametrize(("back", "ahead"), [(0, 0), (4, 0), (3, 7), (60, 0), (60, 60)])
def test_a_position_gathers_from_its_band_and_from_nowhere_else(heads, back, ahead):
    query, key, value = heads
    gathered = banded_attention(query, key, value, make_band(50, back, ahead, CPU))
    for place in (0, 1, 25, 49):
        seen = slice(max(place - back, 0), place + ahead + 1)
        score = (query[:, :, place, None] * key[:, :, seen]).sum(-1) / 8**0.5
        wanted = (score.softmax(-1)[..., None] * value[:, :, seen]).sum(-2)
        torch.testing.assert_close(gathered[:, :, place], wanted)


def test_blocks_of_queries_give_the_answer_of_one_block(heads, monkeypatch):
    whole = banded_attention(*heads, make_band(50, 5, 9, CPU))
    monkeypatch.setattr(attention, "BLOCK", 16)
    band = make_band(50, 5, 9, CPU)
    assert len(band.blocks) == 4
    torch.testing.assert_close(banded_attention(*heads, band), whole)


def test_each_sample_may_look_ahead_less_far(heads):
    each = torch.tensor([0, 2, 9])
    together = banded_attention(*heads, make_band(50, 5, 9, CPU, each))
    for sample, ahead in enumerate(each.tolist()):
        alone = banded_attention(*heads, make_band(50, 5, ahead, CPU))
        torch.testing.assert_close(together[sample], alone[sample])


def test_only_the_distance_of_rotary_positions_matters(heads):
    query, key, _ = heads
    scores = []
    for start in (0, 1_000_000):
        rotation = rotation_of(torch.arange(start, start + 50), 8)
        scores.append(rotate(query, rotation) @ rotate(key, rotation).mT)
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(scores[0], query @ key.mT, atol=0.1)
