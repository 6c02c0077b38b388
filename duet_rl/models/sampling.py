"""Sampling whole clips of follower tokens."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.conditions import LookAhead
from duet_rl.models.follower import FollowerGPT
from duet_rl.models.guided_decoder import GuidedDecoder
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig, log_probs
from duet_rl.models.step_decoder import ENDLESS, SampledStep, StepDecoder
from duet_rl.models.streams import STOPS, steps_danced
from duet_rl.models.window_gpt import WindowGPT
from duet_rl.models.window_sampling import dance

__all__ = ["Sampled", "SampledStep", "SamplingConfig", "StepDecoder", "generate", "log_probs"]


class Sampled(NamedTuple):
    """Tokens of a batch of clips and what the policy thought of them."""

    tokens: Int[Tensor, "B N S"]
    log_probs: Float[Tensor, "B N S"]  # of the tokens, under the policy that sampled them
    values: Float[Tensor, "B N S"]  # the model's expected returns
    lengths: Int[Tensor, "B"]  # steps before the stop, 1 at least; all where there is none


def generate(
    model: FollowerGPT,
    conditions: Mapping[str, Tensor],
    steps: int | None = None,
    sampling: SamplingConfig = DEFAULT_SAMPLING,
    generator: torch.Generator | None = None,
    look_ahead: LookAhead = None,
    prompt: Int[Tensor, "B P S"] | None = None,
    text: Tensor | None = None,
    ends: bool = True,
    rows: Int[Tensor, "R G"] | None = None,
) -> Sampled:
    """Sample the follower's tokens for a batch of clips, with a KV cache where there can be one.

    Args:
        model: the follower.
        conditions: of the entire clips, by name; optional ones may be missing.
        steps: length of the answer, the prompt included; None is as long as the conditions. A
            model with a stop stream ends as soon as all clips have stopped.
        sampling: temperature and cut-offs.
        generator: the source of chance; one seed gives one answer.
        look_ahead: tokens of future that the conditions may use; None is their maximum.
        prompt: `(B, P, S)`, known first tokens; a follower with `prompt_steps` that gets none
            begins with the `start_tokens` of its config.
        text: of each clip, from the `TextReader` of the model's settings; None says nothing.
        rows: of which the first streams take one at every step, where there is a text; None lets
            each stream take any value.
        ends: whether a model with a stop stream ends its clips; if not, they last all `steps`.

    Returns:
        Tokens with their log-probabilities and values, those of the prompt included. What lies
        behind a clip's length is to be left out.

    Raises:
        InputError: conditions or a text that do not fit the model, conditions shorter than
            `steps`, or none and nobody says how many steps.
    """
    if isinstance(model, WindowGPT):
        model.check_look_ahead(look_ahead)
        if text is not None:
            raise InputError("this follower hears no words; leave the text out")
        danced = dance(model, conditions, steps, sampling, generator, prompt)
        return Sampled(*danced, _whole(danced[0]))
    decoder = StepDecoder(model, look_ahead)
    if text is not None and (sampling.guidance != 1 or rows is not None):
        decoder = GuidedDecoder(model, sampling.guidance, look_ahead, rows)
    decoder.start(conditions, text=text)
    if steps is None and decoder.ready == ENDLESS:
        raise InputError("there are words and no music or leader; say how many steps at most")
    steps = decoder.ready if steps is None else steps
    known = 0 if prompt is None else prompt.shape[1]
    if not max(known, 1) <= steps <= decoder.ready:
        raise InputError(
            f"{steps} steps are wanted with a prompt of {known}, and the conditions last "
            f"{decoder.ready}; ask for a number of steps between the two"
        )
    model.check_steps(steps)
    taken: list[SampledStep] = []
    stopped: Tensor | None = None  # (B,), clips that are over
    for step in range(steps):
        given = prompt[:, step] if prompt is not None and step < known else None
        taken.append(decoder.sample(sampling, generator, given))
        if not ends:
            decoder.go_on()
        elif model.config.stop:
            stops = taken[-1].tokens[:, -1] == STOPS
            stopped = stops if stopped is None else stopped | stops
            if step + 1 >= known and bool(stopped.all()):
                break
    tokens, likely, values = (torch.stack(parts, dim=1) for parts in zip(*taken, strict=True))
    lengths = steps_danced(tokens) if model.config.stop and ends else _whole(tokens)
    return Sampled(tokens, likely, values, lengths)


def _whole(tokens: Int[Tensor, "B N S"]) -> Int[Tensor, "B"]:
    return torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
