"""Tests of step-by-step and whole-clip sampling: it equals the forward pass."""

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.sampling import SamplingConfig, StepDecoder, generate, log_probs
from tests.models.small import (
    CLASSES,
    EVERY_KIND,
    MUSIC,
    name_of,
    small_conditions,
    small_gpt,
    small_tokens,
)

STEPS = 30  # the attention window is 8: most of the clip has left it at the end
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
every_kind = pytest.mark.parametrize("kind", EVERY_KIND, ids=name_of)


def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@every_kind
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingConfig(temperature=0.8),
        SamplingConfig(temperature=1.2, top_k=5),
        SamplingConfig(temperature=1.0, top_p=0.9),
        SamplingConfig(temperature=0),
    ],
    ids=["temperature", "top_k", "top_p", "greedy"],
)
def test_log_probs_and_values_equal_those_of_the_full_forward_pass(kind, sampling):
    gpt, conditions = small_gpt(**kind), small_conditions(steps=STEPS)
    sampled = generate(gpt, conditions, sampling=sampling, generator=seed(0), look_ahead=2)
    output = gpt(sampled.tokens, conditions, look_ahead=2)
    assert sampled.tokens.shape == (2, STEPS, 3)
    torch.testing.assert_close(
        sampled.log_probs, log_probs(output, sampled.tokens, sampling), **CLOSE
    )
    torch.testing.assert_close(sampled.values, output.values, **CLOSE)


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_cached_logits_equal_those_of_the_full_forward_pass(positions):
    gpt, conditions = small_gpt(positions=positions), small_conditions(steps=STEPS)
    tokens = small_tokens(steps=STEPS)
    output = gpt(tokens, conditions)
    decoder = StepDecoder(gpt)
    decoder.start(conditions)
    for step in range(STEPS):
        logits = decoder.step(tokens[:, step - 1] if step else None)
        for stream, part in enumerate(logits):
            torch.testing.assert_close(part, output.logits[stream][:, step], **CLOSE)


@every_kind
def test_a_leader_who_still_dances_is_followed_as_from_a_recording(kind):
    gpt, conditions = small_gpt(**kind), small_conditions(steps=STEPS)
    ahead = {"leader": 1}
    wanted = generate(gpt, conditions, generator=seed(0), look_ahead=ahead)
    decoder = StepDecoder(gpt, ahead)
    random, got = seed(0), []
    decoder.start({"music": conditions["music"]}, live={"leader"})
    for step in range(STEPS):
        leader = conditions["leader"][:, step : step + 1]
        decoder.feed({"leader": leader}, last=step == STEPS - 1)
        while decoder.ready:
            got.append(decoder.sample(generator=random).tokens)
    assert torch.equal(torch.stack(got, dim=1), wanted.tokens)


