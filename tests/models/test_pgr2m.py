"""PGR2M's base transformer: it learns clips with their ends, and samples what it would say."""

import math

import pytest
import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.pgr2m import PoseCodeGPT, PoseCodeGPTConfig, bit_loss, group_loss
from duet_rl.models.pgr2m_rows import END, corrupt_bits, project, rows_of, tokens_of
from duet_rl.models.policy import SamplingConfig

CLASSES, STEPS = (5, 3, 2), 8
CONFIG = PoseCodeGPTConfig(
    classes=CLASSES,
    prompt_channels=4,
    prompt_steps=2,
    steps=STEPS,
    width=32,
    heads=4,
    layers=2,
    dropout=0.0,
)
GREEDY = SamplingConfig(temperature=0)
LENGTHS = torch.tensor([7, 4, 5])


@pytest.fixture
def gpt() -> PoseCodeGPT:
    torch.manual_seed(0)
    return PoseCodeGPT(CONFIG).eval()


@pytest.fixture
def prompt() -> Tensor:
    return torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokens() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.stack([torch.randint(n, (3, STEPS), generator=generator) for n in CLASSES], -1)


@torch.no_grad()
def test_a_row_is_predicted_without_the_rows_from_it_on(gpt, prompt, tokens):
    rows = rows_of(tokens, CLASSES)
    other = rows.clone()
    other[:, 5:] = 1 - other[:, 5:]
    before, after = gpt(prompt, rows), gpt(prompt, other)
    assert before[:, :6].equal(after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


@torch.no_grad()
def test_sampling_step_by_step_takes_what_the_whole_clip_says(gpt, prompt):
    rows = gpt.sample(prompt, GREEDY).rows
    logits = gpt(prompt, rows)[:, : rows.shape[1]]
    assert project(logits, CLASSES).equal(rows)


def test_it_learns_clips_and_where_they_end(gpt, prompt, tokens):
    rows = rows_of(tokens, CLASSES, LENGTHS)
    optimiser = torch.optim.Adam(gpt.parameters(), lr=5e-3)
    for _ in range(120):
        optimiser.zero_grad()
        group_loss(gpt(prompt, rows[:, :-1]), rows, LENGTHS, CLASSES).backward()
        optimiser.step()
    sampled = gpt.sample(prompt, GREEDY)
    assert sampled.lengths.equal(LENGTHS)
    for found, wanted, length in zip(sampled.rows, tokens, LENGTHS, strict=True):
        assert tokens_of(found[:length], CLASSES).equal(wanted[:length])


@torch.no_grad()
def test_chance_comes_from_the_generator(gpt, prompt):
    one, same, other = (
        gpt.sample(prompt, SamplingConfig(temperature=1.0), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert one.rows.equal(same.rows)
    assert one.rows.shape != other.rows.shape or not one.rows.equal(other.rows)


@torch.no_grad()
def test_a_clip_that_ends_at_once_has_one_row(gpt, prompt):
    gpt.trunk.norm.weight.zero_()
    gpt.trunk.norm.bias.fill_(1.0)
    gpt.classify.weight[END].fill_(1.0)
    sampled = gpt.sample(prompt, GREEDY)
    assert sampled.rows.shape[1] == 1 and sampled.lengths.tolist() == [1, 1, 1]


def test_a_loss_of_nothing_known_is_that_of_guessing(tokens):
    rows = rows_of(tokens, CLASSES, LENGTHS)
    guessing = torch.zeros_like(rows)
    wanted = sum(math.log(n) for n in CLASSES) / len(CLASSES) + math.log(2)
    assert group_loss(guessing, rows, LENGTHS, CLASSES) == pytest.approx(wanted, abs=1e-5)
    assert bit_loss(guessing, rows, LENGTHS) == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("bits", [True, False])
def test_rows_behind_the_end_do_not_count(tokens, bits):
    def loss(logits: Tensor) -> Tensor:
        return (
            bit_loss(logits, rows, LENGTHS) if bits else group_loss(logits, rows, LENGTHS, CLASSES)
        )

    rows = rows_of(tokens, CLASSES, LENGTHS)
    sure = 40 * (2 * rows - 1)
    assert loss(sure) < 1e-5
    behind = torch.arange(STEPS) > LENGTHS[:, None]
    assert loss(torch.where(behind[..., None], -sure, sure)) == loss(sure)
    assert loss(-sure) > 1


def test_bits_that_are_kept_stay_and_every_group_has_one(tokens):
    rows, noise = rows_of(tokens, CLASSES), torch.randn(3, STEPS, sum(CLASSES) + 2)
    everything = torch.ones_like(rows, dtype=torch.bool)
    assert corrupt_bits(rows, everything, noise, CLASSES).equal(rows)
    corrupted = corrupt_bits(rows, ~everything, noise, CLASSES)
    groups = corrupted[..., :-2].split(CLASSES, dim=-1)
    assert all(bool((group.sum(-1) == 1).all()) for group in groups)
    assert corrupted[..., -2:].equal((noise[..., -2:] > 0).float())


def test_what_does_not_fit_is_refused(gpt, prompt, tokens):
    rows = rows_of(tokens, CLASSES)
    with pytest.raises(InputError, match=r"prompt has the shape \(3, 1, 4\)"):
        gpt(prompt[:, :1], rows)
    with pytest.raises(InputError, match=r"\(3, rows, 12\) is wanted"):
        gpt(prompt, rows[..., 1:])
    with pytest.raises(InputError, match="16 rows are given and the model knows 8"):
        gpt(prompt, torch.cat([rows, rows], dim=1))
    with pytest.raises(InputError, match="no groups of pose codes"):
        PoseCodeGPT(CONFIG.model_copy(update={"classes": ()}))
