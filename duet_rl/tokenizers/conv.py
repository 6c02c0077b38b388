"""1-D convolutional encoder and decoder, 2 ** halvings frames a token, optionally streaming."""

from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.models.repeated import Repeated

# What each causal layer (or filter, by name) keeps of the past while a clip arrives in pieces:
# tensors, and of a refiner a cache of its own.
StreamCache: TypeAlias = dict[object, Any]

HALVINGS = 2  # stride-2 stages where nobody says otherwise: four frames a token
_STRIDE_KERNEL = 4  # frames that a stride-2 layer looks at


class ConvConfig(Config):
    """Size of an encoder or decoder."""

    width: int = Field(64, gt=0)  # channels of the hidden layers
    depth: int = Field(2, ge=0)  # residual blocks a stage
    dilation_growth: int = Field(3, ge=1)  # dilation of block i is growth ** i
    narrow_end: bool = False  # the decoder's last layer sees the code's width, as in Jukebox


class TimeConv(nn.Module):
    """A convolution over time; causal ones see the past only and can be fed piece by piece."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        causal: bool,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation - (stride - 1)  # frames seen beyond the own ones
        self.past = reach if causal else 0
        around = 0 if causal else reach // 2
        self.conv = nn.Conv1d(
            inputs, outputs, kernel, stride=stride, dilation=dilation, padding=around
        )

    def forward(
        self, x: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B D M"]:
        if self.past:
            x = _with_past(self, x, self.past, cache)
        return self.conv(x)


class TimeUpsample(nn.Module):
    """A transposed convolution that doubles the frames."""

    def __init__(self, inputs: int, outputs: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        around = 0 if causal else 1
        self.conv = nn.ConvTranspose1d(inputs, outputs, _STRIDE_KERNEL, stride=2, padding=around)

    def forward(
        self, x: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B D M"]:
        if not self.causal:
            return self.conv(x)
        # Frame 2i, 2i + 1 depend on tokens i - 1 and i; the borders depend on one of them alone.
        return self.conv(_with_past(self, x, 1, cache))[..., 2:-2]


class ResidualBlock(Repeated):
    """x + conv1(relu(conv3(relu(x)))) (spec 3.2)."""

    def __init__(self, width: int, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.wide = TimeConv(width, width, 3, causal=causal, dilation=dilation)
        self.narrow = TimeConv(width, width, 1, causal=causal)

    def forward(
        self, x: Float[Tensor, "B D T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B D T"]:
        hidden = self.wide(torch.relu(x), cache)
        return x + self.narrow(torch.relu(hidden))


class _Chain(nn.Module):
    """Layers one after the other, all of which share the stream cache."""

    def __init__(self, layers: list[nn.Module], *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B D M"]:
        if cache is not None and not self.causal:
            raise ValueError("only causal convolutions can stream; build them with causal=True")
        for layer in self.layers:
            x = layer(x, cache)
        return x


class Encoder(_Chain):
    """Frames to latents, `2 ** halvings` to one; channels first.

    With a `cache` (an empty dict at the start of a clip) a causal encoder takes the clip in
    pieces of whole tokens and returns what the whole clip would have given.
    """

    def __init__(
        self,
        config: ConvConfig,
        inputs: int,
        outputs: int,
        *,
        causal: bool,
        halvings: int = HALVINGS,
    ) -> None:
        layers: list[nn.Module] = []
        for stage in range(halvings):
            channels = config.width if stage else inputs
            layers.append(TimeConv(channels, config.width, _STRIDE_KERNEL, causal=causal, stride=2))
            layers += [
                ResidualBlock(config.width, config.dilation_growth**i, causal=causal)
                for i in range(config.depth)
            ]
        layers.append(TimeConv(config.width, outputs, 3, causal=causal))
        super().__init__(layers, causal=causal)


class Decoder(_Chain):
    """Latents to frames, one to `2 ** halvings`; channels first. Streams like `Encoder`."""

    def __init__(
        self,
        config: ConvConfig,
        inputs: int,
        outputs: int,
        *,
        causal: bool,
        halvings: int = HALVINGS,
    ) -> None:
        layers: list[nn.Module] = [TimeConv(inputs, config.width, 3, causal=causal)]
        end = inputs if config.narrow_end else config.width
        for stage in range(halvings):
            layers += [
                ResidualBlock(config.width, config.dilation_growth**i, causal=causal)
                for i in reversed(range(config.depth))
            ]
            channels = config.width if stage < halvings - 1 else end
            layers.append(TimeUpsample(config.width, channels, causal=causal))
        layers.append(TimeConv(end, outputs, 3, causal=causal))
        super().__init__(layers, causal=causal)


def _with_past(
    layer: nn.Module, x: Float[Tensor, "B C T"], frames: int, cache: StreamCache | None
) -> Float[Tensor, "B C M"]:
    """Return `x` behind the last `frames` of what came before it, zeros at the start of a clip."""
    if cache is None:
        return nn.functional.pad(x, (frames, 0))
    past = cache.get(layer)
    if past is None:
        past = x.new_zeros(*x.shape[:2], frames)
    x = torch.cat([past, x], dim=-1)
    cache[layer] = x[..., -frames:]
    return x
