"""Tests of the follower's forward pass: what it sees, what it learns, what it refuses."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from duet_rl.errors import InputError
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import GPTOutput, MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.models.sampling import SamplingConfig, generate, log_probs
from duet_rl.models.streams import corrupt
from tests.models.small import (
    CLASSES,
    EVERY_KIND,
    MUSIC,
    name_of,
    small_conditions,
    small_gpt,
    small_tokens,
)

every_kind = pytest.mark.parametrize("kind", EVERY_KIND, ids=name_of)


def differ(one: GPTOutput, other: GPTOutput) -> torch.Tensor:
    """Return which steps and streams differ in their logits or values, `(N, S)`."""
    logits = [(a - b).abs().amax(dim=(0, 2)) for a, b in zip(one.logits, other.logits, strict=True)]
    values = (one.values - other.values).abs().amax(dim=0)
    return torch.maximum(torch.stack(logits, dim=-1), values) > 1e-5


@every_kind
def test_a_step_is_predicted_from_earlier_steps_only(kind):
    gpt, conditions, tokens = small_gpt(**kind), small_conditions(), small_tokens()
    changed = tokens.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % torch.tensor(CLASSES)
    different = differ(gpt(tokens, conditions), gpt(changed, conditions))
    assert not different[:10].any() and different[11:].all()
    assert not different[10, 0]  # the first stream of a step knows nothing of the step


@every_kind
def test_streams_of_a_step_see_each_other_only_where_asked(kind):
    gpt, conditions, tokens = small_gpt(**kind), small_conditions(), small_tokens()
    changed = tokens.clone()
    changed[:, 10, 1] = (changed[:, 10, 1] + 1) % CLASSES[1]
    different = differ(gpt(tokens, conditions), gpt(changed, conditions))[10].tolist()
    sees = kind["layout"] == "interleaved" or kind["heads_see"] == "earlier"
    assert different == [False, False, sees]


@every_kind
@pytest.mark.parametrize("look_ahead", [0, 2, {"leader": 1}])
def test_conditions_beyond_the_look_ahead_are_never_seen(kind, look_ahead):
    gpt, conditions, tokens = small_gpt(**kind), small_conditions(), small_tokens()
    reach = gpt.conditions.resolve(look_ahead)
    changed = dict(conditions)
    changed["music"] = conditions["music"].clone()
    changed["music"][:, 4 * 12 :] += 1
    one, other = (gpt(tokens, c, look_ahead=look_ahead) for c in (conditions, changed))
    first = 12 - reach["music"]
    different = differ(one, other).any(dim=-1)
    assert not different[:first].any() and different[first:].all()


def test_conditions_may_outlast_the_tokens_to_serve_the_look_ahead():
    gpt, conditions, tokens = small_gpt(), small_conditions(steps=30), small_tokens(steps=30)
    whole = gpt(tokens, conditions)
    cut = gpt(tokens[:, :20], conditions)
    torch.testing.assert_close(cut.hidden, whole.hidden[:, :20], atol=1e-5, rtol=1e-5)


@every_kind
def test_every_parameter_is_used(kind):
    gpt, conditions, tokens = small_gpt(**kind), small_conditions(), small_tokens()
    output = gpt(tokens, conditions)
    (output.values.sum() - log_probs(output, tokens).sum()).backward()
    dead = [n for n, p in gpt.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


def test_training_corrupts_about_the_asked_share_of_the_history():
    tokens = torch.zeros(50, 40, 2, dtype=torch.long)
    random = torch.Generator().manual_seed(0)
    corrupted = corrupt(tokens, (10, 100), 0.5, random)
    share = (corrupted != 0).float().mean(dim=(0, 1))
    wanted = torch.tensor([0.5 * 0.9, 0.5 * 0.99])  # a random class may be the true one
    torch.testing.assert_close(share, wanted, atol=0.03, rtol=0)
    assert corrupted.amax(dim=(0, 1)).tolist() == [9, 99] and not tokens.any()


def test_only_training_corrupts_and_draws_a_look_ahead():
    gpt, conditions, tokens = small_gpt(dropout=0.0), small_conditions(), small_tokens()
    first, second = (gpt(tokens, conditions).hidden for _ in range(2))
    assert torch.equal(first, second)
    gpt.train()
    first, second, again = (
        gpt(tokens, conditions, generator=torch.Generator().manual_seed(seed)).hidden
        for seed in (1, 2, 1)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, second, atol=1e-3)


def test_training_without_corruption_and_with_a_given_look_ahead_is_evaluation():
    gpt = small_gpt(dropout=0.0, history_corruption=0.0)
    conditions, tokens = small_conditions(), small_tokens()
    wanted = gpt(tokens, conditions, look_ahead=2).hidden
    assert torch.equal(gpt.train()(tokens, conditions, look_ahead=2).hidden, wanted)


def test_attention_forgets_what_left_its_window():
    gpt = small_gpt(layers=1, context=4)
    conditions, tokens = small_conditions(), small_tokens()
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % torch.tensor(CLASSES)
    different = differ(gpt(tokens, conditions), gpt(changed, conditions)).any(dim=-1)
    assert different.nonzero().flatten().tolist() == [6, 7, 8, 9]  # inputs of the next 4 steps


def test_learned_positions_end_where_the_config_says():
    gpt = small_gpt(positions="learned", max_tokens=19)
    with pytest.raises(InputError, match=r"20 steps .* end at 19"):
        gpt(small_tokens(), small_conditions())
    gpt.train()(small_tokens(steps=19), small_conditions())


def test_training_reaches_all_learned_positions():
    gpt = small_gpt(positions="learned", max_tokens=16).train()
    tokens, conditions = small_tokens(steps=4), small_conditions(steps=4)
    random = torch.Generator().manual_seed(0)
    for _ in range(60):
        gpt(tokens, conditions, generator=random).hidden.square().sum().backward()
    assert gpt.step_positions.weight.grad.any(dim=-1).all()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (small_tokens()[..., :2], r"\(batch, steps, 3\) is wanted"),
        (small_tokens() + 20, r"class \d+ in stream 0 .* classes 0 to 19"),
        (small_tokens() - 40, r"class -\d+ in stream 0"),
        (small_tokens(steps=0), "no steps"),
        (small_tokens(batch=3), "of 2 clips and the tokens are of 3"),
        (small_tokens(steps=21), "lasts 20 steps and 21 are wanted"),
        (small_tokens().short(), "torch.int16; give whole numbers"),
    ],
)
def test_tokens_that_do_not_fit_are_refused_in_one_line(tokens, message):
    with pytest.raises(InputError, match=message) as caught:
        small_gpt()(tokens, small_conditions())
    assert "\n" not in str(caught.value)


def test_a_missing_condition_is_named():
    conditions = small_conditions()
    del conditions["leader"]
    with pytest.raises(InputError, match="'leader' is missing"):
        small_gpt()(small_tokens(), conditions)
    with pytest.raises(InputError, match="unknown condition 'song'"):
        small_gpt().set_normalisation("song", torch.zeros(5), torch.ones(5))


def test_settings_that_do_not_fit_together_are_refused():
    with pytest.raises(ValidationError, match="multiple of 8"):
        MultiStreamGPTConfig(width=100, heads=4)
    with pytest.raises(ValidationError, match="look_aheads"):
        MultiStreamGPTConfig(look_aheads=())
    with pytest.raises(InputError, match="no token streams"):
        MultiStreamGPT(MultiStreamGPTConfig(conditions=(MUSIC,)))
    with pytest.raises(InputError, match="at least one"):
        MultiStreamGPT(MultiStreamGPTConfig(classes=(4,)))


def train(gpt: MultiStreamGPT, steps: int, lr: float, **batch: Any) -> None:
    optimiser = torch.optim.AdamW(gpt.train().parameters(), lr=lr, weight_decay=0.0)
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        output = gpt(**batch, generator=random)
        loss = -log_probs(output, batch["tokens"]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize(
    "kind",
    [EVERY_KIND[0], EVERY_KIND[1], EVERY_KIND[2], EVERY_KIND[4]],
    ids=name_of,
)
def test_a_tiny_model_learns_eight_clips_by_heart_and_dances_them(kind):
    classes = (16, 12)
    music = ConditionConfig(name="music", channels=3, look_ahead=2)
    gpt = small_gpt(classes=classes, conditions=(music,), dropout=0.0, context=16, **kind)
    random = torch.Generator().manual_seed(3)
    tokens = small_tokens(8, 12, seed=1, classes=classes)
    conditions = {"music": torch.randn(8, 48, 3, generator=random)}
    train(gpt, 100, 1e-2, tokens=tokens, conditions=conditions)
    output = gpt.eval()(tokens, conditions)
    assert log_probs(output, tokens).mean() > -0.5  # chance is -2.6
    danced = generate(gpt, conditions, sampling=SamplingConfig(temperature=0))
    assert (danced.tokens == tokens).float().mean() > 0.99
