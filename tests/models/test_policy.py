"""Tests of the sampling policy."""

import pytest
import torch
from pydantic import ValidationError

from duet_rl.models.policy import SamplingConfig, choose, policy_logits, stack_logits

PROBABILITIES = torch.tensor([0.05, 0.4, 0.3, 0.05, 0.2])
LOGITS = PROBABILITIES.log()


def policy(**settings: float) -> torch.Tensor:
    """Return the probabilities that remain of `PROBABILITIES`."""
    return policy_logits(LOGITS, SamplingConfig(**settings)).softmax(-1)


def test_temperature_sharpens():
    torch.testing.assert_close(policy(temperature=1.0), PROBABILITIES)
    squared = PROBABILITIES.square() / PROBABILITIES.square().sum()
    torch.testing.assert_close(policy(temperature=0.5), squared)


def test_temperature_zero_takes_the_likeliest():
    assert policy(temperature=0).tolist() == [0, 1, 0, 0, 0]


def test_top_k_keeps_the_k_likeliest():
    kept = torch.tensor([0, 0.4, 0.3, 0, 0])
    torch.testing.assert_close(policy(temperature=1.0, top_k=2), kept / kept.sum())
    torch.testing.assert_close(policy(temperature=1.0, top_k=50), PROBABILITIES)


def test_top_p_keeps_the_fewest_that_reach_p():
    kept = torch.tensor([0, 0.4, 0.3, 0, 0.2])
    torch.testing.assert_close(policy(temperature=1.0, top_p=0.8), kept / kept.sum())
    assert policy(temperature=1.0, top_p=0.01).tolist() == [0, 1, 0, 0, 0]
    torch.testing.assert_close(policy(temperature=1.0, top_p=1.0), PROBABILITIES)


def test_top_p_counts_what_top_k_left_over():
    # of (0.4, 0.3) / 0.7 the first alone reaches 0.5
    assert policy(temperature=1.0, top_k=2, top_p=0.5).tolist() == [0, 1, 0, 0, 0]


def test_a_kept_token_is_never_impossible():
    rare = torch.tensor(0)
    logits = policy_logits(LOGITS, SamplingConfig(top_k=1), keep=rare)
    assert logits.isfinite().tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("top_p", [None, 0.8])
def test_tokens_come_as_often_as_the_policy_says(top_p):
    sampling = SamplingConfig(temperature=0.7, top_p=top_p)
    draws = 20_000
    random = torch.Generator().manual_seed(0)
    tokens, log_probs = choose(LOGITS.expand(draws, -1), sampling, random)
    wanted = policy(temperature=0.7, **({} if top_p is None else {"top_p": top_p}))
    share = tokens.bincount(minlength=5) / draws
    torch.testing.assert_close(share, wanted, atol=0.012, rtol=0)
    torch.testing.assert_close(log_probs.exp(), wanted[tokens])


def test_a_class_without_probability_is_never_drawn():
    logits = torch.full((5000, 6), -torch.inf)
    logits[:, 2] = 0.0
    tokens, _ = choose(logits, SamplingConfig(), torch.Generator().manual_seed(0))
    assert (tokens == 2).all()


def test_streams_of_unlike_sizes_stand_side_by_side():
    stacked = stack_logits((torch.zeros(4, 3), torch.zeros(4, 5)))
    tokens, log_probs = choose(stacked.expand(200, 4, 2, 5), SamplingConfig())
    assert stacked.shape == (4, 2, 5)
    assert tokens[..., 0].max() == 2 and tokens[..., 1].max() == 4
    torch.testing.assert_close(log_probs[0, 0].exp(), torch.tensor([1 / 3, 1 / 5]))


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_k": 0}, {"top_p": 0}, {"top_p": 2}])
def test_a_sampling_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        SamplingConfig(**wrong)


@pytest.mark.parametrize("temperature", [-0.1, float("inf"), float("nan")])
def test_temperatures_at_which_nothing_is_drawn_are_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        SamplingConfig(temperature=temperature)
