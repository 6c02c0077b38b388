"""PGR2M's base transformer: pose codes row by row, prompted by vectors of a text.

Jeong and Choi 2025, arXiv 2512.22464. It is kept for its checkpoints and numbers: rows of bits go
in and out, positions are absolute, and a clip is over after `steps` rows.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import make_band
from duet_rl.models.kv_cache import KVCache
from duet_rl.models.pgr2m_rows import END, FLAGS, project, rows_of, sinusoids
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig, choose, stack_logits
from duet_rl.models.transformer import Transformer
from duet_rl.models.window_gpt import initialise_linear


class PoseCodePromptConfig(Config):
    """What the base and the refine transformer have in common; the defaults are PGR2M's."""

    classes: tuple[int, ...] = ()  # of each group of pose codes; from the catalogue
    prompt_channels: int = Field(512, gt=0)  # of a vector of the prompt
    prompt_steps: int = Field(12, gt=0)  # vectors of a prompt: a sentence and eleven key words
    steps: int = Field(50, gt=0)  # rows of the longest clip
    width: int = Field(1024, gt=0)  # channels
    heads: int = Field(16, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _is_whole(self) -> "PoseCodePromptConfig":
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not divide into {self.heads} heads of an even number "
                f"of channels; make it a multiple of {2 * self.heads}"
            )
        if any(classes < 1 for classes in self.classes):
            raise ValueError(f"classes is {self.classes}; every group needs one or more")
        return self

    @property
    def bits(self) -> int:
        """Numbers of a row."""
        return sum(self.classes) + FLAGS


class PoseCodeGPTConfig(PoseCodePromptConfig):
    """Size of a `PoseCodeGPT`."""

    architecture: Literal["pgr2m"] = "pgr2m"
    layers: int = Field(18, gt=0)


class SampledRows(NamedTuple):
    """Clips as they were sampled."""

    rows: Float[Tensor, "B N K"]  # those behind a clip's end too
    lengths: Int[Tensor, "B"]  # rows before the end, one at least


