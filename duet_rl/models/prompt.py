"""What a model is told beside its steps, as a row of vectors, and the attention that hears it."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Prompt(NamedTuple):
    """A row of vectors for each clip; those of shorter texts are filled up."""

    vectors: Float[Tensor, "B L D"]
    known: Bool[Tensor, "B L"]  # False where a vector means nothing; one of a row is True


class Heard(NamedTuple):
    """Keys and values that one layer makes of a prompt, once for a whole clip."""

    keys: Float[Tensor, "B H L E"]
    values: Float[Tensor, "B H L E"]
    mask: Bool[Tensor, "B 1 1 L"]


class PromptAttention(nn.Module):
    """Attention from every position to a prompt, over a normalised input, added to that input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def read(self, prompt: Prompt) -> Heard:
        """Return the keys and values of a prompt; a prompt of one clip serves all of a batch."""
        keys, values = self._heads(self.key_value(prompt.vectors)).chunk(2, dim=1)
        return Heard(keys, values, prompt.known[:, None, None])

    def forward(self, x: Float[Tensor, "B N D"], heard: Heard) -> Float[Tensor, "B N D"]:
        query = self._heads(self.query(self.norm(x)))
        parts = (part.expand(len(x), -1, -1, -1) for part in heard)
        keys, values, mask = parts
        gathered = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return x + self.dropout(self.project(gathered.transpose(1, 2).flatten(2)))

    def _heads(self, x: Tensor) -> Tensor:
        """Return `(B, H, L, E)`, or twice as many heads of keys and values."""
        channels = self.query.out_features // self.heads
        return x.unflatten(2, (-1, channels)).transpose(1, 2)
