"""Tests of a GPT that hears words, may go without conditions, and says where a clip stops."""

import hashlib
from typing import Any

import pytest
import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.prompt import PromptAttention
from duet_rl.models.repeated import set_checkpointing
from duet_rl.models.sampling import SamplingConfig, StepDecoder, generate, log_probs
from duet_rl.models.streams import GOES_ON, STOPS, steps_danced, tokens_that_count
from duet_rl.models.text import TextConfig, reader_of
from tests.models.small import (
    CLASSES,
    EVERY_KIND,
    LEADER,
    MUSIC,
    name_of,
    small_conditions,
    small_gpt,
    small_tokens,
)

STEPS = 20
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
WORDS = TextConfig(width=16, heads=2, words=8)
MAYBE = tuple(one.model_copy(update={"dropout": 0.3}) for one in (MUSIC, LEADER))
GREEDY = SamplingConfig(temperature=0)
every_kind = pytest.mark.parametrize("kind", EVERY_KIND, ids=name_of)


def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def said(*texts: str) -> Tensor:
    return reader_of(WORDS).read(list(texts))


def told_gpt(**changes: Any) -> MultiStreamGPT:
    """Return a GPT that hears words and may go without music and leader."""
    return small_gpt(**({"text": WORDS, "conditions": MAYBE} | changes))


# Of models from before there were words: names and shapes of the weights, as a hash, and the summed
# log-probabilities of `small_tokens`.
AS_EVER = {
    "fused-rotary-none": ("1bb3e144", -383.39767),
    "fused-rotary-earlier": ("79f01017", -385.09259),
    "fused-learned-none": ("897f11ec", -406.01724),
    "fused-learned-earlier": ("9463783d", -396.71671),
    "interleaved-rotary-none": ("1bb3e144", -381.70026),
    "interleaved-rotary-earlier": ("79f01017", -380.24463),
    "interleaved-learned-none": ("897f11ec", -402.28856),
    "interleaved-learned-earlier": ("9463783d", -399.89328),
}


@every_kind
def test_models_without_words_are_what_they_ever_were(kind):
    gpt, tokens = small_gpt(**kind), small_tokens()
    weights = repr([(name, tuple(x.shape)) for name, x in gpt.state_dict().items()])
    names, likely = AS_EVER[name_of(kind)]
    assert hashlib.sha256(weights.encode()).hexdigest()[:8] == names
    said_before = log_probs(gpt(tokens, small_conditions()), tokens).sum().item()
    assert said_before == pytest.approx(likely, abs=1e-3)


@every_kind
@pytest.mark.parametrize("told", [("music", "leader"), ("leader",), ()], ids="-".join)
def test_step_by_step_it_dances_to_words_as_in_one_pass(kind, told):
    gpt, read = told_gpt(**kind), said("steps back and turns", "")
    conditions = {name: small_conditions()[name] for name in told}
    sampled = generate(gpt, conditions, STEPS, generator=seed(0), look_ahead=2, text=read)
    output = gpt(sampled.tokens, conditions, look_ahead=2, text=read)
    wanted = log_probs(output, sampled.tokens, SamplingConfig())
    torch.testing.assert_close(sampled.log_probs, wanted, **CLOSE)
    torch.testing.assert_close(sampled.values, output.values, **CLOSE)
    assert sampled.lengths.tolist() == [STEPS, STEPS]


def test_a_clip_hears_its_own_words_and_silence_is_no_text():
    gpt, tokens, conditions = told_gpt(), small_tokens(), small_conditions()
    nothing = gpt(tokens, conditions).hidden
    torch.testing.assert_close(gpt(tokens, conditions, text=said("", "")).hidden, nothing, **CLOSE)
    first = gpt(tokens, conditions, text=said("raises both hands", "")).hidden
    assert ((first[0] - nothing[0]).abs().amax(dim=-1) > 1e-4).all()
    torch.testing.assert_close(first[1], nothing[1], **CLOSE)


