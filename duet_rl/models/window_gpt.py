"""What the GPTs of Duolando and Bailando share: streams side by side, a window at a time.

They are assembled otherwise than `MultiStreamGPT`: conditions are streams of the sequence and not
a sum, nothing is causal within a window of tokens but the mask, and what they say of a step depends
on where the window begins. Their checkpoints and numbers come at that price.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int, Shaped
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import Band, Block, make_band
from duet_rl.models.conditions import LookAhead
from duet_rl.models.multistream_gpt import GPTOutput
from duet_rl.models.streams import check_tokens
from duet_rl.models.transformer import TransformerLayer

MUSIC = "music"  # name of the condition
INIT_STD = 0.02  # of linear weights


class WindowGPTConfig(Config):
    """What the settings of all of them have in common; the defaults are the papers'."""

    architecture: str

    classes: tuple[int, ...] = ()  # of the follower's streams; from the TokenSpec
    width: int = Field(768, gt=0)  # channels
    heads: int = Field(12, gt=0)
    base_layers: int = Field(6, ge=0)
    head_layers: int = Field(6, ge=0)
    condition_layers: int = Field(3, ge=0)  # of each mixer of a condition
    dropout: float = Field(0.1, ge=0, lt=1)
    block: int = Field(30, ge=2)  # token steps of a window
    frames_per_token: int = Field(4, gt=0)
    # Shortest window once the first one is full; None keeps it at block - 1 (spec 5.5).
    shift: int | None = Field(None, ge=1)
    start_tokens: tuple[int, ...] = ()  # first token of each stream where nobody gives one

    @model_validator(mode="after")
    def _is_whole(self) -> "WindowGPTConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        if any(classes < 1 for classes in self.classes):
            raise ValueError(f"classes is {self.classes}; every stream needs one or more")
        if self.start_tokens and self.classes and len(self.start_tokens) != len(self.classes):
            raise ValueError(f"start_tokens is {self.start_tokens}; give one for each stream")
        over = [t for t, most in zip(self.start_tokens, self.classes, strict=False) if t >= most]
        if over or any(token < 0 for token in self.start_tokens):
            raise ValueError(f"start_tokens {self.start_tokens} leave the classes {self.classes}")
        return self

    @property
    def condition_names(self) -> tuple[str, ...]:
        """What the follower wants to be told."""
        return (MUSIC,)

    @property
    def tokens_before(self) -> int:
        """Tokens of the conditions before the step that each step is told of."""
        return 0

    @property
    def tokens_ahead(self) -> int:
        """Tokens of the conditions beyond the step that each step is told of."""
        return 0


