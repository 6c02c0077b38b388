"""Guidance: 1 is the follower itself, 0 one who was told nothing; a dance may outlast its stop."""

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.models.guided_decoder import GuidedDecoder
from duet_rl.models.policy import SamplingConfig
from duet_rl.models.sampling import generate
from duet_rl.models.step_decoder import StepDecoder
from duet_rl.models.streams import STOPS
from duet_rl.models.text import TextConfig, reader_of
from tests.models.small import LEADER, MUSIC, small_conditions, small_gpt

WORDS = TextConfig(buckets=64, width=16, layers=1, heads=2)
TEXTS = ["raises the left arm", "turns right"]


def dance(gpt, guidance: float, text: torch.Tensor | None, temperature: float = 0.0):
    sampling = SamplingConfig(temperature=temperature, guidance=guidance)
    generator = torch.Generator().manual_seed(1)
    return generate(gpt, small_conditions(steps=12), 12, sampling, generator, text=text)


def listening_gpt(**changes):
    """A follower whose dance depends on its words, though it has learned nothing."""
    gpt = small_gpt(text=WORDS, **changes)
    with torch.no_grad():
        for name, weights in gpt.named_parameters():
            if "heard" in name or "prompt" in name or "words" in name:
                weights.add_(torch.randn_like(weights) * 0.3)
    return gpt


def test_no_guidance_is_the_follower_itself_and_none_at_all_hears_nothing() -> None:
    gpt, text = listening_gpt(), reader_of(WORDS).read(TEXTS)
    nothing = torch.zeros_like(text)
    told, untold = dance(gpt, 1.0, text).tokens, dance(gpt, 1.0, nothing).tokens
    assert not torch.equal(told, untold)
    almost = 1.0 + 1e-7
    assert torch.equal(dance(gpt, almost, text).tokens, told)
    assert torch.equal(dance(gpt, 0.0, text).tokens, untold)


def test_guidance_makes_what_words_ask_for_likelier() -> None:
    """The policy's logits are untold + g x (told - untold): written out for the first step."""
    gpt, text = listening_gpt(heads_see="none"), reader_of(WORDS).read(TEXTS)
    conditions = small_conditions(steps=12)
    tokens = torch.zeros(2, 12, gpt.streams, dtype=torch.int64)
    with torch.no_grad():
        told = gpt(tokens, conditions, text=text).logits
        untold = gpt(tokens, conditions, text=torch.zeros_like(text)).logits
    guided = [b[:, 0] + 3.0 * (a[:, 0] - b[:, 0]) for a, b in zip(told, untold, strict=True)]
    wanted = torch.stack([x.argmax(-1) for x in guided], dim=-1)
    assert torch.equal(dance(gpt, 3.0, text).tokens[:, 0], wanted)


def test_optional_conditions_may_be_missing_under_guidance() -> None:
    optional = tuple(each.model_copy(update={"dropout": 0.5}) for each in (MUSIC, LEADER))
    gpt, text = listening_gpt(conditions=optional), reader_of(WORDS).read(TEXTS)
    sampling = SamplingConfig(temperature=0, guidance=2.0)
    assert generate(gpt, {}, 5, sampling, text=text).tokens.shape == (2, 5, gpt.streams)


def test_a_dance_that_is_not_to_end_goes_on_as_if_it_had_not_stopped() -> None:
    classes = (20, 12, 2)
    gpt = listening_gpt(classes=classes, stop=True)
    with torch.no_grad():
        gpt.heads.classify.bias[-1] += 100.0  # it stops at once
    text, sampling = reader_of(WORDS).read(TEXTS), SamplingConfig(temperature=0)
    conditions = small_conditions(steps=12)
    ended = generate(gpt, conditions, 12, sampling, text=text)
    assert ended.tokens.shape[1] == 1 and ended.lengths.tolist() == [1, 1]
    whole = generate(gpt, conditions, 12, sampling, text=text, ends=False)
    assert whole.tokens.shape[1] == 12 and whole.lengths.tolist() == [12, 12]
    assert (whole.tokens[..., -1] == STOPS).all()
    past = whole.tokens.clone()
    past[..., -1] = 0  # what it is told of itself
    with torch.no_grad():
        logits = gpt(past, conditions, text=text).logits
    assert torch.equal(logits[0].argmax(-1), whole.tokens[..., 0])