class PoseCodeGPT(nn.Module):
    """Predict the next row of pose codes from a prompt and the rows before it.

    Example:
        >>> config = PoseCodeGPTConfig(classes=(18, 3, 2), width=32, heads=4, layers=2)
        >>> gpt = PoseCodeGPT(config).eval()
        >>> prompt, rows = torch.zeros(2, 12, 512), torch.zeros(2, 7, 25)
        >>> gpt(prompt, rows).shape
        torch.Size([2, 8, 25])
    """

    positions: Tensor

    def __init__(self, config: PoseCodeGPTConfig) -> None:
        super().__init__()
        if not config.classes:
            raise InputError("the model has no groups of pose codes; set classes")
        self.config = config
        self.embed_prompt = nn.Linear(config.prompt_channels, config.width)
        self.embed_rows = nn.Linear(config.bits, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.trunk = Transformer(config.width, config.layers, config.heads, config.dropout)
        self.classify = nn.Linear(config.width, config.bits, bias=False)
        positions = sinusoids(config.prompt_steps + config.steps, config.width)
        self.register_buffer("positions", positions, persistent=False)
        initialise_linear(self)

    def forward(
        self, prompt: Float[Tensor, "B P C"], rows: Float[Tensor, "B N K"]
    ) -> Float[Tensor, "B M K"]:
        """Return the logits of the first row and of the one after each of `rows`, `M = N + 1`.

        Raises:
            InputError: a prompt or rows that do not fit the model.
        """
        return self.predict(prompt, rows)[:, self.config.prompt_steps - 1 :]

    def predict(
        self, prompt: Float[Tensor, "B P C"], rows: Float[Tensor, "B N K"]
    ) -> Float[Tensor, "B Q K"]:
        """Return the logits at every position, those of the prompt first."""
        check_prompt(self.config, prompt, rows)
        x = torch.cat([self.embed_prompt(prompt), self.embed_rows(rows)], dim=1)
        length = x.shape[1]
        band = make_band(length, length - 1, 0, x.device)
        hidden = self.trunk(self.dropout(x + self.positions[:length]), None, band)
        return self.classify(hidden)

    @torch.no_grad()
    def sample(
        self,
        prompt: Float[Tensor, "B P C"],
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        generator: torch.Generator | None = None,
    ) -> SampledRows:
        """Sample clips row by row until all have ended, or as many rows as the model knows.

        Groups are drawn independently; a row ends its clip where that is likelier than not. The
        clip of a model that ends at once has one row.

        Raises:
            InputError: a prompt that does not fit the model.
        """
        config = self.config
        check_prompt(config, prompt, prompt.new_zeros(len(prompt), 0, config.bits))
        channels, window = config.width // config.heads, len(self.positions)
        cache = KVCache(
            config.layers, len(prompt), config.heads, window, channels, prompt.device, prompt.dtype
        )
        told = self.embed_prompt(prompt)
        for position in range(config.prompt_steps):
            hidden = self._step(told[:, position : position + 1], cache)
        rows: list[Tensor] = []
        ended = torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)
        while len(rows) < config.steps and not bool(ended.all()):
            rows.append(self._draw(self.classify(hidden), sampling, generator))
            ended |= rows[-1][:, 0, END] > 0
            if len(rows) < config.steps:
                hidden = self._step(self.embed_rows(rows[-1]), cache)
        sampled = torch.cat(rows, dim=1)
        before_end = (sampled[..., END] > 0).int().cumsum(1) == 0
        return SampledRows(sampled, before_end.sum(1).clamp_min(1))

    def _step(self, x: Float[Tensor, "B 1 D"], cache: KVCache) -> Float[Tensor, "B 1 D"]:
        return self.trunk.step(x + self.positions[cache.position], None, cache)

    def _draw(
        self,
        logits: Float[Tensor, "B 1 K"],
        sampling: SamplingConfig,
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B 1 K"]:
        groups = logits[..., :-FLAGS].split(self.config.classes, dim=-1)
        tokens, _ = choose(stack_logits(groups), sampling, generator)
        rows = rows_of(tokens, self.config.classes)
        flags = project(logits, self.config.classes)[..., -FLAGS:]
        return torch.cat([rows[..., :-FLAGS], flags], dim=-1)


def bit_loss(
    logits: Float[Tensor, "B N K"], rows: Float[Tensor, "B N K"], lengths: Int[Tensor, "B"]
) -> Float[Tensor, ""]:
    """Return the mean cross entropy of every bit by itself, as PGR2M is trained.

    The mean is over the rows of each clip with the one that ends it, then over clips.
    """
    each = F.binary_cross_entropy_with_logits(logits, rows, reduction="none").mean(-1)
    counted = _up_to(lengths + 1, rows.shape[1])
    return ((each * counted).sum(1) / counted.sum(1)).mean()


def group_loss(
    logits: Float[Tensor, "B N K"],
    rows: Float[Tensor, "B N K"],
    lengths: Int[Tensor, "B"],
    classes: Sequence[int],
) -> Float[Tensor, ""]:
    """Return the cross entropy of the groups' classes, and that of the end, as they are sampled.

    Of the classes the mean is over groups and the rows of each clip, of the end also over the row
    that ends it; then over clips.

    Args:
        logits: of each row.
        rows: that each should be, as `rows_of` makes them with `lengths`.
        lengths: rows of each clip, one at least.
        classes: of each group.
    """
    groups = zip(
        *(x[..., :-FLAGS].split(tuple(classes), dim=-1) for x in (logits, rows)), strict=True
    )
    each = torch.stack([-(x.log_softmax(-1) * bits).sum(-1) for x, bits in groups]).mean(0)
    real = _up_to(lengths, rows.shape[1])
    ends = F.binary_cross_entropy_with_logits(logits[..., END], rows[..., END], reduction="none")
    counted = _up_to(lengths + 1, rows.shape[1])
    told = (each * real).sum(1) / real.sum(1) + (ends * counted).sum(1) / counted.sum(1)
    return told.mean()


def check_prompt(config: PoseCodePromptConfig, prompt: Tensor, rows: Tensor) -> None:
    """Make sure that a prompt and rows fit a model and each other, or say why not.

    Raises:
        InputError: another number of vectors or channels, or more rows than the model knows.
    """
    if tuple(prompt.shape[1:]) != (config.prompt_steps, config.prompt_channels):
        raise InputError(
            f"the prompt has the shape {tuple(prompt.shape)}; (clips, {config.prompt_steps}, "
            f"{config.prompt_channels}) is wanted: encode the text as the model was trained with"
        )
    if rows.shape[-1] != config.bits or len(rows) != len(prompt):
        raise InputError(
            f"the pose codes have the shape {tuple(rows.shape)}; ({len(prompt)}, rows, "
            f"{config.bits}) is wanted, of the catalogue that the model was trained with"
        )
    if rows.shape[1] > config.steps:
        raise InputError(
            f"{rows.shape[1]} rows are given and the model knows {config.steps}; cut the clip"
        )


def _up_to(lengths: Int[Tensor, "B"], rows: int) -> Float[Tensor, "B N"]:
    """Return 1 in the first rows of each clip, else 0."""
    return (torch.arange(rows, device=lengths.device) < lengths[:, None]).float()
