"""The follower: a GPT over several token streams, told of music, leader and words."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import Rotation, make_band, rotation_of
from duet_rl.models.conditions import ConditionConfig, Conditions, LookAhead
from duet_rl.models.heads import StreamHeads, ValueHead
from duet_rl.models.prompt import Prompt
from duet_rl.models.streams import (
    INIT_STD,
    STOP_CLASSES,
    StreamEmbedding,
    check_tokens,
    corrupt,
    exchange_steps,
    uniform,
)
from duet_rl.models.text import PromptEncoder, TextConfig, check_batch
from duet_rl.models.transformer import Transformer, initialise


class MultiStreamGPTConfig(Config):
    """Size and habits of a `MultiStreamGPT`; streams and conditions come with the data."""

    architecture: Literal["multistream"] = "multistream"
    classes: tuple[int, ...] = ()  # of each stream; from the TokenSpec
    conditions: tuple[ConditionConfig, ...] = ()  # from the data
    width: int = Field(default=128, gt=0)  # channels
    layers: int = Field(default=4, gt=0)
    heads: int = Field(default=4, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    layout: Literal["fused", "interleaved"] = "fused"  # one position a step | a stream a step
    positions: Literal["rotary", "learned"] = "rotary"  # relative, any length | up to max_tokens
    max_tokens: int = Field(default=512, gt=0)  # longest clip of learned positions, steps
    # Steps that attention reaches back, the present one included. Shorter than the training
    # window, so that training too sees states that the start of the clip has left.
    context: int = Field(default=32, gt=0)
    history_corruption: float = Field(default=0.5, ge=0, le=1)  # of past tokens, in training
    # What is replaced: each token by a random one | whole steps by others of the batch, for
    # streams that say much of each other.
    corrupts: Literal["tokens", "steps"] = "tokens"
    heads_see: Literal["none", "earlier"] = "none"  # tokens of the same step, of earlier streams
    # Sizes of the blocks of streams that are sampled together, when heads see earlier ones: a
    # stream sees those of the blocks before its own. () lets each see all before it.
    head_blocks: tuple[int, ...] = ()
    look_aheads: tuple[int, ...] = (0, 2, 4, 8, 16, 29)  # tokens; one is drawn in training
    text: TextConfig | None = None  # how words are heard; None: not at all
    text_dropout: float = Field(default=0.1, ge=0, lt=1)  # of training clips, told no words
    # The last stream says where the clip ends: 0 it goes on, 1 it was over before this step.
    stop: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> "MultiStreamGPTConfig":
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not divide into {self.heads} heads of an even number "
                f"of channels; make it a multiple of {2 * self.heads}"
            )
        if not self.look_aheads or min(self.look_aheads) < 0:
            raise ValueError(f"look_aheads is {self.look_aheads}; give one or more, 0 or above")
        if any(classes < 1 for classes in self.classes):
            raise ValueError(f"classes is {self.classes}; every stream needs one or more")
        if any(size < 1 for size in self.head_blocks):
            raise ValueError(f"head_blocks is {self.head_blocks}; give sizes of 1 or more")
        if self.head_blocks and (self.heads_see, self.layout) != ("earlier", "fused"):
            raise ValueError(
                "head_blocks are for heads_see: earlier and layout: fused; set these, or leave "
                "head_blocks empty"
            )
        if self.stop and self.layout != "fused":
            raise ValueError("a stop stream wants layout: fused; set it, or stop: false")
        return self

    @property
    def condition_names(self) -> tuple[str, ...]:
        """What the follower wants to be told."""
        return tuple(condition.name for condition in self.conditions)


class GPTOutput(NamedTuple):
    """What the model says about every step, before the token of that step is known."""

    logits: tuple[Tensor, ...]  # of each stream, (B, N, V)
    values: Float[Tensor, "B N S"]  # expected return of each stream
    hidden: Float[Tensor, "B N D"]  # state before the step's first token


class MultiStreamGPT(nn.Module):
    """Predict the follower's tokens of each step from its past, music, leader and words.

    Step i is predicted from tokens before i, from conditions up to i + look-ahead, and from all
    words of a text that every layer attends to. In training mode the past is corrupted, the
    look-ahead drawn at random, and some clips are not told some things; `eval()` does none of
    it, with or without gradients.

    Example:
        >>> music = ConditionConfig(name="music", channels=54, look_ahead=8)
        >>> config = MultiStreamGPTConfig(classes=(512, 256), conditions=(music,))
        >>> gpt = MultiStreamGPT(config).eval()
        >>> tokens = torch.zeros(2, 16, 2, dtype=torch.long)
        >>> output = gpt(tokens, {"music": torch.zeros(2, 64, 54)})
        >>> [tuple(logits.shape) for logits in output.logits]
        [(2, 16, 512), (2, 16, 256)]
    """

    prompt_steps = 0  # first steps of a dance whose tokens must be given

    def __init__(self, config: MultiStreamGPTConfig) -> None:
        super().__init__()
        _check_streams(config)
        self.config = config
        self.streams = len(config.classes)
        width = config.width
        self.conditions = Conditions(config.conditions, width, config.heads, config.dropout)
        self.history = StreamEmbedding(config.classes, width)
        self.start = nn.Parameter(torch.zeros(width))  # stands where a clip has no past yet
        if config.positions == "learned":
            self.step_positions = nn.Embedding(config.max_tokens, width)
            nn.init.normal_(self.step_positions.weight, std=INIT_STD)
        self.dropout = nn.Dropout(config.dropout)
        prompted = config.text is not None
        self.trunk = Transformer(width, config.layers, config.heads, config.dropout, prompted)
        self.heads = StreamHeads(
            config.classes,
            width,
            config.heads_see == "earlier",
            config.head_blocks,
            config.stop,
        )
        self.value = ValueHead(self.streams, width)
        self.words = None if config.text is None else PromptEncoder(config.text, width)
        initialise(self, config.layers)

    @property
    def positions_per_step(self) -> int:
        """How many positions of the trunk one step of the dance takes."""
        return self.streams if self.config.layout == "interleaved" else 1

    @property
    def window(self) -> int:
        """How many positions of the trunk attention sees, the present one included."""
        return self.config.context * self.positions_per_step

    @property
    def streams_independent(self) -> bool:
        """Whether the streams of a step can be sampled all at once."""
        return self.positions_per_step == 1 and not self.heads.see_earlier

    def set_normalisation(
        self, name: str, mean: Float[Tensor, "C"], std: Float[Tensor, "C"]
    ) -> None:
        """Store mean and standard deviation of the features of condition `name`."""
        self.conditions[name].set_normalisation(mean, std)

    def forward(
        self,
        tokens: Int[Tensor, "B N S"],
        conditions: Mapping[str, Tensor],
        look_ahead: LookAhead = None,
        generator: torch.Generator | None = None,
        text: Tensor | None = None,
    ) -> GPTOutput:
        """Return logits and values of every step; step i never sees `tokens[:, i:]`.

        Args:
            tokens: the follower's tokens, `(B, N, S)`.
            conditions: by name, `(B, T, C)` features with T at least N x frames per token (what
                lies beyond serves the look-ahead) or `(B, N, S)` tokens. Optional ones may be
                missing.
            look_ahead: tokens of future that conditions may use, for all or by name; None is
                their maximum, in training a random one for each sample and condition.
            generator: draws in training: corruption, look-ahead, and what is not told.
            text: of each clip, from the `TextReader` of the model's settings; None says nothing.

        Raises:
            InputError: tokens, conditions or text of the wrong shape, class or name.
        """
        self.check(tokens, conditions)
        batch, steps, _ = tokens.shape
        resolved = self.conditions.resolve(look_ahead)
        each, past, offset = None, tokens, 0
        dropped, silent = None, None
        if self.training:
            if look_ahead is None:
                each = self.conditions.draw(self.config.look_aheads, batch, generator)
            past = self._corrupt(tokens, generator)
            offset = self._draw_offset(steps, generator)
            dropped = self.conditions.drop(batch, generator)
            if text is not None:
                silent = uniform((batch,), generator, tokens.device) < self.config.text_dropout
        told = self.conditions(conditions, steps, resolved, each, dropped)
        x = self._inputs(past, told, offset)
        band = make_band(x.shape[1], self.window - 1, 0, x.device)
        rotation = self.rotation(torch.arange(x.shape[1], device=x.device))
        hidden = self.trunk(self.dropout(x), rotation, band, self.prompt(text, batch, silent))
        hidden = hidden.unflatten(1, (steps, self.positions_per_step))
        return GPTOutput(self.heads(hidden, tokens), self.value(hidden), hidden[:, :, 0])

    def check(self, tokens: Tensor, conditions: Mapping[str, Tensor]) -> None:
        """Make sure that tokens and conditions fit this model and each other, or say why not."""
        check_tokens(tokens, self.config.classes, "the follower's tokens")
        batch, steps, _ = tokens.shape
        if steps == 0:
            raise InputError("the follower's tokens have no steps; give at least one")
        self.check_steps(steps)
        self.conditions.check(conditions, batch, steps)

    def prompt(
        self, text: Tensor | None, batch: int, silent: Bool[Tensor, "B"] | None = None
    ) -> Prompt | None:
        """Return what the trunk hears of a text; None for a model that hears no words.

        Args:
            text: of each clip, from the `TextReader` of the model's settings.
            batch: number of clips.
            silent: `(B,)`, clips whose words are not heard.

        Raises:
            InputError: a text for a model that hears none, or of another reader or batch.
        """
        if self.words is None:
            if text is not None:
                raise InputError(
                    "this model hears no words; leave the text out, or train one with text"
                )
            return None
        if text is not None:
            check_batch(len(text), batch)
        return self.words(text, batch, silent)

    def check_steps(self, steps: int) -> None:
        """Make sure that the positions of a clip of `steps` steps are known."""
        if self.config.positions == "learned" and steps > self.config.max_tokens:
            raise InputError(
                f"{steps} steps are wanted, and the learned positions end at "
                f"{self.config.max_tokens}; raise max_tokens or use positions: rotary"
            )

    def rotation(self, positions: Int[Tensor, "P"]) -> Rotation | None:
        """Return the rotary angles at `positions` of the trunk, None if positions are learned."""
        if self.config.positions == "learned":
            return None
        return rotation_of(positions, self.config.width // self.config.heads)

    def input_of_step(
        self,
        told: Float[Tensor, "B D"],
        step: int,
        previous: Int[Tensor, "B S"] | None,
        stream: int = 0,
        taken: Int[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """Return the trunk's input at one position, when a clip is decoded step by step.

        Args:
            told: the encoded conditions of this step.
            step: counts from the start of the clip.
            previous: tokens of the step before; None at step 0.
            stream: which position of the step, in the interleaved layout.
            taken: tokens of this step; those of earlier streams are looked at.
        """
        if self.config.positions == "learned":
            told = told + self.step_positions.weight[step]
        if stream > 0:
            assert taken is not None
            return self.history.one(stream - 1, taken[:, stream - 1]) + told
        if previous is None:
            return self.start + told
        if self.config.layout == "fused":
            return self.history(previous[:, None])[:, 0] + told
        return self.history.one(self.streams - 1, previous[:, -1]) + told

    def _inputs(self, past: Tensor, told: Tensor, offset: int) -> Tensor:
        """Return the trunk's input: the token before each position, and what is told at it."""
        batch, steps, _ = past.shape
        if self.config.positions == "learned":
            told = told + self.step_positions.weight[offset : offset + steps]
        if self.config.layout == "fused":
            before = self.history(past)
        else:
            before = self.history.each(past).flatten(1, 2)
            told = told.repeat_interleave(self.streams, dim=1)
        start = self.start.expand(batch, 1, -1)
        return torch.cat([start, before[:, :-1]], dim=1) + told

    def _corrupt(self, tokens: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return the past that training sees; no token of it says that the clip has stopped."""
        rate, classes = self.config.history_corruption, self.config.classes
        streams = len(classes) - 1 if self.config.stop else len(classes)
        motion, stop = tokens[..., :streams], tokens[..., streams:]
        if self.config.corrupts == "steps":
            motion = exchange_steps(motion, rate, generator)
        else:
            motion = corrupt(motion, classes[:streams], rate, generator)
        return torch.cat([motion, stop], dim=-1)

    def _draw_offset(self, steps: int, generator: torch.Generator | None) -> int:
        """Return where a training window lies among the learned positions: all get trained."""
        if self.config.positions != "learned":
            return 0
        room = self.config.max_tokens - steps + 1
        return int(uniform((), generator, torch.device("cpu")) * room)


def _check_streams(config: MultiStreamGPTConfig) -> None:
    """Refuse settings that do not fit the streams, which come with the data."""
    if not config.classes:
        raise InputError("the model has no token streams; set classes from the TokenSpec")
    if not config.conditions and config.text is None:
        raise InputError("the model is told nothing; give at least one condition, or set text")
    if config.stop and (len(config.classes) < 2 or config.classes[-1] != STOP_CLASSES):
        raise InputError(
            f"the last of the streams {config.classes} is to say where a clip stops, with "
            f"{STOP_CLASSES} classes; put such a stream last, or set stop: false"
        )
    if config.head_blocks and sum(config.head_blocks) != len(config.classes):
        raise InputError(
            f"head_blocks {config.head_blocks} hold {sum(config.head_blocks)} streams and the "
            f"model has {len(config.classes)}; give sizes that sum up to that"
        )