def test_the_words_are_read_once_for_a_whole_dance(monkeypatch):
    read, counted = PromptAttention.read, []
    monkeypatch.setattr(
        PromptAttention, "read", lambda self, prompt: counted.append(1) or read(self, prompt)
    )
    decoder = StepDecoder(told_gpt())
    decoder.start({}, text=said("turns left", "turns right"))
    for _ in range(5):
        decoder.sample()
    assert len(counted) == 2  # one for each layer


def test_a_leader_who_still_dances_and_words_go_together():
    gpt, conditions, read = told_gpt(), small_conditions(), said("turns left", "bends")
    leader = {"leader": conditions["leader"]}
    wanted = generate(gpt, leader, generator=seed(0), look_ahead=1, text=read).tokens
    decoder, random, got = StepDecoder(gpt, 1), seed(0), []
    decoder.start({}, live={"leader"}, text=read)
    for step in range(STEPS):
        decoder.feed({"leader": leader["leader"][:, step : step + 1]}, last=step == STEPS - 1)
        while decoder.ready:
            got.append(decoder.sample(generator=random).tokens)
    assert torch.equal(torch.stack(got, dim=1), wanted)
    with pytest.raises(InputError, match="'music' was not told when the dance began"):
        decoder.feed({"music": conditions["music"]})


def test_training_leaves_out_words_and_conditions_at_their_rates_by_its_generator():
    gpt = told_gpt(dropout=0.0, history_corruption=0.0, text_dropout=0.4, look_aheads=(0,)).train()
    batch = 300
    tokens = small_tokens(1, 3).expand(batch, -1, -1)
    conditions = {name: x.expand(batch, -1, -1) for name, x in small_conditions(1, 3).items()}
    read = said("turns left").expand(batch, -1)

    def kinds(**told: Any) -> list[float]:
        """Return the shares of the different answers to one and the same clip, largest first."""
        hidden = gpt(tokens, generator=seed(0), look_ahead=0, **told).hidden[:, 0]
        counts = hidden.mul(1e3).round().unique(dim=0, return_counts=True)[1]
        return sorted((counts / batch).tolist(), reverse=True)

    assert kinds(conditions={}, text=read) == pytest.approx([0.6, 0.4], abs=0.08)
    assert kinds(conditions=conditions) == pytest.approx([0.49, 0.21, 0.21, 0.09], abs=0.08)
    assert kinds(conditions=conditions, text=read) == kinds(conditions=conditions, text=read)
    gpt.eval()
    assert kinds(conditions=conditions, text=read) == [1.0]


def test_only_optional_conditions_may_be_missing():
    gpt = small_gpt(text=WORDS, conditions=(MUSIC, MAYBE[1]))
    only_leader = {"leader": small_conditions()["leader"]}
    with pytest.raises(InputError, match="'music' is missing"):
        gpt(small_tokens(), only_leader)
    with pytest.raises(InputError, match="'music' is missing"):
        StepDecoder(gpt).start(only_leader, text=said("a", "b"))
    assert gpt(small_tokens(), {"music": small_conditions()["music"]}).hidden.isfinite().all()


def test_recomputed_layers_hear_the_same_words():
    gpt, grads = told_gpt(dropout=0.0).train(), []
    for recomputed in (False, True):
        set_checkpointing(gpt, recomputed)
        gpt.zero_grad()
        output = gpt(small_tokens(), {}, generator=seed(0), text=said("turns", "bends a knee"))
        log_probs(output, small_tokens()).sum().backward()
        grads.append(gpt.words.encode.table.weight.grad.clone())
    assert grads[0].any()
    torch.testing.assert_close(grads[1], grads[0])


