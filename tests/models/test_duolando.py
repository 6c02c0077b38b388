"""The Duolando follower: what it sees, how it dances, what it refuses. Numbers: tests/golden."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from duet_rl.compat.gpt import from_original, original_shapes
from duet_rl.errors import InputError
from duet_rl.models.duolando import DuolandoGPT, DuolandoGPTConfig
from duet_rl.models.follower import build_gpt, read_gpt_config
from duet_rl.models.policy import SamplingConfig
from duet_rl.models.sampling import generate
from duet_rl.models.window_sampling import history_length, sample

CLASSES = (5, 4, 3, 3, 6)
CONFIG = DuolandoGPTConfig(
    classes=CLASSES,
    width=16,
    heads=2,
    base_layers=1,
    head_layers=1,
    condition_layers=1,
    block=5,
    look_forward=3,
    music_channels=2,
    start_tokens=(1, 1, 1, 1, 1),
)
GREEDY = SamplingConfig(temperature=0)


@pytest.fixture
def gpt() -> DuolandoGPT:
    torch.manual_seed(0)
    model = build_gpt(CONFIG)
    assert isinstance(model, DuolandoGPT)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def told(steps: int, batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    music = torch.randn(batch, 4 * steps, 2, generator=generator)
    leader = torch.stack(
        [torch.randint(c, (batch, steps), generator=generator) for c in CLASSES[:4]], dim=-1
    )
    return {"music": music, "leader_tokens": leader}


def some_tokens(steps: int) -> Tensor:
    return torch.stack([torch.randint(c, (2, steps)) for c in CLASSES], dim=-1)


def test_a_step_sees_the_past_of_all_streams_and_nothing_later(gpt: DuolandoGPT) -> None:
    tokens, conditions = some_tokens(6), told(12)
    before = gpt(tokens, conditions).logits
    changed = tokens.clone()
    changed[:, 3] = (changed[:, 3] + 1) % torch.tensor(CLASSES)
    after = gpt(changed, conditions).logits
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[:, :4], new[:, :4])
        assert not torch.allclose(old[:, 4:], new[:, 4:])


@pytest.mark.parametrize("name", ["music", "leader_tokens"])
def test_no_step_sees_farther_than_the_window_and_its_future(gpt: DuolandoGPT, name: str) -> None:
    tokens, conditions = some_tokens(6), told(12)
    seen = 5 + CONFIG.look_forward  # tokens of the leader; the music is one token farther
    edge = 4 * (seen + 1) if name == "music" else seen
    before = gpt(tokens, conditions).logits
    inside, outside = (conditions[name].clone() for _ in range(2))
    inside[:, edge - 1] = (inside[:, edge - 1] + 1) % 3
    outside[:, edge] = (outside[:, edge] + 1) % 3
    assert not torch.equal(before[0], gpt(tokens, {**conditions, name: inside}).logits[0])
    assert torch.equal(before[0], gpt(tokens, {**conditions, name: outside}).logits[0])


def test_a_dance_is_as_long_as_its_leader_and_begins_as_the_originals(gpt: DuolandoGPT) -> None:
    conditions = told(14)
    whole = generate(gpt, conditions, sampling=GREEDY)
    start = torch.tensor(CONFIG.start_tokens).expand(2, 1, -1)
    theirs = sample(gpt, start, conditions["music"][:, 4:], conditions["leader_tokens"])
    assert whole.tokens.shape == (2, 14, 5)
    assert theirs.shape[1] == 14 - CONFIG.look_forward
    assert torch.equal(whole.tokens[:, : theirs.shape[1]], theirs)


def test_a_given_beginning_is_kept_and_a_seed_is_one_dance(gpt: DuolandoGPT) -> None:
    prompt = torch.tensor([[[4, 3, 2, 2, 5]], [[0, 0, 0, 0, 0]]])
    dances = [
        generate(gpt, told(9), generator=torch.Generator().manual_seed(seed), prompt=prompt).tokens
        for seed in (3, 3, 4)
    ]
    assert torch.equal(dances[0][:, :1], prompt)
    assert torch.equal(dances[0], dances[1]) and not torch.equal(dances[0], dances[2])


def test_the_log_probabilities_are_those_of_the_policy(gpt: DuolandoGPT) -> None:
    conditions, policy = told(5), SamplingConfig(temperature=0.7)
    sampled = generate(gpt, conditions, 5, policy, torch.Generator().manual_seed(0))
    logits = gpt(sampled.tokens, conditions).logits  # one window: the same history as then
    for stream, each in enumerate(logits):
        chosen = (each / 0.7).log_softmax(-1).gather(-1, sampled.tokens[..., stream, None])[..., 0]
        torch.testing.assert_close(sampled.log_probs[:, 1:, stream], chosen[:, 1:])


def test_the_window_grows_and_then_slides_or_comes_again() -> None:
    assert [history_length(k, 5) for k in range(8)] == [1, 2, 3, 4, 4, 4, 4, 4]
    assert [history_length(k, 5, shift=2) for k in range(9)] == [1, 2, 3, 4, 4, 2, 3, 4, 2]
    assert [history_length(k, 5, shift=99) for k in range(3, 7)] == [4, 4, 4, 4]


def test_sampling_leaves_a_model_in_training_in_training(gpt: DuolandoGPT) -> None:
    gpt.train()
    generate(gpt, told(4), sampling=GREEDY)
    assert gpt.training


def test_at_full_size_it_has_the_papers_weights() -> None:
    with torch.device("meta"):
        theirs = DuolandoGPT(DuolandoGPTConfig(classes=(512,) * 5))
    assert sum(p.numel() for p in theirs.parameters()) == 205_977_600
    assert sum(p.numel() for p in theirs.parameters() if p.requires_grad) == 202_662_144
    assert len(original_shapes(theirs.config)) == 505


@pytest.mark.parametrize("unused", [True, False])
def test_the_weights_of_the_original_come_over_whole(unused: bool) -> None:
    config = CONFIG.model_copy(update={"unused_weights": unused})
    state = {key: torch.randn(shape) for key, shape in original_shapes(config).items()}
    ours = from_original(state, config)
    DuolandoGPT(config).load_state_dict(ours)
    masks = sum(x.numel() for key, x in state.items() if key.endswith("attn.mask"))
    known = sum(x.numel() for key, x in state.items()) - masks
    dead = sum(
        x.numel() for key, x in state.items() if "trans.pos_emb" in key or "base.cond" in key
    )
    assert sum(x.numel() for x in ours.values()) == (known if unused else known - dead)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"steps": 7}, "7 steps are wanted"),
        ({"music": torch.zeros(2, 24, 3)}, r"\(batch, frames, 2\) is wanted"),
        ({"leader_tokens": torch.full((2, 6, 4), 9)}, "the leader's tokens hold class 9"),
        ({"look_ahead": 2}, "needs 3"),
        ({"prompt": torch.zeros(2, 2, 5, dtype=torch.int64)}, "prompt of 2 steps"),
    ],
)
def test_what_does_not_fit_is_refused(gpt: DuolandoGPT, change: dict, fault: str) -> None:
    conditions = told(6) | {k: v for k, v in change.items() if k in {"music", "leader_tokens"}}
    others = {k: v for k, v in change.items() if k not in conditions}
    with pytest.raises(InputError, match=fault):
        generate(gpt, conditions, **others)


def test_a_condition_that_is_missing_is_named(gpt: DuolandoGPT) -> None:
    with pytest.raises(InputError, match="leader_tokens"):
        gpt(some_tokens(3), {"music": told(6)["music"]})


def test_nobody_says_how_to_start_is_said(gpt: DuolandoGPT) -> None:
    gpt.config = CONFIG.model_copy(update={"start_tokens": ()})
    with pytest.raises(InputError, match="start_tokens"):
        generate(gpt, told(6))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 15},
        {"classes": (4, 4)},
        {"start_tokens": (1, 2)},
        {"start_tokens": (9, 0, 0, 0, 0)},
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        DuolandoGPTConfig.model_validate(CONFIG.model_dump() | change)


def test_the_architecture_says_which_settings_are_allowed() -> None:
    assert read_gpt_config({"width": 64}).architecture == "multistream"
    assert read_gpt_config({"architecture": "duolando", "width": 96}).width == 96
    with pytest.raises(InputError, match="did you mean 'head_layers'"):
        read_gpt_config({"architecture": "duolando", "layers": 2})
    with pytest.raises(InputError, match="'trio' is none of 'multistream', 'duolando'"):
        read_gpt_config({"architecture": "trio"})
