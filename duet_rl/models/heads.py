"""What is read from the hidden state: logits of every stream, and the value."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.models.streams import StreamEmbedding
from duet_rl.models.transformer import FeedForward


class StreamHeads(nn.Module):
    """One classifier per stream in a single matrix.

    The hidden states are `(B, N, 1, D)`, one for all streams of a step, or `(B, N, S, D)`.

    With `see_earlier`, the classifier of a stream also sees the tokens that the streams before
    it take in the same step, so that the parts of the body agree; the streams then have to be
    sampled one after the other.
    """

    def __init__(self, classes: Sequence[int], width: int, see_earlier: bool) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.classify = nn.Linear(width, sum(classes))
        self.see_earlier = see_earlier and len(self.classes) > 1
        if self.see_earlier:
            self.earlier = StreamEmbedding(self.classes[:-1], width)
            self.norm = nn.LayerNorm(width)
            self.combine = FeedForward(width)

    def forward(
        self, hidden: Float[Tensor, "B N #S D"], tokens: Int[Tensor, "B N S"]
    ) -> tuple[Tensor, ...]:
        """Return the logits of each stream, `(B, N, V)`; stream s sees `tokens[..., :s]`."""
        if self.see_earlier:
            each = self.earlier.each(tokens[..., :-1])  # (B, N, S - 1, D)
            nothing = torch.zeros_like(each[:, :, :1])
            hidden = self._combine(hidden, torch.cat([nothing, each], dim=2).cumsum(dim=2))
        if hidden.shape[2] == 1:
            return self.independent(hidden[:, :, 0])
        return tuple(
            self._classify(stream, hidden[:, :, stream]) for stream in range(len(self.classes))
        )

    def independent(self, hidden: Float[Tensor, "*batch D"]) -> tuple[Tensor, ...]:
        """Return the logits of every stream at once, `(..., V)`, from one state."""
        return self.classify(hidden).split(self.classes, dim=-1)

    def one(
        self, stream: int, hidden: Float[Tensor, "B D"], earlier: Sequence[Int[Tensor, "B"]]
    ) -> Float[Tensor, "B V"]:
        """Return the logits of one stream, given the tokens of the streams before it."""
        if self.see_earlier:
            seen = torch.zeros_like(hidden)
            for before, tokens in enumerate(earlier):
                seen = seen + self.earlier.one(before, tokens)
            hidden = self._combine(hidden, seen)
        return self._classify(stream, hidden)

    def _combine(self, hidden: Tensor, seen: Tensor) -> Tensor:
        mixed = hidden + seen
        return mixed + self.combine(self.norm(mixed))

    def _classify(self, stream: int, hidden: Tensor) -> Tensor:
        start = sum(self.classes[:stream])
        rows = slice(start, start + self.classes[stream])
        return nn.functional.linear(hidden, self.classify.weight[rows], self.classify.bias[rows])


class ValueHead(nn.Module):
    """The return that each stream may expect from here on."""

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, width)
        self.activation = nn.GELU()
        self.read = nn.Linear(width, streams)

    def forward(self, hidden: Float[Tensor, "*batch #S D"]) -> Float[Tensor, "*batch S"]:
        features = self.activation(self.expand(hidden))
        return (features * self.read.weight).sum(dim=-1) + self.read.bias
