"""Sampling from a `WindowGPT`: its window over the past, and any way to choose a token."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.policy import SamplingConfig, choose
from duet_rl.models.window_gpt import WindowGPT

Choose = Callable[[int, int, Tensor], Tensor]
"""Step, stream and logits `(B, V)` in, tokens `(B,)` out."""


def greedy(step: int, stream: int, logits: Float[Tensor, "B V"]) -> Int[Tensor, "B"]:
    """Choose the likeliest token, the first of equals."""
    return logits.argmax(dim=-1)


def history_length(step: int, block: int, shift: int | None = None) -> int:
    """Return how many tokens of its past the model sees when it chooses the one after `step`.

    The past is seen whole until it has `block - 1` tokens. Then the window holds so many, or,
    with a `shift`, goes again and again from `shift` to `block - 1` tokens (spec 5.5). The last
    position of a block is never used (quirk 10).
    """
    longest = block - 1
    if step < longest:
        return step + 1
    shortest = longest if shift is None else min(shift, longest)
    return shortest + (step - block) % (longest - shortest + 1)


@torch.no_grad()
def sample(
    model: WindowGPT,
    start: Int[Tensor, "B 1 S"],
    music: Float[Tensor, "B T C"],
    leader: Int[Tensor, "B M L"] | None = None,
    pick: Choose = greedy,
    shift: int | None = None,
) -> Int[Tensor, "B N S"]:
    """Return `start` and what follows it, as far as the music can be looked ahead at.

    Each step computes its window anew: as the window slides, its positions begin again, and what
    mixers make of the conditions changes, so keys and values cannot be kept.

    Args:
        model: in evaluation mode.
        start: the first tokens.
        music: from the second token step on, and as much before it as a step is told of.
        leader: from the first token step on; one step longer than the music, or more. None where
            the model is told of no leader.
        pick: chooses tokens; called for each stream in its order.
        shift: see `history_length`.
    """
    config, rates = model.config, model.rates
    told = (music,) if leader is None else (music, leader)
    beyond = config.tokens_before + config.tokens_ahead
    tokens = start
    for step in range(music.shape[1] // config.frames_per_token - beyond):
        first, stop = step + 1 - history_length(step, config.block, shift), step + 1 + beyond
        seen = [x[:, first * rate : stop * rate] for x, rate in zip(told, rates, strict=True)]
        logits = model.predict(tokens[:, first:], *seen)
        chosen = [pick(step, stream, x[:, -1]) for stream, x in enumerate(logits)]
        tokens = torch.cat([tokens, torch.stack(chosen, dim=-1)[:, None]], dim=1)
    return tokens


@torch.no_grad()
def dance(
    model: WindowGPT,
    conditions: Mapping[str, Tensor],
    steps: int | None,
    sampling: SamplingConfig,
    generator: torch.Generator | None,
    prompt: Int[Tensor, "B P S"] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, their log-probabilities and values (zeros), each `(B, N, S)`.

    Duolando's original stops `look_forward` tokens before its leader does. Here the last frame of
    music and leader goes on, so that the dance is whole; what comes before does not change.

    Args:
        model: the follower; it runs in evaluation mode.
        conditions: from the first step on, see `WindowGPT.forward`.
        steps: length of the dance; None is as long as the leader, or the music of a soloist.
        sampling: temperature and cut-offs; temperature 0 is the original's choice.
        generator: the source of chance.
        prompt: the first step's tokens; None takes the config's `start_tokens`.

    Raises:
        InputError: conditions that do not fit, or nobody says how to start.
    """
    steps = model.length(conditions) if steps is None else steps
    told = model.told(conditions, steps or 1)
    music, leader = told[0], (told[1] if len(told) > 1 else None)
    start = _start(model, len(music), prompt).to(music.device)
    likely = [torch.zeros_like(start[:, 0], dtype=torch.float32)]

    def pick(step: int, stream: int, logits: Tensor) -> Tensor:
        tokens, log_probs = choose(logits, sampling, generator)
        if stream == 0:
            likely.append(torch.zeros_like(likely[0]))
        likely[-1][:, stream] = log_probs
        return tokens

    training = model.training
    model.eval()
    try:
        tokens = sample(model, start, music, leader, pick, model.config.shift)
    finally:
        model.train(training)
    log_probs = torch.stack(likely, dim=1)
    return tokens, log_probs, torch.zeros_like(log_probs)


def _start(
    model: WindowGPT, batch: int, prompt: Int[Tensor, "B P S"] | None
) -> Int[Tensor, "B 1 S"]:
    if prompt is not None:
        if prompt.shape[1] != model.prompt_steps:
            raise InputError(
                f"a prompt of {prompt.shape[1]} steps was given; this follower begins with "
                f"{model.prompt_steps}"
            )
        return prompt
    if not model.config.start_tokens:
        raise InputError(
            "this follower has to be told its first tokens: set start_tokens in its config.yaml, "
            "or give the beginning of the true follower"
        )
    return torch.tensor(model.config.start_tokens).expand(batch, 1, -1)
