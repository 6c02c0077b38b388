"""Sampling from a `DuolandoGPT`: its window over the past, and any way to choose a token."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.models.duolando import DuolandoGPT

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
    model: DuolandoGPT,
    start: Int[Tensor, "B 1 5"],
    music: Float[Tensor, "B T C"],
    leader: Int[Tensor, "B M 4"],
    choose: Choose = greedy,
    shift: int | None = None,
) -> Int[Tensor, "B N 5"]:
    """Return `start` and what follows it, as far as the music can be looked ahead at.

    Each step computes its window anew: as the window slides, what the mixers make of music and
    leader changes for all of its positions, so keys and values cannot be kept.

    Args:
        model: in evaluation mode.
        start: the first tokens.
        music: from the second token step on.
        leader: from the first token step on; one step longer than the music, or more.
        choose: picks tokens; called for each stream in its order.
        shift: see `history_length`.
    """
    config = model.config
    rate = config.frames_per_token
    tokens = start
    for step in range(music.shape[1] // rate - config.look_forward):
        stop = step + 1 + config.look_forward
        first = step + 1 - history_length(step, config.block, shift)
        logits = model.predict(
            tokens[:, first:], music[:, first * rate : stop * rate], leader[:, first:stop]
        )
        chosen = [choose(step, stream, x[:, -1]) for stream, x in enumerate(logits)]
        tokens = torch.cat([tokens, torch.stack(chosen, dim=-1)[:, None]], dim=1)
    return tokens
