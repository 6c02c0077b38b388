"""Bailando's GPT: what it sees, what it is worth, what it refuses. Numbers: tests/golden."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from duet_rl.compat.bailando_gpt import bailando_gpt, original_gpt
from duet_rl.errors import InputError
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig
from duet_rl.models.follower import build_gpt, hearing_of, read_gpt_config, value_head
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.models.policy import SamplingConfig
from duet_rl.models.sampling import generate

CLASSES = (5, 4)
ROWS = BailandoGPTConfig(
    classes=CLASSES,
    width=16,
    heads=2,
    base_layers=1,
    head_layers=1,
    critic_layers=1,
    block=5,
    music_channels=6,
    start_tokens=(1, 1),
)
WINDOW = ROWS.model_copy(
    update={"music": "window", "reach": 2, "hears": "bailando_pp", "condition_layers": 1}
)
GREEDY = SamplingConfig(temperature=0)
PAPER = BailandoGPTConfig(classes=(512, 512))
BASE = {"tables", "positions", "embed_music", "base"}  # what the original calls so


def made(config: BailandoGPTConfig, spread: float = 0.3) -> BailandoGPT:
    torch.manual_seed(0)
    model = build_gpt(config)
    assert isinstance(model, BailandoGPT)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return model.eval()


def told(steps: int, batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {"music": torch.randn(batch, 4 * steps, 6, generator=generator)}


def some_tokens(steps: int) -> Tensor:
    return torch.stack([torch.randint(c, (2, steps)) for c in CLASSES], dim=-1)


def test_a_step_sees_the_past_of_both_halves_and_nothing_later() -> None:
    gpt, tokens, conditions = made(ROWS), some_tokens(6), told(6)
    before = gpt(tokens, conditions)
    changed = tokens.clone()
    changed[:, 3] = (changed[:, 3] + 1) % torch.tensor(CLASSES)
    after = gpt(changed, conditions)
    for old, new in zip(
        (*before.logits, before.values), (*after.logits, after.values), strict=True
    ):
        assert torch.equal(old[:, :4], new[:, :4])
        assert not torch.allclose(old[:, 4:], new[:, 4:])


@pytest.mark.parametrize(("config", "ahead"), [(ROWS, 0), (WINDOW, 2)])
def test_a_step_hears_as_far_as_it_is_told(config: BailandoGPTConfig, ahead: int) -> None:
    gpt, tokens, conditions = made(config), some_tokens(6), told(10)
    before, step = gpt(tokens, conditions), 3  # that foretells its own token
    inside, outside = (conditions["music"].clone() for _ in range(2))
    inside[:, 4 * (step + ahead)] += 1
    outside[:, 4 * (step + ahead + 1)] += 1
    assert not torch.equal(
        before.logits[0][:, step], gpt(tokens, {"music": inside}).logits[0][:, step]
    )
    assert torch.equal(
        before.logits[0][:, step], gpt(tokens, {"music": outside}).logits[0][:, step]
    )


def test_the_music_of_a_window_is_silence_before_and_after_the_song() -> None:
    gpt, tokens, music = made(WINDOW), some_tokens(6), told(6)["music"]
    silence = torch.zeros(2, 4 * 2, 6)
    padded = {"music": torch.cat([music, silence], dim=1), "music_before": silence}
    for first, second in zip(
        gpt(tokens, {"music": music}).logits, gpt(tokens, padded).logits, strict=True
    ):
        assert torch.equal(first, second)


@pytest.mark.parametrize("config", [ROWS, WINDOW])
def test_a_dance_is_as_long_as_its_music_and_its_windows_say_so(config: BailandoGPTConfig) -> None:
    """The first window of a dance has the history that the dancer had."""
    gpt, policy = made(config), SamplingConfig(temperature=0.7)
    sampled = generate(gpt, told(12), None, policy, torch.Generator().manual_seed(0))
    assert sampled.tokens.shape == (2, 12, 2)
    steps = config.block
    logits = gpt(sampled.tokens[:, :steps], told(12)).logits
    for stream, each in enumerate(logits):
        tokens = sampled.tokens[:, :steps, stream, None]
        chosen = (each / 0.7).log_softmax(-1).gather(-1, tokens)[..., 0]
        torch.testing.assert_close(sampled.log_probs[:, 1:steps, stream], chosen[:, 1:])


def test_the_critic_learns_without_moving_the_base() -> None:
    gpt = made(ROWS)
    gpt(some_tokens(6), told(6)).values.sum().backward()
    assert gpt.critic is not None
    moved = {name for name, p in gpt.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved and all(name.startswith("critic.") for name in moved)
    assert value_head(gpt) is gpt.critic


def test_dropout_leaves_the_critic_alone() -> None:
    gpt = made(ROWS.model_copy(update={"dropout": 0.5})).train()
    features = gpt.features(some_tokens(5), told(5)["music"])
    assert torch.equal(gpt.judged(features, 5), gpt.judged(features, 5))


@pytest.mark.parametrize(
    ("start", "low", "high"), [("zero", 0.0, 0.0), ("normal", -0.2, 0.2), ("positive", 0.05, 1.0)]
)
def test_the_critic_starts_as_asked(start: str, low: float, high: float) -> None:
    gpt = BailandoGPT(ROWS.model_copy(update={"critic_start": start}))
    assert gpt.critic is not None
    weights = torch.cat([read.weight.flatten() for read in gpt.critic.read])
    assert low <= weights.min() and weights.max() <= high
    values = gpt.eval()(some_tokens(6), told(6)).values
    assert values.any() == (start != "zero")


def test_at_full_size_it_has_the_papers_weights() -> None:
    with torch.device("meta"):
        whole, policy = (
            BailandoGPT(PAPER),
            BailandoGPT(PAPER.model_copy(update={"critic_layers": 0})),
        )
    assert sum(p.numel() for p in whole.parameters()) == 108_299_520
    assert sum(p.numel() for p in policy.parameters()) == 87_032_832
    base = sum(p.numel() for name, p in whole.named_parameters() if name.split(".")[0] in BASE)
    assert base == 43_717_632


@pytest.mark.parametrize("critic", [True, False])
@pytest.mark.parametrize("config", [ROWS, WINDOW])
def test_the_weights_go_over_to_the_originals_names_and_back(
    config: BailandoGPTConfig, critic: bool
) -> None:
    ours = made(config).state_dict()
    state = {f"module.{k}": v for k, v in original_gpt(config, ours, critic).items()}
    read, back = bailando_gpt(state, {"structure": {"n_head": config.heads, "attn_pdrop": 0.1}})
    assert (
        read.model_copy(update={"start_tokens": config.start_tokens, "critic_layers": 1}) == config
    )
    same = {name for name in back if name in ours and torch.equal(back[name], ours[name])}
    missing = {name for name in ours if name not in same}
    assert all(name.startswith("critic") for name in missing) and bool(missing) != critic
    again = bailando_gpt(state, None, heads=config.heads)[1]
    assert all(torch.equal(back[name], again[name]) for name in back)


def test_an_original_of_the_paper_has_its_keys() -> None:
    with torch.device("meta"):
        model = BailandoGPT(PAPER.model_copy(update={"width": 48, "critic_layers": 0}))
    state = {name: torch.zeros(p.shape) for name, p in model.state_dict().items()}
    assert len(original_gpt(model.config, state, critic=False)) == 213


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda state: state.pop("gpt_head.ln_f.weight"), r"missing: gpt_head\.ln_f\.weight"),
        (lambda state: state.update(more=torch.zeros(2)), "extra: more"),
        (
            lambda state: state.update({"gpt_base.cond_emb.bias": torch.zeros(3)}),
            r"other shape: gpt_base\.cond_emb\.bias \(3,\), wanted \(16,\)",
        ),
    ],
)
def test_a_foreign_state_is_refused_key_by_key(spoil: Any, fault: str) -> None:
    state = original_gpt(ROWS, made(ROWS).state_dict())
    spoil(state)
    with pytest.raises(InputError, match=fault):
        bailando_gpt(state, {"n_head": 2})


@pytest.mark.parametrize(
    ("stored", "heads", "fault"),
    [(None, None, "--heads"), ({"n_head": 4}, 2, "leave --heads out"), (None, 3, "3 heads")],
)
def test_heads_that_nobody_states_are_asked_for(stored: Any, heads: Any, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        bailando_gpt(original_gpt(ROWS, made(ROWS).state_dict()), stored, heads)


@pytest.mark.parametrize(
    ("conditions", "options", "fault"),
    [
        ({}, {"steps": 7}, "7 steps are wanted"),
        ({"music": torch.zeros(2, 24, 3)}, {}, r"\(batch, frames, 6\) is wanted"),
        ({}, {"look_ahead": 2}, "needs 0"),
        ({}, {"prompt": torch.zeros(2, 2, 2, dtype=torch.int64)}, "prompt of 2 steps"),
    ],
)
def test_what_does_not_fit_is_refused(conditions: dict, options: dict, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        generate(made(ROWS), told(6) | conditions, **options)


def test_a_window_that_is_told_too_little_is_refused() -> None:
    tokens, gpt = some_tokens(5), made(WINDOW)
    with pytest.raises(InputError, match=r"want conditions of \[36\] rows \(music\); found \[20\]"):
        gpt.predict(tokens, told(5)["music"])
    with pytest.raises(InputError, match="music_before has the shape"):
        gpt(tokens, told(7) | {"music_before": torch.zeros(2, 4, 6)})
    with pytest.raises(InputError, match="6 token steps are given"):
        gpt.predict(some_tokens(6), told(10)["music"])


def test_music_is_normalised_if_asked() -> None:
    gpt = made(ROWS.model_copy(update={"normalise": True}))
    mean, std = torch.arange(6.0), torch.tensor([1.0, 2.0, 150.0, 0.0, 1.0, 1.0])
    tokens, music = some_tokens(5), told(5)["music"]
    before = gpt.predict(tokens, music)
    gpt.set_normalisation(mean, std)
    after = gpt.predict(tokens, music * torch.where(std > 0, std, 1.0) + mean)
    torch.testing.assert_close(before[0], after[0], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before[0], gpt.predict(tokens, music)[0])


def test_the_architecture_says_which_settings_are_allowed() -> None:
    config = read_gpt_config({"architecture": "bailando", "hears": "bailando_fixed"})
    assert hearing_of(config) == "bailando_fixed"
    assert hearing_of(MultiStreamGPTConfig()) == "duolando"
    with pytest.raises(InputError, match="look_forward"):
        read_gpt_config({"architecture": "bailando", "look_forward": 2})


@pytest.mark.parametrize(
    "change", [{"width": 15}, {"start_tokens": (1,)}, {"start_tokens": (9, 0)}]
)
def test_sizes_that_do_not_fit_together_are_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        BailandoGPTConfig.model_validate(ROWS.model_dump() | change)
    with pytest.raises(InputError, match="side by side"):
        BailandoGPT(WINDOW.model_copy(update={"music_channels": 5}))
