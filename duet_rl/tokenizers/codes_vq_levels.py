"""The levels of a residual quantizer: codes that follow averages, or that gradients learn."""

import math
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.tokenizers.quantizers import CodebookStatistics, VectorQuantizer, VectorQuantizerConfig
from duet_rl.tokenizers.workers import all_sum, joined_rows, own_rows

_NORM_EPS = 1e-5  # of the root mean square that queries and keys are divided by
_SHARPNESS = 0.01  # temperature of the choice whose entropy is a loss
_TINY = 1e-5  # keeps the log of a code that no row chooses finite
_LEAST_CHANCE = 1e-20  # keeps the logarithm of a drawn 0 finite
_NOISE = 0.01  # spread of the copies when a batch has fewer rows than the codebook has codes


class LevelConfig(VectorQuantizerConfig):
    """A codebook of one level and how it learns."""

    codes: int = Field(512, gt=1)
    code_width: int = Field(64, gt=0)  # length of a code
    decay: float = Field(0.99, ge=0, lt=1)  # of the moving averages, per training step
    # hard: the nearest code, which follows the average of what it stands for | soft: the code of
    # the largest product with what it shall stand for, learned by gradients
    quantizer: Literal["hard", "soft"] = "hard"
    # Rows of a batch that fill a codebook and restart its codes: any | the first of the batch.
    rows: Literal["drawn", "first"] = "drawn"
    # hard: in training, Gumbel noise of this scale on squared distances, so that a code that is
    # hardly farther than the nearest is taken too; 0: the nearest.
    choice_noise: float = Field(0.0, ge=0)
    codebook_share: float = Field(0.25, ge=0)  # soft: pull of the rows on codes, of that on rows


class LevelCodes(NamedTuple):
    """What one level says of its rows."""

    codes: Float[Tensor, "B N D"]  # the gradient goes straight to the rows
    tokens: Int[Tensor, "B N"]
    commit_loss: Float[Tensor, ""]  # how far codes and rows are apart
    entropy_loss: Float[Tensor, ""]  # large where choices are unsure, or always the same
    statistics: tuple[CodebookStatistics, ...]  # in training, of levels that need them


class HardLevel(VectorQuantizer):
    """The nearest code of a codebook that follows moving averages."""

    config: LevelConfig

    def quantise(self, rows: Float[Tensor, "B N D"]) -> LevelCodes:
        """Return the codes of `rows` and their mean squared distance; no entropy is asked for.

        With noise of scale s, code k is taken with a probability in proportion to
        exp(-distance_k^2 / s) (the Gumbel-max trick).
        """
        noisy = self.training and self.config.choice_noise > 0
        tokens = self._drawn(rows) if noisy else self.nearest(rows)
        codes = self.lookup(tokens).to(rows)
        statistics = (self.statistics(rows, tokens),) if self.training else ()
        commit_loss = (rows - codes).square().mean()
        return LevelCodes(
            straight_through(rows, codes), tokens, commit_loss, rows.new_zeros(()), statistics
        )

    def _drawn(self, rows: Float[Tensor, "B N D"]) -> Int[Tensor, "B N"]:
        """Return tokens drawn by distance, for each row the same on any number of workers."""
        shape = (joined_rows(len(rows)), rows.shape[1], self.config.codes)
        chance = torch.rand(shape, generator=self.generator())[own_rows(len(rows))].to(rows)
        gumbel = -torch.log(-torch.log(chance.clamp_min(_LEAST_CHANCE)))
        return (self.distances(rows) - self.config.choice_noise * gumbel).argmin(-1)

    def _candidates(self, rows: Float[Tensor, "R D"]) -> Float[Tensor, "K D"]:
        if self.config.rows == "first":
            return _first_rows(rows, self.config.codes, self.generator())
        return super()._candidates(rows)