def test_every_weight_that_hears_is_used():
    gpt = told_gpt(heads_see="earlier", text_dropout=0.5).train()
    read = said(*["turns left"] * 16)
    output = gpt(small_tokens(16), small_conditions(16), generator=seed(1), text=read)
    (output.values.sum() - log_probs(output, small_tokens(16)).sum()).backward()
    dead = [n for n, p in gpt.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@pytest.mark.parametrize("blocks", [(1, 2), (2, 1), (3,), ()], ids=str)
def test_streams_see_those_of_earlier_blocks_and_none_of_their_own(blocks):
    gpt = small_gpt(heads_see="earlier", head_blocks=blocks)
    tokens, conditions = small_tokens(), small_conditions()
    before = gpt(tokens, conditions).logits
    block_of = [index for index, size in enumerate(blocks or (1, 1, 1)) for _ in range(size)]
    for changed_stream in range(3):
        changed = tokens.clone()
        changed[:, -1, changed_stream] = (changed[:, -1, changed_stream] + 1) % CLASSES[
            changed_stream
        ]
        after = gpt(changed, conditions).logits
        for stream in range(3):
            different = not torch.allclose(after[stream], before[stream], atol=1e-5)
            assert different == (block_of[stream] > block_of[changed_stream])


@pytest.mark.parametrize("blocks", [(1, 2), (2, 1), (3,), ()], ids=str)
def test_what_is_sampled_in_blocks_has_the_log_probs_of_the_forward_pass(blocks):
    gpt, conditions = small_gpt(heads_see="earlier", head_blocks=blocks), small_conditions()
    sampling = SamplingConfig(top_k=6)
    sampled = generate(gpt, conditions, sampling=sampling, generator=seed(0))
    output = gpt(sampled.tokens, conditions)
    wanted = log_probs(output, sampled.tokens, sampling)
    torch.testing.assert_close(sampled.log_probs, wanted, **CLOSE)


def test_seventy_groups_are_sampled_with_as_many_heads_as_there_are_blocks(monkeypatch):
    classes, blocks = (*[3] * 72, 32, 32, 64), (9,) * 8 + (2, 1)
    gpt = small_gpt(classes=classes, heads_see="earlier", head_blocks=blocks)
    block, counted = gpt.heads.block, []
    monkeypatch.setattr(gpt.heads, "block", lambda *a: counted.append(a[0]) or block(*a))
    generate(gpt, small_conditions(), steps=1)
    assert counted == list(range(len(blocks)))


def test_a_stop_sees_nothing_of_its_own_step():
    gpt = small_gpt(classes=(20, 12, 2), stop=True, heads_see="earlier", head_blocks=(1, 2))
    tokens, conditions = small_tokens(classes=(20, 12, 2)), small_conditions()
    before = gpt(tokens, conditions).logits
    tokens[:, -1] = (tokens[:, -1] + 1) % torch.tensor((20, 12, 2))
    after = gpt(tokens, conditions).logits
    different = [not torch.allclose(a, b) for a, b in zip(after, before, strict=True)]
    assert different == [False, True, False]
    sampled = generate(gpt, conditions, generator=seed(0))
    output = gpt(sampled.tokens, conditions)
    wanted = log_probs(output, sampled.tokens, SamplingConfig())
    torch.testing.assert_close(sampled.log_probs, wanted, **CLOSE)


def stopping(*lengths: int, steps: int = 6) -> Tensor:
    """Return tokens of one stream and a stop stream, of clips that last so many steps."""
    stop = torch.tensor([[STOPS if i >= n else GOES_ON for i in range(steps)] for n in lengths])
    return torch.stack([small_tokens(len(lengths), steps, classes=(9,))[..., 0], stop], dim=-1)


def test_a_clip_lasts_until_it_first_stops_and_one_step_at_least():
    tokens = stopping(0, 1, 4, 6)
    tokens[2, 5, -1] = GOES_ON  # what it says after its end does not matter
    assert steps_danced(tokens).tolist() == [1, 1, 4, 6]
    counted = tokens_that_count(tokens)
    assert counted[..., 0].sum(dim=1).tolist() == [0, 1, 4, 6]
    assert counted[..., 1].sum(dim=1).tolist() == [1, 2, 5, 6]


def test_the_past_is_corrupted_by_groups_and_never_made_to_have_stopped():
    gpt = small_gpt(classes=(20, 12, 2), stop=True, history_corruption=1.0)
    tokens = torch.zeros(40, 30, 3, dtype=torch.int64)
    past = gpt._corrupt(tokens, seed(0))
    assert (past[..., -1] == GOES_ON).all()
    assert past.amax(dim=(0, 1)).tolist() == [19, 11, 0]
    tokens[..., -1] = STOPS
    assert (gpt._corrupt(tokens, seed(0))[..., -1] == STOPS).all()


def test_steps_that_are_exchanged_stay_whole_and_keep_their_stop():
    gpt = small_gpt(classes=(20, 12, 2), stop=True, history_corruption=0.5, corrupts="steps")
    first = torch.arange(12).repeat(4, 1)
    tokens = torch.stack([first, 11 - first, (first == 11).long()], dim=-1)  # streams that agree
    past = gpt._corrupt(tokens, seed(0))
    assert (past[..., 0] + past[..., 1] == 11).all()
    assert 0.3 < (past[..., 0] != tokens[..., 0]).float().mean() < 0.6
    assert torch.equal(past[..., -1], tokens[..., -1])
    assert torch.equal(gpt._corrupt(tokens, seed(0)), past)


SENTENCES = ("turns left", "bends the left knee", "steps back", "")
LENGTHS = (3, 7, 5, 1)


def test_it_learns_dances_from_words_alone_and_where_they_stop():
    gpt = small_gpt(
        classes=(9, 2),
        conditions=(),
        text=WORDS,
        text_dropout=0.0,
        stop=True,
        dropout=0.0,
        heads_see="earlier",
    ).train()
    read, tokens = said(*SENTENCES), stopping(*LENGTHS, steps=8)
    counted = tokens_that_count(tokens)
    optimiser = torch.optim.AdamW(gpt.parameters(), lr=1e-2)
    for step in range(60):
        output = gpt(tokens, {}, generator=seed(step), text=read)
        loss = -log_probs(output, tokens)[counted].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    danced = generate(gpt, {}, 30, GREEDY, text=read[[1, 0, 3]])
    assert danced.lengths.tolist() == [7, 3, 1]
    assert danced.tokens.shape[1] == 8  # no longer than the last one needs to stop
    for row, clip in enumerate((1, 0, 3)):
        steps = LENGTHS[clip]
        assert torch.equal(danced.tokens[row, :steps], tokens[clip, :steps])
    alone = generate(gpt, {}, 30, GREEDY, text=read[:1])
    assert alone.tokens.shape[1] == 4 and alone.lengths.tolist() == [3]


def test_what_words_and_stops_cannot_do_is_said_in_one_line():
    words_alone = small_gpt(conditions=(), text=WORDS)
    plain, conditions = small_gpt(), small_conditions()
    three = said("a", "b", "c")
    faults = {
        "hears no words": lambda: plain(small_tokens(), conditions, text=said("a", "b")),
        "hears no words; leave": lambda: generate(plain, conditions, text=said("a", "b")),
        "3 texts were given for 2 clips": lambda: told_gpt()(small_tokens(), {}, text=three),
        "3 texts were given for 2": lambda: generate(told_gpt(), conditions, text=three),
        "say how many steps": lambda: generate(words_alone, {}, text=three),
        "one text for each, which may be empty": lambda: generate(words_alone, {}, 5),
        "no conditions yet": lambda: StepDecoder(words_alone).sample(),
        "told nothing; give at least one condition": lambda: small_gpt(conditions=()),
        "to say where a clip stops": lambda: small_gpt(stop=True),
        r"hold 4 streams and the model has 3": lambda: small_gpt(
            heads_see="earlier", head_blocks=(2, 2)
        ),
    }
    for message, fault in faults.items():
        with pytest.raises(InputError, match=message) as caught:
            fault()
        assert "\n" not in str(caught.value)
    for wrong in ({"head_blocks": (3,)}, {"head_blocks": (3, 0), "heads_see": "earlier"}):
        with pytest.raises(ValueError, match="head_blocks"):
            small_gpt(**wrong)
    with pytest.raises(ValueError, match="wants layout: fused"):
        small_gpt(stop=True, layout="interleaved")
