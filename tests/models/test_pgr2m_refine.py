"""PGR2M's refine transformer: a level sees the levels before, the clip and the prompt."""

import pytest
import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.pgr2m_refine import RefineConfig, RefineTransformer, draw_levels, refine_loss
from duet_rl.models.pgr2m_rows import rows_of

CLASSES, ROWS, LEVELS, CODES = (5, 3, 2), 8, 3, 6
LENGTHS = torch.tensor([8, 5, 6])


def small(**changes: object) -> RefineTransformer:
    torch.manual_seed(0)
    settings: dict[str, object] = {
        "classes": CLASSES,
        "prompt_channels": 4,
        "prompt_steps": 2,
        "steps": 10,
        "width": 32,
        "heads": 4,
        "layers": 2,
        "dropout": 0.0,
        "levels": LEVELS,
        "codes": CODES,
    }
    return RefineTransformer(RefineConfig(**(settings | changes))).eval()


@pytest.fixture
def clip() -> tuple[Tensor, Tensor, Tensor]:
    """Prompts, rows of pose codes and residual tokens of three clips."""
    generator = torch.Generator().manual_seed(1)
    pose = torch.stack([torch.randint(n, (3, ROWS), generator=generator) for n in CLASSES], -1)
    tokens = torch.randint(CODES, (3, ROWS, LEVELS), generator=generator)
    return torch.randn(3, 2, 4, generator=generator), rows_of(pose, CLASSES), tokens


@pytest.mark.parametrize("shared", [True, False])
@torch.no_grad()
def test_a_level_sees_those_before_and_not_itself(clip, shared):
    refine, (prompt, rows, tokens) = small(shared=shared), clip
    for index in range(LEVELS):
        level = torch.full((3,), index)
        logits = refine(prompt, rows, tokens, level)
        for changed in range(LEVELS):
            other = tokens.clone()
            other[..., changed] = (other[..., changed] + 1) % CODES
            same = refine(prompt, rows, other, level).equal(logits)
            assert same == (changed >= index), f"level {index}, changed {changed}"


@torch.no_grad()
def test_clips_of_other_levels_do_not_touch_each_other(clip):
    refine, (prompt, rows, tokens) = small(), clip
    level = torch.tensor([2, 0, 1])
    together = refine(prompt, rows, tokens, level, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        one = slice(i, i + 1)
        alone = refine(prompt[one], rows[one, :length], tokens[one, :length], level[one])
        torch.testing.assert_close(together[one, :length], alone)


@pytest.mark.parametrize("look_ahead", [0, 2])
@torch.no_grad()
def test_a_live_row_does_not_wait_for_more_than_its_look_ahead(clip, look_ahead):
    refine, (prompt, rows, _) = small(look_ahead=look_ahead), clip
    whole, first = refine.sample(prompt, rows), refine.sample(prompt, rows[:, :6])
    # Levels see the future one after the other, and layers do.
    settled = 6 - look_ahead * LEVELS * refine.config.layers
    assert whole[:, : max(settled, 0)].equal(first[:, : max(settled, 0)])
    level = torch.zeros(3, dtype=torch.int64)
    tokens = torch.zeros(3, ROWS, LEVELS, dtype=torch.int64)
    changed = rows.clone()
    changed[:, 5:] = rows[:, 5:].roll(1, dims=-1)
    before, after = (refine(prompt, x, tokens, level) for x in (rows, changed))
    reach = look_ahead * refine.config.layers
    assert before[:, : 5 - reach].equal(after[:, : 5 - reach])
    assert not torch.allclose(before[:, 5 - look_ahead], after[:, 5 - look_ahead])


@torch.no_grad()
def test_a_finished_clip_is_seen_from_both_sides(clip):
    refine, (prompt, rows, tokens) = small(), clip
    level, changed = torch.zeros(3, dtype=torch.int64), rows.clone()
    changed[:, -1] = rows[:, -1].roll(1, dims=-1)
    before, after = (refine(prompt, x, tokens, level) for x in (rows, changed))
    assert not torch.allclose(before[:, 0], after[:, 0])


@pytest.mark.parametrize("shared", [True, False])
def test_it_learns_the_tokens_of_all_levels(clip, shared):
    refine, (prompt, rows, tokens) = small(shared=shared), clip
    optimiser = torch.optim.Adam(refine.parameters(), lr=1e-2)
    for step in range(150):
        optimiser.zero_grad()
        level = (torch.arange(3) + step) % LEVELS
        said = refine(prompt, rows, tokens, level, LENGTHS)
        refine_loss(said, tokens, level, LENGTHS).backward()
        optimiser.step()
    found = refine.sample(prompt, rows, LENGTHS)
    for own, wanted, length in zip(found, tokens, LENGTHS, strict=True):
        assert own[:length].equal(wanted[:length])


@torch.no_grad()
def test_the_end_and_padding_are_never_said_and_not_looked_at(clip):
    refine, (prompt, rows, _) = small(), clip
    refine.said[:, CODES:] = 100 * refine.said[:, CODES:].abs()
    flagged = rows.clone()
    flagged[..., -2:] = 1
    tokens = refine.sample(prompt, rows)
    assert tokens.max() < CODES and refine.sample(prompt, flagged).equal(tokens)


def test_low_levels_are_asked_for_more_often():
    drawn = draw_levels(20_000, 6, torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=6) / len(drawn)
    wanted = torch.tensor([0.29, 0.22, 0.16, 0.14, 0.13, 0.06])
    assert (share - wanted).abs().max() < 0.02


def test_what_does_not_fit_is_refused(clip):
    refine, (prompt, rows, tokens) = small(), clip
    level = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(InputError, match=r"residual tokens have the shape \(3, 8, 2\)"):
        refine(prompt, rows, tokens[..., :2], level)
    with pytest.raises(InputError, match="the levels are 0 to 2"):
        refine(prompt, rows, tokens, level + 3)
    with pytest.raises(InputError, match="16 rows are given"):
        refine.sample(prompt, torch.cat([rows, rows], dim=1))
