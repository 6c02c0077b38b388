"""The residual levels of a dance from its other tokens, one level after the other.

The levels are those of the residual transformers of MoMask (Guo et al. 2024, arXiv 2312.00063)
and PGR2M (Jeong & Choi 2025, arXiv 2512.22464): all tokens of a level are said at once, from the
tokens that are known, the words and the levels before.
"""

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import Band, Block, Rotation, known_only, make_band, rotation_of
from duet_rl.models.kv_cache import KVCache
from duet_rl.models.pgr2m_refine import GREEDY, draw_levels
from duet_rl.models.policy import SamplingConfig, choose
from duet_rl.models.prompt import Heard, Prompt
from duet_rl.models.streams import (
    DROPPED,
    INIT_STD,
    StreamEmbedding,
    check_tokens,
    corrupt,
    uniform,
)
from duet_rl.models.text import PromptEncoder, TextConfig, check_batch
from duet_rl.models.transformer import Transformer, initialise


class LevelRefinerConfig(Config):
    """Size and habits of a `LevelRefiner`; streams and levels come with the data."""

    architecture: Literal["level_refiner"] = "level_refiner"
    classes: tuple[int, ...] = ()  # of each stream that is known; from the TokenSpec
    levels: int = Field(default=6, gt=0)  # of the tokenizer
    codes: int = Field(default=512, gt=1)  # of each level
    width: int = Field(default=128, gt=0)  # channels
    layers: int = Field(default=3, gt=0)
    heads: int = Field(default=4, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    # Steps of future that a layer sees; every layer of every level looks as far again, so live use
    # wants 0. None: every step sees the whole clip; of a clip longer than any in training, as many
    # steps around it as those had.
    look_ahead: int | None = Field(default=None, ge=0)
    look_back: int = Field(default=8, ge=0)  # steps of past that a layer sees, with a look_ahead
    corruption: float = Field(default=0.0, ge=0, le=1)  # of what is known, in training
    # A level whose likeliest code is less likely than this is left out, and so are those after it:
    # a guess leads farther from the motion than nothing does.
    sure: float = Field(default=0.0, ge=0, le=1)
    text: TextConfig | None = None  # how words are heard; None: not at all
    text_dropout: float = Field(default=0.1, ge=0, lt=1)  # of training clips, told no words

    @model_validator(mode="after")
    def _fits_together(self) -> "LevelRefinerConfig":
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not divide into {self.heads} heads of an even number "
                f"of channels; make it a multiple of {2 * self.heads}"
            )
        return self


class LevelCache:
    """What a `LevelRefiner` keeps of the past between the pieces of a dance; new for each."""

    def __init__(self) -> None:
        self.rings: list[KVCache] = []  # of each level
        self.heard: tuple[Heard, ...] = ()  # the words, for each layer

    @property
    def batch(self) -> int | None:
        """Of how many clips it is; None before the first piece."""
        return self.rings[0].keys.shape[1] if self.rings else None


