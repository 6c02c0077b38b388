"""The convolutional encoder and decoder of T2M-GPT and PGR2M, optionally streaming.

They differ from those of `conv` in where blocks and strides stand, in the order of the dilations
and in frames that are repeated and then filtered where `conv` has transposed convolutions.
"""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.tokenizers.conv import HALVINGS, ResidualBlock, StreamCache, TimeConv

_STRIDE_KERNEL = 4  # frames that a stride-2 layer looks at
_KERNEL = 3  # frames that the others look at


class CodesConvConfig(Config):
    """Size of an encoder or decoder."""

    width: int = Field(128, gt=0)  # channels of the hidden layers
    depth: int = Field(3, ge=0)  # residual blocks a stage
    dilation_growth: int = Field(3, ge=1)  # the blocks' dilations fall to 1 by this factor
    halvings: int = Field(HALVINGS, ge=0)  # how often the frames are halved


class CodesEncoder(nn.Module):
    """Frames to latents, `2 ** halvings` to one; channels first.

    With a `cache` (an empty dict at the start of a clip) a causal encoder takes the clip in
    pieces of whole tokens and returns what the whole clip would have given.
    """

    def __init__(
        self, config: CodesConvConfig, inputs: int, outputs: int, *, causal: bool = False
    ) -> None:
        super().__init__()
        self.causal, width = causal, config.width
        layers: list[nn.Module] = [TimeConv(inputs, width, _KERNEL, causal=causal), _ReLU()]
        for _ in range(config.halvings):
            layers.append(TimeConv(width, width, _STRIDE_KERNEL, causal=causal, stride=2))
            layers += _blocks(config, causal)
        layers.append(TimeConv(width, outputs, _KERNEL, causal=causal))
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B D N"]:
        return _through(self.layers, x, cache, self.causal)


class CodesDecoder(nn.Module):
    """Latents to frames, one to `2 ** halvings`; channels first. Streams like `CodesEncoder`."""

    def __init__(
        self, config: CodesConvConfig, inputs: int, outputs: int, *, causal: bool = False
    ) -> None:
        super().__init__()
        self.causal, width = causal, config.width
        layers: list[nn.Module] = [TimeConv(inputs, width, _KERNEL, causal=causal), _ReLU()]
        for _ in range(config.halvings):
            layers += _blocks(config, causal)
            layers += [_Repeat(), TimeConv(width, width, _KERNEL, causal=causal)]
        layers += [TimeConv(width, width, _KERNEL, causal=causal), _ReLU()]
        layers.append(TimeConv(width, outputs, _KERNEL, causal=causal))
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: Float[Tensor, "B D N"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B C T"]:
        return _through(self.layers, x, cache, self.causal)


class _ReLU(nn.Module):
    def forward(
        self, x: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B C T"]:
        return x.relu()


class _Repeat(nn.Module):
    """Every frame twice."""

    def forward(
        self, x: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B C M"]:
        return x.repeat_interleave(2, dim=-1)


def _blocks(config: CodesConvConfig, causal: bool) -> list[nn.Module]:
    return [
        ResidualBlock(config.width, config.dilation_growth**i, causal=causal)
        for i in reversed(range(config.depth))
    ]


def _through(
    layers: nn.ModuleList, x: Float[Tensor, "B C T"], cache: StreamCache | None, causal: bool
) -> Float[Tensor, "B D M"]:
    if cache is not None and not causal:
        raise InputError("only causal convolutions can stream; build them with causal=True")
    for layer in layers:
        x = layer(x, cache)
    return x
