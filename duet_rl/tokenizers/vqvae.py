"""VQ-VAE over the channels of one part: frames in, one token per level and few frames out."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.tokenizers.conv import HALVINGS, ConvConfig, Decoder, Encoder, StreamCache
from duet_rl.tokenizers.quantizers import (
    CodebookStatistics,
    ResidualQuantizer,
    VectorQuantizerConfig,
)
from duet_rl.tokenizers.spec import check_frames
from duet_rl.tokenizers.workers import all_mean


class PartVQVAEConfig(ConvConfig, VectorQuantizerConfig):
    """Size and training of the VQ-VAE of one part: its networks, its codebooks, and these."""

    levels: int = Field(1, ge=1)  # residual codebooks
    commit: float = Field(0.1, ge=0)  # weight of the commitment loss
    one_decoder: bool = True  # all heads on one decoder; False: a decoder for each head
    centre: bool = True  # subtract the mean of the first training batch from what goes in and out


class VQVAEOutput(NamedTuple):
    """One pass through a `PartVQVAE`."""

    heads: dict[str, Float[Tensor, "B C T"]]  # channels first
    tokens: Int[Tensor, "B N L"]
    commit_loss: Float[Tensor, ""]
    statistics: tuple[CodebookStatistics, ...]  # empty outside training


class PartVQVAE(nn.Module):
    """Encode the channels of one part as tokens and decode its heads from them.

    `B` clips of `T` frames become `N` steps of `L = config.levels` tokens, by default `N = T / 4`.
    What goes in and what each head gives may differ: positions in, positions and rotations out.

    Args:
        config: size and training.
        inputs: channels of the input.
        heads: channels of each output by name.
        causal: whether a token depends on the past alone, and a frame on past tokens alone.
        halvings: how often the frames are halved on the way to the tokens; by default twice.

    Example:
        >>> vqvae = PartVQVAE(PartVQVAEConfig(), inputs=48, heads={"positions": 48})
        >>> tokens = vqvae.encode(torch.zeros(2, 240, 48))
        >>> tokens.shape, vqvae.decode(tokens)["positions"].shape
        (torch.Size([2, 60, 1]), torch.Size([2, 240, 48]))
    """

    def __init__(
        self,
        config: PartVQVAEConfig,
        inputs: int,
        heads: Mapping[str, int],
        causal: bool = False,
        halvings: int = HALVINGS,
    ) -> None:
        super().__init__()
        self.config = config
        self.frames_per_token = 2**halvings
        self.heads = dict(heads)
        code = config.code_width
        self.encoder = Encoder(config, inputs, code, causal=causal, halvings=halvings)
        self.quantizer = ResidualQuantizer(config, config.levels)
        groups = [list(heads)] if config.one_decoder else [[name] for name in heads]
        self.decoders = nn.ModuleDict(
            {
                "_".join(group): Decoder(
                    config,
                    code,
                    sum(heads[name] for name in group),
                    causal=causal,
                    halvings=halvings,
                )
                for group in groups
            }
        )
        self.input_mean = _Mean(inputs)
        self.head_means = nn.ModuleDict({name: _Mean(size) for name, size in heads.items()})

    @property
    def initialised(self) -> bool:
        """Whether a first training batch has set the means and the codebooks."""
        return self.quantizer.initialised

    def generator(self) -> torch.Generator:
        """Return the generator of this training step, the same on all workers."""
        return self.quantizer.generator()

    def encode(
        self, motion: Float[Tensor, "B T C"], cache: StreamCache | None = None
    ) -> Int[Tensor, "B N L"]:
        """Return the tokens of `motion`; a `cache` continues the clip it was used for before."""
        check_frames(motion.shape[1], self.frames_per_token)
        return self.quantizer.encode(self._latents(motion.mT, cache))

    def decode(
        self, tokens: Int[Tensor, "B N L"], cache: StreamCache | None = None
    ) -> dict[str, Float[Tensor, "B T C"]]:
        """Return each head that `tokens` stand for, `(B, T, C)`."""
        heads = self._heads(self.quantizer.decode(tokens), cache)
        return {name: head.mT for name, head in heads.items()}

    def forward(self, motion: Float[Tensor, "B C T"], targets: Mapping[str, Tensor]) -> VQVAEOutput:
        """Quantise and reconstruct, channels first.

        `targets` are what the heads should give, `(B, C, T)`: the first training batch sets the
        means that the heads start from.
        """
        check_frames(motion.shape[-1], self.frames_per_token)
        if self.training and self.config.centre:
            self.input_mean.settle(motion)
            for name, target in targets.items():
                self._mean_of(name).settle(target)
        latents, tokens, commit_loss, statistics = self.quantizer(self._latents(motion))
        return VQVAEOutput(self._heads(latents), tokens, commit_loss, statistics)

    def _latents(
        self, motion: Float[Tensor, "B C T"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B N D"]:
        return self.encoder(self.input_mean.remove(motion), cache).mT

    def _heads(
        self, latents: Float[Tensor, "B N D"], cache: StreamCache | None = None
    ) -> dict[str, Float[Tensor, "B C T"]]:
        parts = [decoder(latents.mT, cache) for decoder in self.decoders.values()]
        frames = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        pieces = frames.split(list(self.heads.values()), dim=1)
        return {
            name: self._mean_of(name).add(piece)
            for name, piece in zip(self.heads, pieces, strict=True)
        }

    def _mean_of(self, head: str) -> "_Mean":
        mean = self.head_means[head]
        assert isinstance(mean, _Mean)
        return mean


class _Mean(nn.Module):
    """The mean of each channel over the first training batch of all workers; zero until then."""

    mean: Tensor
    settled: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1))
        self.register_buffer("settled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def settle(self, values: Float[Tensor, "B C T"]) -> None:
        if not self.settled:
            self.mean.copy_(all_mean(values.float().mean((0, 2)))[:, None])
            self.settled.fill_(1)

    def remove(self, values: Float[Tensor, "B C T"]) -> Float[Tensor, "B C T"]:
        return values - self.mean

    def add(self, values: Float[Tensor, "B C T"]) -> Float[Tensor, "B C T"]:
        return values + self.mean