class LevelRefiner(nn.Module):
    """Say the residual tokens of one level from the other streams and the levels before.

    Example:
        >>> config = LevelRefinerConfig(classes=(18, 3, 2), levels=3, codes=64, width=32)
        >>> refiner = LevelRefiner(config).eval()
        >>> refiner.sample(torch.zeros(2, 7, 3, dtype=torch.long)).shape
        torch.Size([2, 7, 3])
    """

    longest: Tensor

    def __init__(self, config: LevelRefinerConfig) -> None:
        super().__init__()
        if not config.classes:
            raise InputError("the model has no token streams; set classes from the TokenSpec")
        self.config = config
        width = config.width
        self.known = StreamEmbedding(config.classes, width)
        self.before: StreamEmbedding | None = None  # of the first level there is nothing before
        if config.levels > 1:
            self.before = StreamEmbedding((config.codes,) * (config.levels - 1), width)
        self.level = nn.Embedding(config.levels, width)
        nn.init.normal_(self.level.weight, std=INIT_STD)
        self.dropout = nn.Dropout(config.dropout)
        prompted = config.text is not None
        self.trunk = Transformer(width, config.layers, config.heads, config.dropout, prompted)
        self.classify = nn.Linear(width, config.levels * config.codes)
        self.words = None if config.text is None else PromptEncoder(config.text, width)
        self.register_buffer("longest", torch.zeros((), dtype=torch.int64))  # steps, in training
        initialise(self, config.layers)

    def forward(
        self,
        tokens: Int[Tensor, "B N S"],
        residual: Int[Tensor, "B N L"],
        level: Int[Tensor, "B"],
        text: Tensor | None = None,
        lengths: Int[Tensor, "B"] | None = None,
        silent: Tensor | None = None,
    ) -> Float[Tensor, "B N V"]:
        """Return the logits of one level of each clip.

        Args:
            tokens: of the streams that are known.
            residual: of all levels; those of `level` and after are not looked at, and `DROPPED`
                ones add nothing.
            level: which one each clip asks for.
            text: of each clip, from the `TextReader` of the model's settings; None says nothing.
            lengths: steps of each clip; what lies behind is not seen. None: all steps.
            silent: `(B,)`, clips whose words are not heard.

        Raises:
            InputError: tokens, residual tokens, levels or text that do not fit the model.
        """
        self._check(tokens, residual, level)
        x = self._inputs(tokens, residual, level)
        band = self._band(tokens.shape[1], lengths, x.device)
        rotation = self._rotation(0, tokens.shape[1])
        prompt = self._prompt(text, len(tokens), silent)
        return self._logits(self.trunk(self.dropout(x), rotation, band, prompt), level)

    def loss(
        self,
        tokens: Int[Tensor, "B N S"],
        residual: Int[Tensor, "B N L"],
        text: Tensor | None = None,
        lengths: Int[Tensor, "B"] | None = None,
        generator: torch.Generator | None = None,
        level: Int[Tensor, "B"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean cross entropy of one level of each clip, in nats; 0 if all is dropped.

        Args:
            tokens: of the streams that are known.
            residual: of all levels, those of `level` are wanted; `DROPPED` ones are left out.
            text: of each clip; None says nothing.
            lengths: steps of each clip; None: all steps.
            generator: draws the levels, and in training corruption and silence.
            level: of each clip; None draws them, low ones more often.

        Raises:
            InputError: tokens, residual tokens, levels or text that do not fit the model.
        """
        config, batch = self.config, len(tokens)
        if level is None:
            level = draw_levels(batch, config.levels, generator).to(tokens.device)
        self._check(tokens, residual, level)
        seen, before, silent = tokens, residual, None
        if self.training:
            seen = corrupt(tokens, config.classes, config.corruption, generator)
            wrong = corrupt(residual, (config.codes,) * config.levels, config.corruption, generator)
            before = torch.where(residual == DROPPED, residual, wrong)
            if text is not None:
                silent = uniform((batch,), generator, tokens.device) < config.text_dropout
        logits = self(seen, before, level, text, lengths, silent)
        wanted = residual.gather(-1, level[:, None, None].expand(*residual.shape[:2], 1))[..., 0]
        if lengths is not None:
            real = torch.arange(wanted.shape[1], device=wanted.device) < lengths[:, None]
            wanted = wanted.masked_fill(~real, DROPPED)
        summed = F.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=DROPPED, reduction="sum"
        )
        return summed / (wanted != DROPPED).sum().clamp(min=1)

    @torch.no_grad()
    def sample(
        self,
        tokens: Int[Tensor, "B N S"],
        text: Tensor | None = None,
        sampling: SamplingConfig = GREEDY,
        generator: torch.Generator | None = None,
        cache: LevelCache | None = None,
        lengths: Int[Tensor, "B"] | None = None,
    ) -> Int[Tensor, "B N L"]:
        """Return the residual tokens of all levels, by default the likeliest; in evaluation mode.

        Args:
            tokens: of the streams that are known; with a `cache`, right after those of the piece
                before.
            text: of each clip; of a dance in pieces, that of the first one counts.
            sampling: temperature and cut-offs.
            generator: the source of chance.
            cache: of a dance that comes in pieces, for a model without look-ahead: greedy tokens
                are those of the whole.
            lengths: steps of each clip; None: all steps.

        Raises:
            InputError: tokens or text that do not fit the model, a cache of other clips, or a
                model that looks ahead and cannot be streamed.
        """
        training = self.training
        self.eval()
        try:
            if cache is not None:
                return self._stream(tokens, text, sampling, generator, cache)
            shape = (*tokens.shape[:2], self.config.levels)
            residual = torch.full(shape, DROPPED, dtype=torch.int64, device=tokens.device)
            for index in range(self.config.levels):
                level = torch.full((len(tokens),), index, device=tokens.device)
                logits = self(tokens, residual, level, text, lengths)
                chosen, _ = choose(logits, sampling, generator)
                residual[..., index] = self._if_sure(chosen, logits, residual, index)
            return residual
        finally:
            self.train(training)

    def _stream(
        self,
        tokens: Tensor,
        text: Tensor | None,
        sampling: SamplingConfig,
        generator: torch.Generator | None,
        cache: LevelCache,
    ) -> Tensor:
        """Return the residual tokens of a piece of a dance, step by step."""
        config = self.config
        check_tokens(tokens, config.classes, "the known tokens")
        if config.look_ahead != 0:
            raise InputError(
                "this refiner looks ahead, so it cannot refine a dance that still goes on; give "
                "the whole dance, or train one with look_ahead: 0"
            )
        self._begin(cache, text, tokens)
        shape = (*tokens.shape[:2], config.levels)
        residual = torch.full(shape, DROPPED, dtype=torch.int64, device=tokens.device)
        for step in range(tokens.shape[1]):
            now = slice(step, step + 1)
            for index, ring in enumerate(cache.rings):
                level = torch.full((len(tokens),), index, device=tokens.device)
                x = self._inputs(tokens[:, now], residual[:, now], level)
                rotation = self._rotation(ring.position, 1)
                hidden = self.trunk.step(x, rotation, ring, cache.heard)
                logits = self._logits(hidden, level)
                chosen, _ = choose(logits, sampling, generator)
                residual[:, now, index] = self._if_sure(chosen, logits, residual[:, now], index)
        return residual

    def _if_sure(self, chosen: Tensor, logits: Tensor, residual: Tensor, index: int) -> Tensor:
        """Return the codes of a level, `DROPPED` where nothing is likely or the level before is."""
        if self.config.sure == 0:
            return chosen
        known = logits.softmax(dim=-1).amax(dim=-1) >= self.config.sure
        if index > 0:
            known &= residual[..., index - 1] != DROPPED
        return torch.where(known, chosen, DROPPED)

    def _begin(self, cache: LevelCache, text: Tensor | None, tokens: Tensor) -> None:
        """Give a fresh cache its memory and its words; make sure that another one fits."""
        if cache.batch is not None:
            if cache.batch != len(tokens):
                raise InputError(
                    f"the cache is of {cache.batch} clips and the tokens are of {len(tokens)}; "
                    "give every dance a new LevelCache"
                )
            return
        config = self.config
        prompt = self._prompt(text, len(tokens))
        cache.heard = () if prompt is None else self.trunk.read(prompt)
        cache.rings = [
            KVCache(
                layers=config.layers,
                batch=len(tokens),
                heads=config.heads,
                window=config.look_back + 1,
                channels=config.width // config.heads,
                device=tokens.device,
            )
            for _ in range(config.levels)
        ]

    def _inputs(self, tokens: Tensor, residual: Tensor, level: Tensor) -> Tensor:
        """Return what enters the trunk: the known tokens, the levels before, the level asked for.

        A level that is not to be seen, or dropped, adds zeros.
        """
        x = self.known(tokens) + self.level(level)[:, None]
        if self.before is None:
            return x
        for index in range(self.config.levels - 1):
            told = (level > index)[:, None] & (residual[..., index] != DROPPED)
            vectors = self.before.one(index, residual[..., index] * told)
            x = x + vectors * told[..., None]
        return x

    def _logits(
        self, hidden: Float[Tensor, "B N D"], level: Int[Tensor, "B"]
    ) -> Float[Tensor, "B N V"]:
        each = (self.config.levels, self.config.codes)
        weight = self.classify.weight.unflatten(0, each)[level]
        return hidden @ weight.mT + self.classify.bias.unflatten(0, each)[level][:, None]

    def _band(self, steps: int, lengths: Tensor | None, device: torch.device) -> Band:
        back, ahead = self.config.look_back, self.config.look_ahead
        reach: list[int] = []
        if ahead is None:
            reach = self._reach([steps] if lengths is None else lengths.tolist())
            back = ahead = max(reach)
        band = make_band(steps, back, ahead, device)
        if lengths is None:
            return band
        if len(set(reach)) > 1:
            band = _within(band, torch.tensor(reach, device=device))
        return known_only(band, torch.arange(steps, device=device) < lengths[:, None])

    def _reach(self, steps: list[int]) -> list[int]:
        """Return how far a step of each clip sees in both directions where it sees all of it.

        Distances that training never showed mean nothing to attention: told more than it knows, it
        says worse (a toy's rule from 100 to 25 % at five times the length).
        """
        if self.training:
            self.longest.clamp_(min=max(steps))
        known = int(self.longest)
        return [count if count <= known or known == 0 else known // 2 for count in steps]

    def _rotation(self, first: int, steps: int) -> Rotation:
        positions = torch.arange(first, first + steps, device=self.level.weight.device)
        return rotation_of(positions, self.config.width // self.config.heads)

    def _prompt(
        self, text: Tensor | None, batch: int, silent: Tensor | None = None
    ) -> Prompt | None:
        if self.words is None:
            if text is not None:
                raise InputError("this refiner hears no words; leave the text out")
            return None
        if text is not None:
            check_batch(len(text), batch)
        return self.words(text, batch, silent)

    def _check(self, tokens: Tensor, residual: Tensor, level: Tensor) -> None:
        config = self.config
        check_tokens(tokens, config.classes, "the known tokens")
        if tuple(residual.shape) != (*tokens.shape[:2], config.levels):
            raise InputError(
                f"the residual tokens have the shape {tuple(residual.shape)}; "
                f"{(*tokens.shape[:2], config.levels)} is wanted, one column for each level"
            )
        present = torch.where(residual == DROPPED, 0, residual)
        check_tokens(present, (config.codes,) * config.levels, "the residual tokens")
        if bool(((level < 0) | (level >= config.levels)).any()):
            raise InputError(
                f"level {level.tolist()} is asked for; the levels are 0 to {config.levels - 1}"
            )


def _within(band: Band, reach: Int[Tensor, "B"]) -> Band:
    """Return a band in which a position of each clip sees no farther than so many steps."""

    def hide(block: Block) -> Block:
        positions = [
            torch.arange(part.start, part.stop, device=reach.device)
            for part in (block.queries, block.keys)
        ]
        apart = (positions[1] - positions[0][:, None]).abs()
        return replace(block, mask=block.mask & (apart <= reach[:, None, None, None]))

    return Band(tuple(hide(block) for block in band.blocks))