def test_streams_that_go_together_take_a_row_that_is_known() -> None:
    """At temperature 0 it is the row whose streams are likeliest together."""
    gpt, text = listening_gpt(heads_see="none"), reader_of(WORDS).read(TEXTS)
    random = torch.Generator().manual_seed(2)
    rows = torch.stack([torch.randint(0, n, (5,), generator=random) for n in (20, 12)], dim=-1)
    conditions, known = small_conditions(steps=12), {tuple(row) for row in rows.tolist()}
    warm = SamplingConfig(temperature=1.0, guidance=2.0, row_temperature=2.0)
    drawn = generate(gpt, conditions, 12, warm, text=text, rows=rows).tokens
    assert {tuple(row) for row in drawn[..., :2].flatten(0, 1).tolist()} <= known
    assert len(drawn[..., 2].unique()) > 5  # the other streams are drawn freely
    cold = SamplingConfig(temperature=0)
    taken = generate(gpt, conditions, 12, cold, text=text, rows=rows).tokens
    with torch.no_grad():
        logits = gpt(taken, conditions, text=text).logits
    sums = sum(x.log_softmax(-1)[..., rows[:, i]] for i, x in enumerate(logits[:2]))
    assert torch.equal(taken[..., :2], rows[sums.argmax(-1)])


def test_rows_want_a_model_that_says_them_at_once() -> None:
    text, rows = reader_of(WORDS).read(TEXTS), torch.zeros(3, 2, dtype=torch.int64)
    apart = listening_gpt(heads_see="earlier")
    with pytest.raises(InputError, match="head_blocks"):
        generate(apart, small_conditions(steps=12), 12, text=text, rows=rows)
    together = listening_gpt(heads_see="earlier", head_blocks=(2, 1))
    assert generate(together, small_conditions(steps=12), 12, text=text, rows=rows)


@pytest.mark.parametrize("texts", [None, TEXTS], ids=["untold", "told"])
def test_a_leader_who_comes_in_portions_guides_as_one_who_is_known(texts) -> None:
    """Portions are never taken for the dances of another clip, whether there are words or not."""
    gpt, conditions = listening_gpt(), small_conditions(steps=12)
    text = None if texts is None else reader_of(WORDS).read(texts)
    cold, steps = SamplingConfig(temperature=0), 8

    def tokens(decoder: StepDecoder, portion: int) -> torch.Tensor:
        decoder.start({"music": conditions["music"]}, live={"leader"}, text=text)
        taken: list[torch.Tensor] = []
        for first in range(0, conditions["leader"].shape[1], portion):
            decoder.feed({"leader": conditions["leader"][:, first : first + portion]})
            while decoder.ready and len(taken) < steps:
                taken.append(decoder.sample(cold).tokens)
        return torch.stack(taken, dim=1)

    in_portions = tokens(GuidedDecoder(gpt, 2.0), 8)
    assert in_portions.shape == (2, steps, gpt.streams)
    whole = GuidedDecoder(gpt, 2.0)
    whole.start(conditions, text=text)
    known = torch.stack([whole.sample(cold).tokens for _ in range(steps)], dim=1)
    assert torch.equal(in_portions, known)
    if texts is None:  # nothing is said, so that nothing is exaggerated
        assert torch.equal(known, tokens(StepDecoder(gpt), 8))


def test_logits_for_a_sampler_of_ones_own_are_guided_too() -> None:
    gpt, text = listening_gpt(heads_see="none"), reader_of(WORDS).read(TEXTS)
    decoder, sampler = GuidedDecoder(gpt, 3.0), GuidedDecoder(gpt, 3.0)
    previous = None
    for each in (decoder, sampler):
        each.start(small_conditions(steps=12), text=text)
    for _ in range(3):
        logits = decoder.step(previous)
        previous = torch.stack([x.argmax(-1) for x in logits], dim=-1)
        assert torch.equal(previous, sampler.sample(SamplingConfig(temperature=0)).tokens)