class SoftLevel(nn.Module):
    """The code whose key has the largest product with a row's query; what it emits is its value.

    Queries, keys and values are linear maps of rows and codebook, and all of it learns by
    gradients (PGR2M: Jeong and Choi 2025, arXiv 2512.22464). The codes stay zeros until a first
    training batch fills them.
    """

    filled: Tensor

    def __init__(self, config: LevelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.code_width
        self.codebook = nn.Parameter(torch.zeros(config.codes, width))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.query_norm = nn.RMSNorm(width, eps=_NORM_EPS)
        self.key_norm = nn.RMSNorm(width, eps=_NORM_EPS)
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @property
    def initialised(self) -> bool:
        """Whether a first batch has filled the codebook."""
        return bool(self.filled > 0)

    @torch.no_grad()
    def initialise(self, latents: Float[Tensor, "B N D"]) -> None:
        """Fill the codebook with the first rows of the joined batch of all workers."""
        generator = torch.Generator().manual_seed(self.config.seed)
        rows = latents.detach().float().flatten(0, 1)
        self.codebook.copy_(all_sum(_first_rows(rows, self.config.codes, generator)))
        self.filled.fill_(1)

    def logits(self, rows: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch K"]:
        """Return how well each code would stand for each row."""
        query = self.query_norm(self.query(rows))
        key = self.key_norm(self.key(self.codebook))
        return query @ key.mT / math.sqrt(self.config.code_width)

    def nearest(self, latents: Float[Tensor, "*batch D"]) -> Int[Tensor, "*batch"]:
        """Return the token of the largest logit, the lowest where several are equal."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.logits(latents.float()).argmax(-1)

    def lookup(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch D"]:
        """Return the values of the codes that `tokens` name: what a decoder is given."""
        return nn.functional.embedding(tokens, self.value(self.codebook))

    def quantise(self, rows: Float[Tensor, "B N D"]) -> LevelCodes:
        """Return the codes of `rows` and what makes both learn.

        Of the three equal distances, the first moves the choice, the second the rows, the third
        the codes. The decoder moves the rows alone.
        """
        with torch.autocast(rows.device.type, enabled=False):
            rows = rows.float()
            logits = self.logits(rows)
            tokens = logits.argmax(-1)
            values = self.value(self.codebook)
            codes = nn.functional.embedding(tokens, values)
            share = logits.softmax(-1)
            chosen = nn.functional.one_hot(tokens, self.config.codes).to(share)
            moving = (share + (chosen - share).detach()) @ values
            pull = self.config.codebook_share * (codes - rows.detach()).square().mean()
            commit_loss = (
                (moving - rows).square().mean() + (codes.detach() - rows).square().mean() + pull
            )
            sure, even = choice_entropies(logits)
        return LevelCodes(straight_through(rows, codes), tokens, commit_loss, sure - even, ())


Level: TypeAlias = HardLevel | SoftLevel  # what a residual quantizer is made of


def choice_entropies(
    logits: Float[Tensor, "*batch K"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the mean entropy of each row's choice, and that of the mean choice, in nats.

    The first is small where every row knows its code, the second large where all codes are used
    (the entropy penalty of MAGVIT-v2: Yu et al. 2024, arXiv 2310.05737).
    """
    logits = logits.flatten(0, -2) / _SHARPNESS
    share = logits.softmax(-1)
    mean = share.mean(0)
    each = -(share * logits.log_softmax(-1)).sum(-1).mean()
    return each, -(mean * (mean + _TINY).log()).sum()


def straight_through(
    rows: Float[Tensor, "B N D"], codes: Float[Tensor, "B N D"]
) -> Float[Tensor, "B N D"]:
    """Return `codes`, whose gradient goes to `rows`."""
    return rows + (codes - rows).detach()


def _first_rows(
    rows: Float[Tensor, "R D"], codes: int, generator: torch.Generator
) -> Float[Tensor, "K D"]:
    """Return this worker's share of the first rows of the joined batch, again from the first on.

    Adding the shares of all workers gives the rows; copies are moved apart by a little noise.
    """
    own, total = own_rows(len(rows)), joined_rows(len(rows))
    wanted = torch.arange(codes) % total
    mine = ((wanted >= own.start) & (wanted < own.stop)).to(rows)
    share = rows[(wanted - own.start).clamp(0, len(rows) - 1).to(rows.device)] * mine[:, None]
    if total < codes and own.start == 0:
        noise = torch.randn(codes, rows.shape[1], generator=generator) * _NOISE
        share = share + noise.to(rows) / math.sqrt(rows.shape[1])
    return share
