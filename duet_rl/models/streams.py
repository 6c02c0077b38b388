"""Rows of tokens, one column per stream: their checks, their embedding, their corruption."""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from duet_rl.errors import InputError

INIT_STD = 0.5  # of the entries of an embedding vector
GOES_ON, STOPS = 0, 1  # the classes of a stop stream
STOP_CLASSES = 2
DROPPED = -1  # a residual token that is not there: it adds nothing, and no loss looks at it


def uniform(
    shape: Sequence[int], generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Return numbers in [0, 1) on `device`, drawn by `generator` wherever that lives."""
    source = device if generator is None else generator.device
    return torch.rand(tuple(shape), generator=generator, device=source).to(device)


def check_tokens(tokens: Tensor, classes: Sequence[int], what: str) -> None:
    """Make sure that `tokens` `(B, N, S)` are whole numbers within `classes` of each stream.

    Raises:
        InputError: names the first fault that it finds; `what` names the tokens.
    """
    if tokens.dim() != 3 or tokens.shape[-1] != len(classes):
        raise InputError(
            f"{what} have the shape {tuple(tokens.shape)}; (batch, steps, {len(classes)}) is "
            "wanted, one column per stream"
        )
    if tokens.dtype not in (torch.int64, torch.int32):
        raise InputError(f"{what} are {tokens.dtype}; give whole numbers (torch.int64)")
    limit = torch.tensor(classes, device=tokens.device)
    wrong = (tokens < 0) | (tokens >= limit)
    if bool(wrong.any()):
        batch, step, stream = wrong.nonzero()[0].tolist()
        raise InputError(
            f"{what} hold class {int(tokens[batch, step, stream])} in stream {stream} (clip "
            f"{batch}, step {step}); that stream has the classes 0 to {classes[stream] - 1}: "
            "encode the clip with the tokenizer that the model was trained on"
        )


def corrupt(
    tokens: Int[Tensor, "B N S"],
    classes: Sequence[int],
    rate: float,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "B N S"]:
    """Replace each token by a random class of its stream with probability `rate`.

    A follower that sees its own true past in training copies it and ignores the leader; when
    it dances, its past is its own guess. Corrupting about half of the past mends that.
    """
    limit = torch.tensor(classes, device=tokens.device)
    random = (uniform(tokens.shape, generator, tokens.device) * limit).to(tokens.dtype)
    hit = uniform(tokens.shape, generator, tokens.device) < rate
    return torch.where(hit, random, tokens)


def exchange_steps(
    tokens: Int[Tensor, "B N S"], rate: float, generator: torch.Generator | None = None
) -> Int[Tensor, "B N S"]:
    """Replace each step with probability `rate` by a step of the same batch, all of its streams.

    Where streams say much of each other, tokens that were replaced one by one can be told by their
    neighbours, and the past is as good as true; a step that some dancer did take cannot.
    """
    batch, steps, _ = tokens.shape
    hit = uniform((batch, steps, 1), generator, tokens.device) < rate
    drawn = (uniform((batch, steps), generator, tokens.device) * batch * steps).long()
    return torch.where(hit, tokens.flatten(0, 1)[drawn], tokens)


def steps_danced(tokens: Int[Tensor, "B N S"]) -> Int[Tensor, "B"]:
    """Return how many steps each clip has before its last stream says `STOPS`, 1 at least."""
    stopped = (tokens[..., -1] == STOPS).cumsum(dim=1) > 0
    return (~stopped).sum(dim=1).clamp(min=1)


def tokens_that_count(tokens: Int[Tensor, "B N S"]) -> Bool[Tensor, "B N S"]:
    """Return which tokens of clips with a stop stream, their last one, a loss may look at.

    The row of the first `STOPS` is no step of the dance: of it that token alone counts, and
    nothing of the rows behind. What other tokens stand there does not matter.
    """
    stops = (tokens[..., -1:] == STOPS).cumsum(dim=1)
    before = stops == 0
    first = (stops == 1) & (tokens[..., -1:] == STOPS)
    motion = before.expand(*tokens.shape[:2], tokens.shape[2] - 1)
    return torch.cat([motion, before | first], dim=-1)


class StreamEmbedding(nn.Module):
    """One table that holds a vector for every class of every stream."""

    offsets: Tensor

    def __init__(self, classes: Sequence[int], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(classes), width)
        nn.init.normal_(self.table.weight, std=INIT_STD)
        starts = [0, *accumulate(classes)][:-1]
        self.register_buffer("offsets", torch.tensor(starts), persistent=False)

    def forward(self, tokens: Int[Tensor, "B N S"]) -> Float[Tensor, "B N D"]:
        rows = (tokens + self.offsets).flatten(0, 1)
        summed = F.embedding_bag(rows, self.table.weight, mode="sum")
        return summed.view(*tokens.shape[:2], -1)

    def each(self, tokens: Int[Tensor, "B N S"]) -> Float[Tensor, "B N S D"]:
        """Return the vector of every token by itself."""
        return self.table(tokens + self.offsets)

    def some(self, first: int, tokens: Int[Tensor, "*batch S"]) -> Float[Tensor, "*batch D"]:
        """Return the summed vectors of the tokens of neighbouring streams from `first` on."""
        rows = tokens + self.offsets[first : first + tokens.shape[-1]]
        summed = F.embedding_bag(rows.flatten(0, -2), self.table.weight, mode="sum")
        return summed.view(*tokens.shape[:-1], -1)

    def one(self, stream: int, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch D"]:
        """Return the vectors of tokens that all belong to one stream."""
        return self.table(tokens + self.offsets[stream])
