"""Sampling whole clips of follower tokens."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.conditions import LookAhead
from duet_rl.models.follower import FollowerGPT
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig, log_probs
from duet_rl.models.step_decoder import SampledStep, StepDecoder
from duet_rl.models.window_gpt import WindowGPT
from duet_rl.models.window_sampling import dance

__all__ = ["Sampled", "SampledStep", "SamplingConfig", "StepDecoder", "generate", "log_probs"]


class Sampled(NamedTuple):
    """Tokens of a batch of clips and what the policy thought of them."""

    tokens: Int[Tensor, "B N S"]
    log_probs: Float[Tensor, "B N S"]  # of the tokens, under the policy that sampled them
    values: Float[Tensor, "B N S"]  # the model's expected returns


def generate(
    model: FollowerGPT,
    conditions: Mapping[str, Tensor],
    steps: int | None = None,
    sampling: SamplingConfig = DEFAULT_SAMPLING,
    generator: torch.Generator | None = None,
    look_ahead: LookAhead = None,
    prompt: Int[Tensor, "B P S"] | None = None,
) -> Sampled:
    """Sample the follower's tokens for a batch of clips, with a KV cache where there can be one.

    Args:
        model: the follower.
        conditions: of the entire clips, by name.
        steps: length of the answer, the prompt included; None is as long as the conditions.
        sampling: temperature and cut-offs.
        generator: the source of chance; one seed gives one answer.
        look_ahead: tokens of future that the conditions may use; None is their maximum.
        prompt: `(B, P, S)`, known first tokens; a follower with `prompt_steps` that gets none
            begins with the `start_tokens` of its config.

    Returns:
        Tokens with their log-probabilities and values, those of the prompt included.

    Raises:
        InputError: conditions that do not fit the model or are shorter than `steps`.
    """
    if isinstance(model, WindowGPT):
        model.check_look_ahead(look_ahead)
        return Sampled(*dance(model, conditions, steps, sampling, generator, prompt))
    decoder = StepDecoder(model, look_ahead)
    decoder.start(conditions)
    steps = decoder.ready if steps is None else steps
    known = 0 if prompt is None else prompt.shape[1]
    if not max(known, 1) <= steps <= decoder.ready:
        raise InputError(
            f"{steps} steps are wanted with a prompt of {known}, and the conditions last "
            f"{decoder.ready}; ask for a number of steps between the two"
        )
    model.check_steps(steps)
    taken = []
    for step in range(steps):
        given = prompt[:, step] if prompt is not None and step < known else None
        taken.append(decoder.sample(sampling, generator, given))
    return Sampled(*(torch.stack(parts, dim=1) for parts in zip(*taken, strict=True)))