class Mixer(nn.Module):
    """One condition, mixed over a band on both sides and brought to one vector a token step.

    There are no positions in it: within the band it does not know what comes first (quirk 2 of
    docs/duolando.md). The band reaches as far as the farther of `before` and `ahead`.

    Args:
        config: width, heads, layers and dropout.
        inputs: channels of a row.
        rate: rows a token step.
        before: token steps before the first one that is answered for.
        ahead: token steps after the last one.
    """

    def __init__(
        self, config: WindowGPTConfig, inputs: int, rate: int, before: int, ahead: int
    ) -> None:
        super().__init__()
        self.rate, self.before, self.ahead = rate, before, ahead
        self.embed = nn.Linear(inputs, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = make_layers(config, config.condition_layers)
        self.downsample = nn.Linear(rate * config.width, config.width)

    def forward(self, features: Float[Tensor, "B M C"]) -> Float[Tensor, "B N D"]:
        """Return a vector for each token step but the first `before` and last `ahead` ones.

        Args:
            features: `rate` rows a token step.
        """
        x = self.dropout(self.embed(features))
        reach = max(self.before, self.ahead) * self.rate
        band = make_band(x.shape[1], reach, reach, x.device)
        for layer in self.layers:
            x = layer(x, None, band)
        steps = self.downsample(x.unflatten(1, (-1, self.rate)).flatten(2))
        return steps[:, self.before : steps.shape[1] - self.ahead]


class WindowGPT(nn.Module, ABC):
    """Base: predict the next tokens of a window from its conditions and the window's own past.

    The first token of a dance is given and not predicted: `prompt_steps` is 1.

    Args:
        config: sizes.
        conditions: how many streams of the sequence tell conditions; they come before the
            follower's own.
    """

    prompt_steps = 1  # first steps of a dance whose tokens must be given
    config: WindowGPTConfig

    def __init__(self, config: WindowGPTConfig, conditions: int) -> None:
        super().__init__()
        if not config.classes:
            raise InputError("the model has no token streams; set classes from the TokenSpec")
        self.config = config
        width, self.streams = config.width, len(config.classes)
        self.sequences = conditions + self.streams
        self.tables = nn.ModuleList(nn.Embedding(classes, width) for classes in config.classes)
        self.positions = nn.Parameter(torch.zeros(self.sequences, config.block, width))
        self.dropout = nn.Dropout(config.dropout)
        self.base = make_layers(config, config.base_layers)
        self.head = make_layers(config, config.head_layers)
        self.classify = nn.ModuleList(
            nn.Linear(width, classes, bias=False) for classes in config.classes
        )

    @property
    @abstractmethod
    def rates(self) -> tuple[int, ...]:
        """Rows a token step of each condition, in the order in which `predict` takes them."""

    @abstractmethod
    def embedded(
        self, tokens: Int[Tensor, "B N S"], conditions: Sequence[Tensor]
    ) -> list[Float[Tensor, "B N D"]]:
        """Return the vectors of all streams of the sequence, positions not yet added."""

    @abstractmethod
    def told(self, conditions: Mapping[str, Tensor], steps: int) -> tuple[Tensor, ...]:
        """Return the conditions as `predict` wants them for a dance of `steps` steps.

        Raises:
            InputError: a condition is missing or does not fit the model.
        """

    def normal(self, states: Float[Tensor, "B Q D"]) -> Float[Tensor, "B Q D"]:
        """Return the states of the last layer as the classifiers read them."""
        return states

    def judged(self, features: Float[Tensor, "B Q D"], steps: int) -> Float[Tensor, "B N S"]:
        """Return the values of the states after each step, from what leaves the base; zeros."""
        return features.new_zeros(len(features), steps, self.streams)

    def predict(
        self, tokens: Int[Tensor, "B N S"], *conditions: Tensor
    ) -> tuple[Float[Tensor, "B N V"], ...]:
        """Return the logits `(B, N, V)` of the token after each of `tokens`, stream by stream.

        Args:
            tokens: of the follower, at most `block` steps.
            conditions: what the window is told, see `told`; the music begins one token later than
                `tokens`. Each lasts as many tokens longer than `tokens` as a step is told of
                before and beyond it.

        Raises:
            InputError: too many steps, or conditions of another length.
        """
        return self.logits(self.features(tokens, *conditions), tokens.shape[1])

    def features(self, tokens: Int[Tensor, "B N S"], *conditions: Tensor) -> Float[Tensor, "B Q D"]:
        """Return the states of all streams, one after the other, that leave the base."""
        steps = tokens.shape[1]
        self._check_window(steps, conditions)
        x = torch.stack(self.embedded(tokens, conditions), dim=1)
        x = self.dropout(x + self.positions[:, :steps]).flatten(1, 2)
        return self.through(self.base, x, steps)

    def logits(
        self, features: Float[Tensor, "B Q D"], steps: int
    ) -> tuple[Float[Tensor, "B N V"], ...]:
        """Return the logits of each stream from what leaves the base."""
        own = self.own(self.normal(self.through(self.head, features, steps)), steps)
        return tuple(classify(own[:, i]) for i, classify in enumerate(self.classify))

    def through(
        self, layers: nn.ModuleList, x: Float[Tensor, "B Q D"], steps: int
    ) -> Float[Tensor, "B Q D"]:
        """Return `x` after layers in which every stream sees all, at its own step and before."""
        band = _causal_band(steps, self.sequences, x.device)
        for layer in layers:
            x = layer(x, None, band)
        return x

    def own(self, x: Float[Tensor, "B Q D"], steps: int) -> Float[Tensor, "B S N D"]:
        """Return the follower's streams out of all."""
        return x.unflatten(1, (self.sequences, steps))[:, -self.streams :]

    def forward(
        self,
        tokens: Int[Tensor, "B N S"],
        conditions: Mapping[str, Tensor],
        look_ahead: LookAhead = None,
        generator: torch.Generator | None = None,
    ) -> GPTOutput:
        """Return logits and values of every step of one window; step i never sees `tokens[:, i:]`.

        The first step is not the model's to say: its logits and values are zeros.

        Args:
            tokens: `(B, N, S)`, at most `block + 1` steps.
            conditions: by name, from the first step's first frame on; where they end before the
                farthest future that the model looks at, see `told`.
            look_ahead: None; the model can do with no other than it was made for.
            generator: takes no part: dropout draws from torch's own.

        Raises:
            InputError: tokens or conditions that do not fit the model.
        """
        self.check_look_ahead(look_ahead)
        check_tokens(tokens, self.config.classes, "the follower's tokens")
        batch, steps, _ = tokens.shape
        told = self.told(conditions, steps)
        like = self.positions
        logits = tuple(like.new_zeros(batch, 1, classes) for classes in self.config.classes)
        values = like.new_zeros(batch, 1, self.streams)
        if steps > 1:
            features = self.features(tokens[:, :-1], *told)
            following = self.logits(features, steps - 1)
            logits = tuple(torch.cat(pair, dim=1) for pair in zip(logits, following, strict=True))
            values = torch.cat([values, self.judged(features, steps - 1)], dim=1)
        return GPTOutput(logits, values, values.new_zeros(batch, steps, self.config.width))

    def length(self, conditions: Mapping[str, Tensor]) -> int | None:
        """Return for how many steps the condition lasts that says how long a dance is."""
        music = conditions.get(MUSIC)
        return None if music is None else music.shape[1] // self.config.frames_per_token

    def check_look_ahead(self, look_ahead: LookAhead) -> None:
        """Refuse another look-ahead than the model was made for.

        Raises:
            InputError: another one is asked for.
        """
        if look_ahead not in {None, self.config.tokens_ahead}:
            raise InputError(
                f"a look-ahead of {look_ahead} tokens is asked for; this follower needs "
                f"{self.config.tokens_ahead}: leave the setting out"
            )

    def require(self, conditions: Mapping[str, Tensor], channels: int) -> tuple[Tensor, ...]:
        """Return the conditions in their order.

        Raises:
            InputError: one is missing, or the music is not of `channels` channels.
        """
        names = self.config.condition_names
        if missing := [name for name in names if name not in conditions]:
            raise InputError(f"the follower is not told {missing}; give {' and '.join(names)}")
        music = conditions[MUSIC]
        if music.dim() != 3 or music.shape[-1] != channels:
            raise InputError(
                f"the music has the shape {tuple(music.shape)}; (batch, frames, {channels}) is "
                "wanted"
            )
        return tuple(conditions[name] for name in names)

    def _check_window(self, steps: int, conditions: Sequence[Tensor]) -> None:
        if steps > self.config.block:
            raise InputError(
                f"{steps} token steps are given; this follower sees {self.config.block} at once: "
                "cut the dance into windows"
            )
        seen = self.config.tokens_before + steps + self.config.tokens_ahead
        wanted = [seen * rate for rate in self.rates]
        found = [x.shape[1] for x in conditions]
        if found != wanted:
            raise InputError(
                f"{steps} token steps want conditions of {wanted} rows "
                f"({', '.join(self.config.condition_names)}); found {found}"
            )


def make_layers(config: WindowGPTConfig, count: int, dropout: float | None = None) -> nn.ModuleList:
    """Return `count` transformer layers; where `dropout` is None, with the config's."""
    share = config.dropout if dropout is None else dropout
    return nn.ModuleList(
        TransformerLayer(config.width, config.heads, share, share) for _ in range(count)
    )


def extended(rows: Shaped[Tensor, "B T C"], length: int) -> Shaped[Tensor, "B L C"]:
    """Return the first `length` rows of each sample; where there are fewer, the last goes on."""
    missing = max(length - rows.shape[1], 0)
    last = rows[:, -1:].expand(-1, missing, *rows.shape[2:])
    return torch.cat([rows[:, :length], last], dim=1)


def _causal_band(steps: int, sequences: int, device: torch.device) -> Band:
    """Return who sees whom: every stream sees all of them at its own step and before."""
    step = torch.arange(steps, device=device).repeat(sequences)
    everything = slice(0, sequences * steps)
    mask = step[None, :] <= step[:, None]
    return Band((Block(everything, everything, mask[None, None]),))


def initialise_linear(model: nn.Module) -> None:
    """Draw the weights of every linear layer inside `model`, biases 0."""
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=INIT_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