def test_one_seed_gives_one_dance_and_another_seed_another():
    gpt, conditions = small_gpt(), small_conditions()
    first, again, other = (
        generate(gpt, conditions, generator=seed(number)).tokens for number in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_batch_dances_as_each_of_its_clips_alone():
    gpt, conditions = small_gpt(), small_conditions(batch=3)
    greedy = SamplingConfig(temperature=0)
    together = generate(gpt, conditions, sampling=greedy).tokens
    for clip in range(3):
        alone = {name: part[clip : clip + 1] for name, part in conditions.items()}
        assert torch.equal(generate(gpt, alone, sampling=greedy).tokens[0], together[clip])


@every_kind
def test_a_prompt_is_kept_and_continued(kind):
    gpt, conditions = small_gpt(**kind), small_conditions()
    prompt = small_tokens(steps=6)
    sampling = SamplingConfig(top_k=4)
    sampled = generate(gpt, conditions, 15, sampling, seed(0), prompt=prompt)
    assert sampled.tokens.shape == (2, 15, 3)
    assert torch.equal(sampled.tokens[:, :6], prompt)
    output = gpt(sampled.tokens, conditions)
    torch.testing.assert_close(
        sampled.log_probs, log_probs(output, sampled.tokens, sampling), **CLOSE
    )


def test_the_answers_may_be_trained_on():
    gpt, conditions = small_gpt(), small_conditions()
    sampled = generate(gpt, conditions, generator=seed(0))
    output = gpt(sampled.tokens, conditions)
    (log_probs(output, sampled.tokens) * sampled.values).sum().backward()
    assert gpt.start.grad is not None


def test_sampling_leaves_a_model_in_training_as_it_was():
    gpt, conditions = small_gpt(), small_conditions()
    wanted = generate(gpt, conditions, generator=seed(0)).tokens
    gpt.train()
    assert torch.equal(generate(gpt, conditions, generator=seed(0)).tokens, wanted)
    assert gpt.training and gpt.trunk.training


def test_a_decoder_starts_afresh_on_every_clip():
    gpt = small_gpt()
    decoder = StepDecoder(gpt)
    for batch in (2, 2, 3):
        conditions = small_conditions(batch=batch, seed=batch)
        decoder.start(conditions)
        tokens = [decoder.sample(generator=seed(7)).tokens for _ in range(12)]
        fresh = StepDecoder(gpt)
        fresh.start(conditions)
        wanted = [fresh.sample(generator=seed(7)).tokens for _ in range(12)]
        assert torch.equal(torch.stack(tokens), torch.stack(wanted))


def test_new_weights_are_used_from_the_next_clip_on():
    gpt, conditions = small_gpt(), small_conditions()
    decoder = StepDecoder(gpt)
    decoder.start(conditions)
    before = decoder.sample(generator=seed(0))
    for parameter in gpt.parameters():
        parameter.data.mul_(1.5)
    decoder.start(conditions)
    after = decoder.sample(generator=seed(0))
    assert not torch.allclose(before.log_probs, after.log_probs)


def test_a_long_dance_costs_no_more_memory_than_its_window():
    gpt = small_gpt(conditions=(MUSIC,))
    decoder = StepDecoder(gpt)
    decoder.start({"music": small_conditions(steps=60)["music"]})
    for _ in range(60):
        decoder.sample(generator=seed(0))
    assert decoder._cache is not None
    assert decoder._cache.keys.shape[-2] == gpt.config.context


def test_bfloat16_trains_near_single_precision():
    gpt, conditions, tokens = small_gpt(), small_conditions(), small_tokens()
    losses = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            losses.append(-log_probs(gpt(tokens, conditions), tokens).mean())
    losses[1].backward()
    torch.testing.assert_close(losses[1], losses[0], atol=0.02, rtol=0.01)
    assert all(p.grad is None or p.grad.isfinite().all() for p in gpt.parameters())


def test_bfloat16_stays_near_single_precision():
    gpt, conditions = small_gpt(), small_conditions()
    tokens = small_tokens()
    decoders = [StepDecoder(gpt, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    for decoder in decoders:
        decoder.start(conditions)
    for step in range(20):
        single, half = (decoder.sample(given=tokens[:, step]) for decoder in decoders)
        torch.testing.assert_close(half.log_probs, single.log_probs, atol=0.1, rtol=0.05)
    assert half.log_probs.dtype == half.values.dtype == torch.float32


def start(gpt: MultiStreamGPT, steps: int = 4) -> StepDecoder:
    decoder = StepDecoder(gpt)
    decoder.start(small_conditions(steps=steps))
    return decoder


def test_what_a_decoder_cannot_do_is_said_in_one_line():
    gpt = small_gpt()
    with pytest.raises(InputError, match="no conditions yet"):
        StepDecoder(gpt).sample()
    with pytest.raises(InputError, match="'leader' is missing"):
        StepDecoder(gpt).start({"music": small_conditions()["music"]})
    with pytest.raises(InputError, match="tokens of 5 clips were given; 2 are dancing"):
        start(gpt).sample(given=small_tokens(batch=5)[:, 0])
    with pytest.raises(InputError, match="class 20 in stream 0"):
        start(gpt).sample(given=torch.tensor([[CLASSES[0], 0, 0]] * 2))
    with pytest.raises(InputError, match="none at step 0"):
        start(gpt).step(small_tokens()[:, 0])
    with pytest.raises(InputError, match="use sample"):
        start(small_gpt(heads_see="earlier")).step()
    done = start(gpt, steps=1)
    done.sample()
    with pytest.raises(InputError, match="step 1 has no conditions"):
        done.sample()


def test_a_length_that_the_conditions_do_not_cover_is_refused():
    with pytest.raises(InputError, match=r"21 steps are wanted .* last 20"):
        generate(small_gpt(), small_conditions(steps=20), steps=21)
    with pytest.raises(InputError, match="prompt of 6"):
        generate(small_gpt(), small_conditions(), steps=5, prompt=small_tokens(steps=6))
    with pytest.raises(InputError, match="learned positions end at 9"):
        generate(small_gpt(positions="learned", max_tokens=9), small_conditions())
