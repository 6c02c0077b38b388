"""A stack of pre-norm transformer layers, whole clips or one position at a time."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from duet_rl.models.attention import Band, Rotation, SelfAttention
from duet_rl.models.kv_cache import KVCache
from duet_rl.models.prompt import Heard, Prompt, PromptAttention
from duet_rl.models.repeated import Repeated

EXPANSION = 4  # hidden units of the feed-forward part, times the width
INIT_GAIN = 0.7  # std of linear weights times sqrt(inputs); GPT-2 has 0.55 at its width


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, for each position by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, EXPANSION * width)
        self.activation = nn.GELU()
        self.project = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        return self.project(self.activation(self.expand(x)))


class AttentionLayer(nn.Module):
    """Attention over a normalised input, added to that input."""

    def __init__(
        self, width: int, heads: int, dropout: float, attention_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, attention_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B N D"], rotation: Rotation | None, band: Band
    ) -> Float[Tensor, "B N D"]:
        return x + self.dropout(self.attention(self.norm(x), rotation, band))

    def step(
        self, x: Float[Tensor, "B 1 D"], rotation: Rotation | None, cache: KVCache, layer: int
    ) -> Float[Tensor, "B 1 D"]:
        """Return the output at the newest position; `layer` is this layer's place in `cache`."""
        return x + self.attention.step(self.norm(x), rotation, cache, layer)


class TransformerLayer(Repeated):
    """Attention, then the feed-forward part, each normalised before and added to its input.

    A layer that is `prompted` hears a prompt between the two.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        attention_dropout: float = 0.0,
        prompted: bool = False,
    ) -> None:
        super().__init__()
        self.attend = AttentionLayer(width, heads, dropout, attention_dropout)
        self.hear = PromptAttention(width, heads, dropout) if prompted else None
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        rotation: Rotation | None,
        band: Band,
        prompt: Prompt | None = None,
    ) -> Float[Tensor, "B N D"]:
        x = self.attend(x, rotation, band)
        if self.hear is not None:
            assert prompt is not None
            x = self.hear(x, self.hear.read(prompt))
        return x + self.dropout(self.feed_forward(self.norm(x)))

    def step(
        self,
        x: Float[Tensor, "B 1 D"],
        rotation: Rotation | None,
        cache: KVCache,
        layer: int,
        heard: Heard | None = None,
    ) -> Float[Tensor, "B 1 D"]:
        """Return the output at the newest position; `layer` is this layer's place in `cache`."""
        x = self.attend.step(x, rotation, cache, layer)
        if self.hear is not None:
            assert heard is not None
            x = self.hear(x, heard)
        return x + self.feed_forward(self.norm(x))


class Transformer(nn.Module):
    """`layers` transformer layers and a final normalisation; `prompted` ones hear a prompt."""

    def __init__(
        self, width: int, layers: int, heads: int, dropout: float, prompted: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads, dropout, prompted=prompted) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        rotation: Rotation | None,
        band: Band,
        prompt: Prompt | None = None,
    ) -> Float[Tensor, "B N D"]:
        told = () if prompt is None else (prompt,)
        for layer in self.layers:
            x = layer(x, rotation, band, *told)
        return self.norm(x)

    def read(self, prompt: Prompt) -> tuple[Heard, ...]:
        """Return what each layer makes of a prompt, for `step`."""
        heard = []
        for layer in self.layers:
            assert isinstance(layer, TransformerLayer) and layer.hear is not None
            heard.append(layer.hear.read(prompt))
        return tuple(heard)

    def step(
        self,
        x: Float[Tensor, "B 1 D"],
        rotation: Rotation | None,
        cache: KVCache,
        heard: Sequence[Heard] = (),
    ) -> Float[Tensor, "B 1 D"]:
        """Return the output at the newest position and move `cache` past it."""
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, TransformerLayer)
            x = layer.step(x, rotation, cache, index, heard[index] if heard else None)
        cache.advance()
        return self.norm(x)


def initialise(module: nn.Module, layers: int) -> None:
    """Draw the weights of every linear layer inside `module`, biases 0.

    Args:
        module: its linear layers get normal weights that keep the size of their input.
        layers: depth of the residual stream; what writes into it starts smaller by
            1 / sqrt(2 x layers), as in GPT-2, so that its size does not grow with the depth.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            into_stream = name.endswith("project")
            gain = INIT_GAIN / math.sqrt(2 * layers) if into_stream else INIT_GAIN
            nn.init.normal_(part.weight, std=gain / math.sqrt(part.in_features))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
