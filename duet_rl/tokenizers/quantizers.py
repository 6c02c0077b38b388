"""Codebooks learned by moving averages, equal on any number of data-parallel workers."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.tokenizers.workers import all_sum, joined_rows, own_rows, world_size

_SEED_STRIDE = 1_000_003  # updates before the draws of one seed meet those of the next
_JUKEBOX_USE = 1.0  # moving average of a code's rows a batch below which Jukebox restarts it
_NOISE = 0.01  # spread of the copies when a batch has fewer rows than the codebook has codes


class VectorQuantizerConfig(Config):
    """A codebook and how it learns."""

    codes: int = Field(128, gt=1)
    code_width: int = Field(32, gt=0)  # length of a code
    decay: float = Field(0.95, ge=0, lt=1)  # of the moving averages, per training step
    restart: Literal["share", "jukebox"] = "share"  # which codes are moved, and what they keep
    restart_share: float = Field(0.2, ge=0)  # of the mean use; a code used less is moved
    seed: int = 0  # of the rows that restarted codes are moved to


class CodebookStatistics(NamedTuple):
    """What one batch says about a codebook. Sums over workers are those of the joined batch."""

    counts: Float[Tensor, "K"]
    sums: Float[Tensor, "K D"]
    candidates: Float[Tensor, "K D"]


class Quantized(NamedTuple):
    """Latents after quantisation; the gradient of `codes` goes straight to the latents."""

    codes: Float[Tensor, "B N D"]
    tokens: Int[Tensor, "B N L"]
    commit_loss: Float[Tensor, ""]
    statistics: tuple[CodebookStatistics, ...]


class VectorQuantizer(nn.Module):
    """The nearest code of a codebook that follows the moving average of what it stands for.

    The first training batch fills the codebook with its own rows, and a code that is hardly used
    moves to a row of the current batch (dead-code restart; `restart: jukebox` is the rule of
    Jukebox and Duolando, spec 3.4). The rows are drawn from the joined
    batch of all workers by a generator that they share, and counts and sums are added over the
    workers, so two workers with half a batch each learn the codebook of one worker with all of
    it. Everything that learning needs is in the `state_dict`.
    """

    codebook: Tensor
    ema_sum: Tensor
    ema_count: Tensor
    updates: Tensor

    def __init__(self, config: VectorQuantizerConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("codebook", torch.zeros(config.codes, config.code_width))
        self.register_buffer("ema_sum", torch.zeros(config.codes, config.code_width))
        self.register_buffer("ema_count", torch.zeros(config.codes))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @property
    def initialised(self) -> bool:
        """Whether a first batch has filled the codebook."""
        return bool(self.updates > 0)

    def generator(self) -> torch.Generator:
        """Return the generator of this training step, the same on all workers."""
        return torch.Generator().manual_seed(self.config.seed * _SEED_STRIDE + int(self.updates))

    def nearest(self, latents: Float[Tensor, "*batch D"]) -> Int[Tensor, "*batch"]:
        """Return the token of the nearest code, the lowest where several are equally near."""
        return self.distances(latents).argmin(-1)

    def distances(self, latents: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch K"]:
        """Return the squared distance to each code, less the squared length of the latents."""
        with torch.autocast(latents.device.type, enabled=False):
            rows = latents.detach().float()
            return self.codebook.square().sum(-1) - 2 * rows @ self.codebook.mT

    def lookup(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch D"]:
        """Return the codes that `tokens` name."""
        return nn.functional.embedding(tokens, self.codebook)

    def statistics(
        self, latents: Float[Tensor, "B N D"], tokens: Int[Tensor, "B N"]
    ) -> CodebookStatistics:
        """Return what this worker's batch says; `reduce_statistics` adds the other workers'."""
        rows = latents.detach().float().flatten(0, 1)
        flat = tokens.flatten()
        counts = torch.bincount(flat, minlength=self.config.codes).to(rows)
        sums = torch.zeros_like(self.codebook).index_add_(0, flat, rows)
        return CodebookStatistics(counts, sums, self._candidates(rows))

    def initialise(self, latents: Float[Tensor, "B N D"]) -> None:
        """Fill the codebook with rows of the joined batch of all workers."""
        candidates = all_sum(self._candidates(latents.detach().float().flatten(0, 1)))
        self.codebook.copy_(candidates)
        self.ema_sum.copy_(candidates)
        self.ema_count.fill_(1.0)
        self.updates += 1

    def update(self, statistics: CodebookStatistics) -> None:
        """Move the codebook by the statistics of a joined batch."""
        config = self.config
        sums = torch.lerp(statistics.sums, self.ema_sum, config.decay)
        counts = torch.lerp(statistics.counts, self.ema_count, config.decay)
        if config.restart == "jukebox":
            # A restarted code keeps its averages: it moves at every step until it has found a row.
            alive = (counts >= _JUKEBOX_USE)[:, None]
            moved = torch.where(alive, sums / counts[:, None], statistics.candidates)
        else:
            mean_use = counts.mean()
            dead = counts < config.restart_share * mean_use
            # A restarted code begins with the mean use, so it has time to find followers.
            counts = torch.where(dead, mean_use, counts)
            sums = torch.where(dead[:, None], statistics.candidates * mean_use, sums)
            moved = sums / counts[:, None]
        self.ema_count.copy_(counts)
        self.ema_sum.copy_(sums)
        self.codebook.copy_(moved)
        self.updates += 1

    def _candidates(self, rows: Float[Tensor, "R D"]) -> Float[Tensor, "K D"]:
        """Return this worker's share of `codes` rows drawn from the joined batch, else zeros.

        Every worker draws the same row numbers of the joined batch (workers in the order of
        their rank, equally many rows each) and fills in those that are its own, so that adding
        the shares gives the rows. With micro batches, each piece does as a worker does.
        """
        codes, own = self.config.codes, own_rows(len(rows))
        generator = self.generator()
        total = joined_rows(len(rows))
        drawn = torch.randperm(total, generator=generator)
        drawn = drawn.repeat(math.ceil(codes / total))[:codes]
        mine = ((drawn >= own.start) & (drawn < own.stop)).to(rows)
        share = rows[(drawn - own.start).clamp(0, len(rows) - 1).to(rows.device)] * mine[:, None]
        if total < codes and own.start == 0:  # copies of one row must not stay equal for ever
            noise = torch.randn(codes, rows.shape[1], generator=generator) * _NOISE
            share = share + noise.to(rows) / math.sqrt(rows.shape[1])
        return share


class ResidualQuantizer(nn.Module):
    """A chain of codebooks, each of which quantises what the ones before left over."""

    def __init__(self, config: VectorQuantizerConfig, levels: int = 1) -> None:
        super().__init__()
        self.levels = nn.ModuleList(VectorQuantizer(config) for _ in range(levels))

    @property
    def initialised(self) -> bool:
        """Whether a first batch has filled the codebooks."""
        return all(level.initialised for level in self._quantizers())

    def generator(self) -> torch.Generator:
        """Return the generator of this training step, the same on all workers."""
        return self._quantizers()[0].generator()

    def encode(self, latents: Float[Tensor, "B N D"]) -> Int[Tensor, "B N L"]:
        """Return one token for each level."""
        tokens, rest = [], latents
        for level in self._quantizers():
            tokens.append(level.nearest(rest))
            rest = rest - level.lookup(tokens[-1])
        return torch.stack(tokens, dim=-1)

    def decode(self, tokens: Int[Tensor, "B N L"]) -> Float[Tensor, "B N D"]:
        """Return the sum of the codes of all levels."""
        codes = [level.lookup(tokens[..., i]) for i, level in enumerate(self._quantizers())]
        return torch.stack(codes).sum(0)

    def forward(self, latents: Float[Tensor, "B N D"]) -> Quantized:
        """Quantise; in training, also gather what the codebooks learn from (see `update`)."""
        tokens, statistics = [], []
        rest, total = latents, torch.zeros_like(latents)
        commit_loss = latents.new_zeros(())
        for level in self._quantizers():
            if self.training and not level.initialised:
                level.initialise(rest)
            tokens.append(level.nearest(rest))
            codes = level.lookup(tokens[-1]).to(latents)
            if self.training:
                statistics.append(level.statistics(rest, tokens[-1]))
            commit_loss = commit_loss + (rest - codes).square().mean()
            total, rest = total + codes, rest - codes
        straight_through = latents + (total - latents).detach()
        return Quantized(
            straight_through, torch.stack(tokens, dim=-1), commit_loss, tuple(statistics)
        )

    def update(self, statistics: Sequence[CodebookStatistics]) -> None:
        """Move every codebook by the statistics of a joined batch (from `reduce_statistics`)."""
        for level, batch in zip(self._quantizers(), statistics, strict=True):
            level.update(batch)

    def _quantizers(self) -> list[VectorQuantizer]:
        return list(self.levels)  # type: ignore[arg-type]


def add_statistics(
    first: Sequence[CodebookStatistics], second: Sequence[CodebookStatistics]
) -> list[CodebookStatistics]:
    """Return the statistics of two pieces of a batch together; no `first` counts as zeros."""
    if not first:
        return list(second)
    pairs = zip(first, second, strict=True)
    return [CodebookStatistics(*map(torch.add, one, other)) for one, other in pairs]


def reduce_statistics(statistics: Sequence[CodebookStatistics]) -> list[CodebookStatistics]:
    """Return the statistics added over all workers, in one message for all codebooks.

    All workers must come with those of the same codebooks, or all with none.
    """
    if world_size() == 1 or not statistics:
        return list(statistics)
    tensors = [tensor for batch in statistics for tensor in batch]
    flat = all_sum(torch.cat([tensor.flatten() for tensor in tensors]))
    pieces = flat.split([tensor.numel() for tensor in tensors])
    shaped = [piece.view_as(tensor) for piece, tensor in zip(pieces, tensors, strict=True)]
    return [CodebookStatistics(*shaped[i : i + 3]) for i in range(0, len(shaped), 3)]


def perplexity(counts: Float[Tensor, "K"]) -> Float[Tensor, ""]:
    """Return exp of the entropy of the codes' use: `K` when all are used alike, 1 for one."""
    share = counts / counts.sum().clamp_min(1)
    return torch.exp(-torch.xlogy(share, share).sum())


def usage(counts: Float[Tensor, "K"]) -> Float[Tensor, ""]:
    """Return the share of codes that the batch used at all."""
    return (counts > 0).float().mean()
