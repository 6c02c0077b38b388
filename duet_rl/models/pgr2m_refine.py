"""PGR2M's refine transformer: what pose codes leave over of a clip, level by level.

Jeong and Choi 2025, arXiv 2512.22464; the levels are those of MoMask's residual transformer (Guo
et al. 2024, arXiv 2312.00063). All tokens of a level are said at once, from the pose codes, the
prompt and the levels before.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models.attention import Band, Block
from duet_rl.models.pgr2m import PoseCodePromptConfig, check_prompt
from duet_rl.models.pgr2m_rows import FLAGS, sinusoids
from duet_rl.models.policy import SamplingConfig, choose
from duet_rl.models.streams import uniform
from duet_rl.models.transformer import TransformerLayer
from duet_rl.models.window_gpt import INIT_STD, initialise_linear

GREEDY = SamplingConfig(temperature=0)


class RefineConfig(PoseCodePromptConfig):
    """Size of a `RefineTransformer`; the defaults are PGR2M's."""

    architecture: Literal["pgr2m_refine"] = "pgr2m_refine"
    heads: int = Field(8, gt=0)
    layers: int = Field(6, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    levels: int = Field(6, ge=1)  # of the tokenizer
    codes: int = Field(512, gt=1)  # of each level
    shared: bool = True  # a level is read by the same table that it is said by
    # Rows of future that a layer sees; None: the whole clip, for a clip that is over. Every layer
    # of every level looks as far again, so live use wants 0.
    look_ahead: int | None = Field(None, ge=0)

    @property
    def padding(self) -> int:
        """The token that stands behind a clip's end."""
        return self.codes + FLAGS - 1


class RefineTransformer(nn.Module):
    """Say the residual tokens of one level from those of the levels before.

    Example:
        >>> config = RefineConfig(classes=(18, 3, 2), width=32, heads=4, layers=2, levels=3)
        >>> refine = RefineTransformer(config).eval()
        >>> prompt, rows = torch.zeros(2, 12, 512), torch.zeros(2, 7, 25)
        >>> refine.sample(prompt, rows).shape
        torch.Size([2, 7, 3])
    """

    positions: Tensor

    def __init__(self, config: RefineConfig) -> None:
        super().__init__()
        if not config.classes:
            raise InputError("the model has no groups of pose codes; set classes")
        self.config = config
        self.embed_prompt = nn.Linear(config.prompt_channels, config.width)
        self.embed_rows = nn.Linear(config.bits, config.width)
        self.embed_level = nn.Linear(config.levels, config.width)
        table = torch.randn(config.levels, config.codes + FLAGS, config.width) * INIT_STD
        self.said = nn.Parameter(table)
        self.said_bias: nn.Parameter | None = None
        self.read: nn.Parameter | None = None
        if not config.shared:
            self.read = nn.Parameter(torch.randn_like(table[:-1]) * INIT_STD)
            self.said_bias = nn.Parameter(torch.zeros(table.shape[:2]))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(config.width, config.heads, config.dropout)
            for _ in range(config.layers)
        )
        positions = sinusoids(config.steps, config.width)
        self.register_buffer("positions", positions, persistent=False)
        initialise_linear(self)

    def forward(
        self,
        prompt: Float[Tensor, "B P C"],
        rows: Float[Tensor, "B N K"],
        tokens: Int[Tensor, "B N L"],
        level: Int[Tensor, "B"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> Float[Tensor, "B N V"]:
        """Return the logits of one level of each clip, those of the end and of padding last.

        Args:
            prompt: vectors of a text.
            rows: of bits, the pose codes.
            tokens: of all levels; those of `level` and after are not looked at.
            level: which one each clip asks for.
            lengths: rows of each clip; what lies behind is not seen. None: all rows.

        Raises:
            InputError: a prompt, rows or tokens that do not fit the model.
        """
        hidden = self.states(prompt, rows, tokens, level, lengths)
        return self.logits(hidden[:, self.config.prompt_steps + 1 :], level)

    def states(
        self,
        prompt: Float[Tensor, "B P C"],
        rows: Float[Tensor, "B N K"],
        tokens: Int[Tensor, "B N L"],
        level: Int[Tensor, "B"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """Return what leaves the layers: of the prompt, of the level and of each row."""
        self._check(prompt, rows, tokens, level)
        motion = self.embed_rows(rows) + self._before(tokens, level)
        motion = motion + self.positions[: rows.shape[1]]
        asked = F.one_hot(level, self.config.levels).to(prompt)
        told = [self.embed_prompt(prompt), self.embed_level(asked)[:, None]]
        x = self.dropout(torch.cat([*told, motion], dim=1))
        everything = slice(0, x.shape[1])
        mask = self._seen(rows.shape[1], lengths, x.device)
        band = Band((Block(everything, everything, mask[:, None]),))
        for layer in self.layers:
            x = layer(x, None, band)
        return x

    def logits(
        self, hidden: Float[Tensor, "B Q D"], level: Int[Tensor, "B"]
    ) -> Float[Tensor, "B Q V"]:
        """Return the logits that states have at the level of each clip."""
        logits = hidden @ self.said[level].mT
        return logits if self.said_bias is None else logits + self.said_bias[level][:, None]

    @torch.no_grad()
    def sample(
        self,
        prompt: Float[Tensor, "B P C"],
        rows: Float[Tensor, "B N K"],
        lengths: Int[Tensor, "B"] | None = None,
        sampling: SamplingConfig = GREEDY,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "B N L"]:
        """Return the tokens of all levels, level by level, by default the likeliest ones.

        The end and padding are never said; the flags of `rows` are not looked at.

        Raises:
            InputError: a prompt or rows that do not fit the model.
        """
        config = self.config
        rows = torch.cat([rows[..., :-FLAGS], torch.zeros_like(rows[..., -FLAGS:])], dim=-1)
        shape = (*rows.shape[:2], config.levels)
        tokens = torch.zeros(shape, dtype=torch.int64, device=rows.device)
        for index in range(config.levels):
            level = torch.full((len(rows),), index, device=rows.device)
            logits = self(prompt, rows, tokens, level, lengths)[..., : config.codes]
            tokens[..., index], _ = choose(logits, sampling, generator)
        return tokens

    def _before(
        self, tokens: Int[Tensor, "B N L"], level: Int[Tensor, "B"]
    ) -> Float[Tensor, "B N D"]:
        """Return the sum of what the levels before `level` are read as."""
        read = self.said if self.read is None else self.read
        total = read.new_zeros(*tokens.shape[:2], self.config.width)
        for index, table in enumerate(read[: self.config.levels - 1]):
            known = (level > index)[:, None, None]
            total = total + F.embedding(tokens[..., index] * known[..., 0], table) * known
        return total

    def _seen(
        self, steps: int, lengths: Int[Tensor, "B"] | None, device: torch.device
    ) -> Bool[Tensor, "#B Q Q"]:
        """Return who sees whom of prompt, level and rows."""
        told, ahead = self.config.prompt_steps + 1, self.config.look_ahead
        row = torch.arange(-told, steps, device=device)  # below 0: prompt and level
        seen = torch.ones(1, len(row), len(row), dtype=torch.bool, device=device)
        if ahead is not None:
            reach = torch.where(row < 0, -1, row + ahead)
            seen = seen & (row <= reach[:, None])
        return seen if lengths is None else seen & (row < lengths[:, None, None])

    def _check(self, prompt: Tensor, rows: Tensor, tokens: Tensor, level: Tensor) -> None:
        config = self.config
        check_prompt(config, prompt, rows)
        if tuple(tokens.shape) != (*rows.shape[:2], config.levels):
            raise InputError(
                f"the residual tokens have the shape {tuple(tokens.shape)}; "
                f"{(*rows.shape[:2], config.levels)} is wanted, one column for each level"
            )
        if bool(((level < 0) | (level >= config.levels)).any()):
            raise InputError(
                f"level {level.tolist()} is asked for; the levels are 0 to {config.levels - 1}"
            )


def refine_loss(
    logits: Float[Tensor, "B N V"],
    tokens: Int[Tensor, "B N L"],
    level: Int[Tensor, "B"],
    lengths: Int[Tensor, "B"],
) -> Float[Tensor, ""]:
    """Return the mean cross entropy of the tokens of each clip's level, over all clips' rows."""
    wanted = tokens.gather(-1, level[:, None, None].expand(*tokens.shape[:2], 1))[..., 0]
    real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return F.cross_entropy(logits[real], wanted[real])


def draw_levels(
    clips: int, levels: int, generator: torch.Generator | None = None
) -> Int[Tensor, "B"]:
    """Return the level that each clip of a training step asks for, low ones more often.

    round((L - 1) (1 - cos(pi u / 2))) of an even u, as MoMask and PGR2M draw it.
    """
    even = uniform((clips,), generator, torch.device("cpu"))
    return ((levels - 1) * (1 - torch.cos(torch.pi * even / 2))).round().long()
