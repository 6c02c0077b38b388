"""What is read from the hidden state: logits of every stream, and the value."""

from collections.abc import Sequence
from itertools import accumulate

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
    sampled one after the other. In `blocks` (their sizes), streams are sampled a block at a time
    and see those of earlier blocks.

    With `stop`, the last stream says that the clip was over before this step. It is a block of
    its own that sees nothing of the step: in training, what stands there is no dance.
    """

    def __init__(
        self,
        classes: Sequence[int],
        width: int,
        see_earlier: bool,
        blocks: Sequence[int] = (),
        stop: bool = False,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        sizes = list(blocks) or [1] * len(self.classes)
        assert sum(sizes) == len(self.classes)
        if stop and sizes[-1] > 1:
            sizes[-1:] = [sizes[-1] - 1, 1]
        ends = tuple(accumulate(sizes))
        self.blocks = tuple(range(end - size, end) for size, end in zip(sizes, ends, strict=True))
        self.seeing = len(self.blocks) - stop  # so many blocks see those before them
        self.classify = nn.Linear(width, sum(classes))
        self.see_earlier = see_earlier and self.seeing > 1
        if self.see_earlier:
            last = self.blocks[self.seeing - 1]
            self.earlier = StreamEmbedding(self.classes[: last.start], width)
            self.norm = nn.LayerNorm(width)
            self.combine = FeedForward(width)

    def forward(
        self, hidden: Float[Tensor, "B N #S D"], tokens: Int[Tensor, "B N S"]
    ) -> tuple[Tensor, ...]:
        """Return the logits of each stream, `(B, N, V)`; none sees its own block of `tokens`."""
        if self.see_earlier:
            taken = [self._read(index, tokens) for index in range(self.seeing - 1)]
            nothing = torch.zeros_like(taken[0])
            seen = torch.stack([nothing, *taken], dim=2).cumsum(dim=2)
            if self.seeing < len(self.blocks):
                seen = torch.cat([seen, nothing[:, :, None]], dim=2)
            hidden = self._combine(hidden, seen)
        if hidden.shape[2] == 1:
            return self.independent(hidden[:, :, 0])
        logits: list[Tensor] = []
        for index in range(len(self.blocks)):
            logits.extend(self._classify(index, hidden[:, :, index]))
        return tuple(logits)

    def independent(self, hidden: Float[Tensor, "*batch D"]) -> tuple[Tensor, ...]:
        """Return the logits of every stream at once, `(..., V)`, from one state."""
        return self.classify(hidden).split(self.classes, dim=-1)

    def block(
        self, index: int, hidden: Float[Tensor, "B D"], seen: Float[Tensor, "B D"]
    ) -> tuple[Tensor, ...]:
        """Return the logits of the streams of one block, `(B, V)` each.

        Args:
            index: of the block.
            hidden: state of the step, or of the block's stream.
            seen: of the blocks before, from `see`; zeros for the first.
        """
        if self.see_earlier:
            hidden = self._combine(hidden, seen)
        return self._classify(index, hidden)

    def see(
        self, index: int, tokens: Int[Tensor, "B S"], seen: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B D"]:
        """Return what the block after `index` sees, when that has seen `seen`."""
        if not self.see_earlier or index + 1 >= self.seeing:
            return torch.zeros_like(seen)
        return seen + self._read(index, tokens)

    def _read(self, index: int, tokens: Tensor) -> Tensor:
        """Return what later blocks see of the tokens of one block."""
        streams = self.blocks[index]
        return self.earlier.some(streams.start, tokens[..., streams.start : streams.stop])

    def _combine(self, hidden: Tensor, seen: Tensor) -> Tensor:
        mixed = hidden + seen
        return mixed + self.combine(self.norm(mixed))

    def _classify(self, index: int, hidden: Tensor) -> tuple[Tensor, ...]:
        streams = self.blocks[index]
        start = sum(self.classes[: streams.start])
        classes = self.classes[streams.start : streams.stop]
        rows = slice(start, start + sum(classes))
        weight, bias = self.classify.weight[rows], self.classify.bias[rows]
        return nn.functional.linear(hidden, weight, bias).split(classes, dim=-1)


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
