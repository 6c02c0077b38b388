"""Residual quantisation of which later levels may be left out, in training and after."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.tokenizers.codes_vq_levels import HardLevel, Level, LevelConfig, SoftLevel
from duet_rl.tokenizers.quantizers import CodebookStatistics
from duet_rl.tokenizers.spec import DROPPED

_SEED_STRIDE = 1_000_003  # steps before the draws of one seed meet those of the next


class ResidualConfig(LevelConfig):
    """A chain of codebooks."""

    levels: int = Field(6, ge=1)
    # Where the gradient of the codes goes: once to the latents | once from every level, which
    # makes it as many times as large as there are levels (PGR2M).
    straight_through: Literal["once", "levels"] = "once"


class ResidualCodes(NamedTuple):
    """Latents after quantisation; the losses are means over the levels in use."""

    codes: Float[Tensor, "B N D"]
    tokens: Int[Tensor, "B N L"]  # `DROPPED` at levels that were left out
    commit_loss: Float[Tensor, ""]
    entropy_loss: Float[Tensor, ""]
    statistics: tuple[CodebookStatistics, ...]  # of hard levels in use, in training


class DroppableQuantizer(nn.Module):
    """Codebooks in a chain, each of which quantises what the ones before left over."""

    steps: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        make = HardLevel if config.quantizer == "hard" else SoftLevel
        self.levels = nn.ModuleList(make(config) for _ in range(config.levels))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def initialised(self) -> bool:
        """Whether a first batch has filled the codebooks."""
        return all(level.initialised for level in self._levels())

    def generator(self) -> torch.Generator:
        """Return the generator of this training step, the same on all workers."""
        return torch.Generator().manual_seed(self.config.seed * _SEED_STRIDE + int(self.steps))

    def encode(
        self, latents: Float[Tensor, "B N D"], active: int | None = None
    ) -> Int[Tensor, "B N L"]:
        """Return one token for each level, `DROPPED` behind the first `active` ones."""
        tokens = torch.full((*latents.shape[:2], self.config.levels), DROPPED, dtype=torch.int64)
        tokens = tokens.to(latents.device)
        rest = latents
        for index, level in enumerate(self._levels()[:active]):
            tokens[..., index] = level.nearest(rest)
            rest = rest - level.lookup(tokens[..., index])
        return tokens

    def decode(self, tokens: Int[Tensor, "B N L"]) -> Float[Tensor, "B N D"]:
        """Return the sum of the codes of all levels that were not left out."""
        return torch.stack(self.each(tokens)).sum(0)

    def each(self, tokens: Int[Tensor, "B N L"]) -> list[Float[Tensor, "B N D"]]:
        """Return the codes of every level by itself, zeros where it was left out.

        Raises:
            InputError: another number of levels, or a token that names no code.
        """
        found = (int(tokens.min()), int(tokens.max())) if tokens.numel() else (0, 0)
        if tokens.shape[-1] != self.config.levels or not (
            found[0] >= DROPPED and found[1] < self.config.codes
        ):
            raise InputError(
                f"the residual tokens have {tokens.shape[-1]} levels of codes from {found[0]} to "
                f"{found[1]}, wanted {self.config.levels} levels of codes up to "
                f"{self.config.codes - 1} ({DROPPED} where a level is left out); use the "
                "tokenizer that made them"
            )
        kept = (tokens != DROPPED)[..., None]
        return [
            level.lookup(tokens[..., i].clamp_min(0)) * kept[..., i, :]
            for i, level in enumerate(self._levels())
        ]

    def forward(self, latents: Float[Tensor, "B N D"], active: int | None = None) -> ResidualCodes:
        """Quantise by the first `active` levels; in training, gather what codebooks learn from."""
        total, rest = torch.zeros_like(latents), latents
        tokens, taken = [], []
        for level in self._levels()[:active]:
            if self.training and not level.initialised:
                level.initialise(rest)
            one = level.quantise(rest)
            taken.append(one)
            tokens.append(one.tokens)
            total, rest = total + one.codes, rest - one.codes.detach()
        if self.config.straight_through == "once":
            total = latents + (total - latents).detach()
        dropped = torch.full_like(tokens[0], DROPPED)
        tokens += [dropped] * (self.config.levels - len(tokens))
        return ResidualCodes(
            total,
            torch.stack(tokens, dim=-1),
            torch.stack([one.commit_loss for one in taken]).mean(),
            torch.stack([one.entropy_loss for one in taken]).mean(),
            tuple(batch for one in taken for batch in one.statistics),
        )

    @torch.no_grad()
    def update(self, statistics: Sequence[CodebookStatistics]) -> None:
        """End a training step: move hard codebooks in use by what a joined batch says of them."""
        for level, batch in zip(self.levels, statistics, strict=False):
            assert isinstance(level, HardLevel)
            level.update(batch)
        self.steps += 1

    def _levels(self) -> list[Level]:
        return list(self.levels)  # type: ignore[arg-type]
