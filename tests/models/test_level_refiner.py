"""Tests of the level refiner: what it sees, that it streams, and that it learns."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.level_refiner import LevelCache, LevelRefiner, LevelRefinerConfig
from duet_rl.models.policy import SamplingConfig
from duet_rl.models.streams import DROPPED
from duet_rl.models.text import TextConfig, reader_of
from tests.models.small import small_tokens

CLASSES = (6, 4, 3)
LEVELS, CODES, STEPS = 3, 8, 17
HASH = TextConfig(encoder="hash", words=6)


def refiner(**changes: Any) -> LevelRefiner:
    settings: dict[str, Any] = {
        "classes": CLASSES,
        "levels": LEVELS,
        "codes": CODES,
        "width": 32,
        "layers": 2,
        "heads": 2,
        "look_back": 4,
    }
    torch.manual_seed(0)
    return LevelRefiner(LevelRefinerConfig(**(settings | changes))).eval()


def known(batch: int = 2, steps: int = STEPS, seed: int = 0) -> Tensor:
    return small_tokens(batch, steps, seed, CLASSES)


def levels(batch: int = 2, steps: int = STEPS, seed: int = 0) -> Tensor:
    return small_tokens(batch, steps, seed, (CODES,) * LEVELS)


def at(*asked: int) -> Tensor:
    return torch.tensor(asked)


def test_a_level_sees_the_levels_before_it_and_no_others():
    model, tokens, residual = refiner(), known(), levels()
    for asked in range(LEVELS):
        logits = model(tokens, residual, at(asked, asked))
        for changed_level in range(LEVELS):
            changed = residual.clone()
            changed[..., changed_level] = (changed[..., changed_level] + 1) % CODES
            same = torch.allclose(model(tokens, changed, at(asked, asked)), logits, atol=1e-5)
            assert same == (changed_level >= asked)


def test_each_clip_asks_for_a_level_of_its_own():
    model, tokens, residual = refiner(), known(), levels()
    both = model(tokens, residual, at(0, 2))
    for clip, level in enumerate((0, 2)):
        row = slice(clip, clip + 1)
        alone = model(tokens[row], residual[row], at(level))
        torch.testing.assert_close(both[row], alone, atol=1e-5, rtol=1e-5)


def test_a_dropped_level_adds_nothing_and_is_not_learned():
    model, tokens, residual = refiner(), known(), levels()
    residual[:, :, 1] = DROPPED
    dropped = model(tokens, residual, at(2, 2))
    residual[:, :, 1] = 0
    assert not torch.allclose(model(tokens, residual, at(2, 2)), dropped, atol=1e-4)
    half = levels()
    half[0, :, 1] = DROPPED
    both = model.loss(tokens, half, level=at(1, 1))
    torch.testing.assert_close(both, model.loss(tokens[1:], half[1:], level=at(1)))
    nothing = torch.full_like(half, DROPPED)
    assert model.loss(tokens, nothing, level=at(0, 2)) == 0


@pytest.mark.parametrize(("look_ahead", "reach"), [(0, 0), (1, 2), (None, STEPS)])
def test_the_future_is_seen_as_far_as_the_layers_look(look_ahead, reach):
    model, tokens, residual = refiner(look_ahead=look_ahead), known(), levels()
    changed = tokens.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % torch.tensor(CLASSES)
    different = (model(tokens, residual, at(1, 1)) - model(changed, residual, at(1, 1))).abs()
    seen = different.amax(dim=(0, 2)) > 1e-5
    first = max(10 - reach, 0)
    assert not seen[:first].any() and seen[first:].all()


@pytest.mark.parametrize("piece", [1, 5, STEPS])
@pytest.mark.parametrize("text", [None, HASH], ids=["silent", "told"])
def test_pieces_of_a_dance_are_refined_as_the_whole(piece, text):
    model, tokens = refiner(look_ahead=0, text=text), known()
    read = reader_of(text).read(["turns left", ""]) if text else None
    wanted = model.sample(tokens, read)
    cache, got = LevelCache(), []
    for start in range(0, STEPS, piece):
        told = read if start == 0 else None
        got.append(model.sample(tokens[:, start : start + piece], told, cache=cache))
    assert torch.equal(torch.cat(got, dim=1), wanted)


@pytest.mark.parametrize("look_ahead", [None, 2])
def test_what_lies_behind_a_clip_is_not_seen(look_ahead):
    model, tokens = refiner(look_ahead=look_ahead), known()
    together = model.sample(tokens, lengths=at(STEPS, 9))
    assert torch.equal(together[1:, :9], model.sample(tokens[1:, :9]))
    assert torch.equal(together[:1], model.sample(tokens[:1]))
    residual = levels()
    wanted = model.loss(tokens[1:, :9], residual[1:, :9], level=at(1))
    got = model.loss(tokens[1:], residual[1:], lengths=at(9), level=at(1))
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("short", [9, 12], ids=["known", "longer than known"])
def test_how_far_a_clip_looks_does_not_depend_on_those_beside_it(short):
    model, tokens, residual = refiner(), known(), levels()
    model.longest.fill_(10)  # in training; the other clip is longer
    row = slice(1, 2)
    beside = model(tokens, residual, at(1, 1), lengths=at(STEPS, short))[row, :short]
    alone = model(tokens[row, :short], residual[row, :short], at(1))
    torch.testing.assert_close(beside, alone, atol=1e-5, rtol=1e-5)


def test_words_change_what_is_said_and_silence_does_not():
    model, tokens, residual = refiner(text=HASH), known(), levels()
    read = reader_of(HASH).read(["bends the knees", ""])
    said, silent = (model(tokens, residual, at(0, 0), text) for text in (read, None))
    assert not torch.allclose(said[0], silent[0], atol=1e-3)
    torch.testing.assert_close(said[1], silent[1], atol=1e-5, rtol=1e-5)


def test_one_seed_gives_one_answer_and_another_seed_another():
    model, tokens = refiner(), known()
    random = SamplingConfig(temperature=1.0)
    first, again, other = (
        model.sample(tokens, sampling=random, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_training_draws_levels_and_corruption_from_its_generator_alone():
    model, tokens, residual = refiner(dropout=0.0, corruption=0.5).train(), known(), levels()
    first, again, other = (
        model.loss(tokens, residual, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 3)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_every_weight_is_used():
    model, tokens, residual = refiner(text=TextConfig(width=16, heads=2)), known(), levels()
    read = reader_of(TextConfig()).read(["steps back", "turns"])
    losses = [model.loss(tokens, residual, read, level=at(k, k)) for k in range(LEVELS)]
    torch.stack(losses).sum().backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


def rule(tokens: Tensor) -> Tensor:
    """Return levels that follow from tokens, from the step before, and from lower levels."""
    first = tokens[..., 0] + tokens[..., 2] % 2
    second = 2 * tokens[..., 1].roll(1, dims=1) + (first > 2)
    third = torch.where(second > 3, first, tokens[..., 1])
    return torch.stack([first, second, third], dim=-1)


@pytest.mark.parametrize("look_ahead", [None, 0])
def test_it_learns_a_rule_and_says_it_of_dances_never_seen(look_ahead):
    model = refiner(look_ahead=look_ahead, dropout=0.0, layers=1).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    random = torch.Generator().manual_seed(0)
    for step in range(150):
        tokens = known(16, 12, seed=step + 1)
        loss = model.loss(tokens, rule(tokens), generator=random)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for steps in (12, 60):  # as long as in training, and longer
        tokens = known(4, steps, seed=0)
        right = model.sample(tokens) == rule(tokens)
        assert right[:, 1:].float().mean(dim=(0, 1)).min() > 0.9  # chance is 1 / 8


def test_one_level_is_enough():
    model = refiner(levels=1)
    assert model.sample(known()).shape == (2, STEPS, 1)
    model.train().loss(known(), levels()[..., :1]).backward()


def test_what_does_not_fit_is_refused_in_one_line():
    model, tokens, residual = refiner(), known(), levels()
    faults = {
        "one column for each level": lambda: model(tokens, residual[..., :2], at(0, 0)),
        r"class \d+ in stream 0 .* 0 to 7": lambda: model(tokens, residual + CODES, at(0, 0)),
        "class 6 in stream 0": lambda: model(tokens * 0 + at(6, 0, 0), residual, at(0, 0)),
        "the levels are 0 to 2": lambda: model(tokens, residual, at(0, 3)),
        "hears no words": lambda: model.sample(tokens, torch.ones(2, 4, dtype=torch.int64)),
        "look_ahead: 0": lambda: model.sample(tokens, cache=LevelCache()),
    }
    for message, fault in faults.items():
        with pytest.raises(InputError, match=message) as caught:
            fault()
        assert "\n" not in str(caught.value)
    live, cache = refiner(look_ahead=0), LevelCache()
    live.sample(tokens, cache=cache)
    with pytest.raises(InputError, match="new LevelCache"):
        live.sample(known(batch=3), cache=cache)
    with pytest.raises(InputError, match="no token streams"):
        LevelRefiner(LevelRefinerConfig())
    with pytest.raises(ValidationError, match="multiple of 8"):
        LevelRefinerConfig(width=100)


def test_a_guess_is_left_out_and_so_is_all_that_would_stand_on_it() -> None:
    torch.manual_seed(0)
    config = LevelRefinerConfig(classes=(6, 4), levels=3, codes=5, width=16, layers=1, heads=2)
    plain = LevelRefiner(config).eval()
    wary = LevelRefiner(config.model_copy(update={"sure": 0.35})).eval()
    wary.load_state_dict(plain.state_dict())
    tokens = torch.randint(0, 4, (4, 30, 2))
    all_said, said = plain.sample(tokens), wary.sample(tokens)
    kept = said != DROPPED
    assert (all_said != DROPPED).all() and 0 < kept.float().mean() < 1
    assert torch.equal(said[..., 0][kept[..., 0]], all_said[..., 0][kept[..., 0]])
    assert (kept[..., :-1] | ~kept[..., 1:]).all()  # nothing stands on what was left out
