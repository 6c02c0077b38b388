"""The follower of Duolando (ICLR 2024): ten token streams side by side in one transformer.

It is assembled otherwise than `MultiStreamGPT`: conditions are streams of the sequence and not a
sum, nothing is causal within a window of tokens but the mask, and what it says of a step depends
on where the window begins. Its checkpoints and numbers come at that price.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import Band, Block, make_band
from duet_rl.models.conditions import LookAhead
from duet_rl.models.multistream_gpt import GPTOutput
from duet_rl.models.streams import check_tokens
from duet_rl.models.transformer import TransformerLayer

MUSIC, LEADER = "music", "leader_tokens"  # names of the conditions
FOLLOWER_STREAMS = 5  # upper, lower, left hand, right hand, placement
LEADER_STREAMS = 4  # all but the placement
_LEFT_HAND, _RIGHT_HAND = 2, 3  # places among the streams of a dancer
_SEQUENCES = 1 + LEADER_STREAMS + FOLLOWER_STREAMS  # side by side: music, leader, follower
_INIT_STD = 0.02  # of linear weights; embeddings keep torch's N(0, 1)


class DuolandoGPTConfig(Config):
    """Size and habits of a `DuolandoGPT`; the defaults are the paper's."""

    architecture: Literal["duolando"] = "duolando"
    classes: tuple[int, ...] = ()  # of the follower's five streams; from the TokenSpec
    width: int = Field(768, gt=0)  # channels
    heads: int = Field(12, gt=0)
    base_layers: int = Field(6, ge=0)
    head_layers: int = Field(6, ge=0)
    condition_layers: int = Field(3, ge=0)  # of each look-ahead mixer
    dropout: float = Field(0.1, ge=0, lt=1)
    block: int = Field(30, ge=2)  # token steps of a window
    look_forward: int = Field(29, ge=0)  # tokens of music and leader beyond a step
    music_channels: int = Field(54, gt=0)
    frames_per_token: int = Field(4, gt=0)
    # The original embeds the follower's right hand with the table of the left one, and its
    # checkpoints are trained so (quirk 1 of docs/duolando.md).
    own_right_hand_table: bool = False
    # The original has weights that it never uses; True keeps them, frozen, to be written back.
    unused_weights: bool = True
    # Shortest window once the first one is full; None keeps it at block - 1 (spec 5.5).
    shift: int | None = Field(None, ge=1)
    start_tokens: tuple[int, ...] = ()  # first token of each stream where nobody gives one

    @model_validator(mode="after")
    def _fits_together(self) -> "DuolandoGPTConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        if self.classes and len(self.classes) != FOLLOWER_STREAMS:
            raise ValueError(
                f"classes is {self.classes}; {FOLLOWER_STREAMS} streams are wanted: a codec with "
                "one codebook a part (codec.placement.vqvae.levels=1)"
            )
        if self.start_tokens and len(self.start_tokens) != FOLLOWER_STREAMS:
            raise ValueError(f"start_tokens is {self.start_tokens}; give one for each stream")
        over = [t for t, most in zip(self.start_tokens, self.classes, strict=False) if t >= most]
        if over or any(token < 0 for token in self.start_tokens):
            raise ValueError(f"start_tokens {self.start_tokens} leave the classes {self.classes}")
        return self

    @property
    def condition_names(self) -> tuple[str, ...]:
        """What the follower wants to be told."""
        return (MUSIC, LEADER)


class LookAheadMixer(nn.Module):
    """One condition, mixed over a band on both sides and brought to one vector a token step.

    There are no positions in it: within the band it does not know what comes first (quirk 2).
    """

    def __init__(self, config: DuolandoGPTConfig, inputs: int, rate: int) -> None:
        super().__init__()
        self.rate, self.look_forward = rate, config.look_forward
        self.embed = nn.Linear(inputs, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = _layers(config, config.condition_layers)
        self.downsample = nn.Linear(rate * config.width, config.width)

    def forward(self, features: Float[Tensor, "B M C"]) -> Float[Tensor, "B N D"]:
        """Return a vector for each token step but the last `look_forward` ones.

        Args:
            features: `rate` rows a token step.
        """
        x = self.dropout(self.embed(features))
        reach = self.look_forward * self.rate
        band = make_band(x.shape[1], reach, reach, x.device)
        for layer in self.layers:
            x = layer(x, None, band)
        steps = self.downsample(x.unflatten(1, (-1, self.rate)).flatten(2))
        return steps[:, : steps.shape[1] - self.look_forward]


class DuolandoGPT(nn.Module):
    """Predict the follower's next tokens from music, the leader's tokens and its own past.

    Music and leader are known `look_forward` tokens ahead. The first token of a dance is given
    and not predicted: `prompt_steps` is 1.

    Example:
        >>> config = DuolandoGPTConfig(classes=(16,) * 5, width=32, heads=4, condition_layers=1)
        >>> gpt = DuolandoGPT(config).eval()
        >>> tokens = torch.zeros(2, 30, 5, dtype=torch.long)
        >>> music, leader = torch.zeros(2, 4 * 59, 54), torch.zeros(2, 59, 4, dtype=torch.long)
        >>> [tuple(logits.shape) for logits in gpt.predict(tokens, music, leader)][:2]
        [(2, 30, 16), (2, 30, 16)]
    """

    prompt_steps = 1  # first steps of a dance whose tokens must be given

    def __init__(self, config: DuolandoGPTConfig) -> None:
        super().__init__()
        if not config.classes:
            raise InputError("the model has no token streams; set classes from the TokenSpec")
        self.config = config
        width = config.width
        self.tables = nn.ModuleList(nn.Embedding(classes, width) for classes in config.classes)
        self.music = LookAheadMixer(config, config.music_channels, config.frames_per_token)
        self.leader = nn.ModuleList(LookAheadMixer(config, width, 1) for _ in range(LEADER_STREAMS))
        self.positions = nn.Parameter(torch.zeros(_SEQUENCES, config.block, width))
        self.dropout = nn.Dropout(config.dropout)
        self.base = _layers(config, config.base_layers)
        self.head = _layers(config, config.head_layers)
        self.classify = nn.ModuleList(
            nn.Linear(width, classes, bias=False) for classes in config.classes
        )
        if config.unused_weights:
            self.unused = _unused(config)
        _initialise(self)

    def predict(
        self,
        tokens: Int[Tensor, "B N 5"],
        music: Float[Tensor, "B T C"],
        leader: Int[Tensor, "B M 4"],
    ) -> tuple[Tensor, ...]:
        """Return the logits `(B, N, V)` of the token after each of `tokens`, stream by stream.

        Args:
            tokens: of the follower, at most `block` steps.
            music: features from the frame on that follows the first token; as many frames as
                `N + look_forward` tokens have.
            leader: tokens from the first step on, `N + look_forward` steps.

        Raises:
            InputError: too many steps, or conditions of another length.
        """
        steps = tokens.shape[1]
        seen = steps + self.config.look_forward
        if steps > self.config.block:
            raise InputError(
                f"{steps} token steps are given; this follower sees {self.config.block} at once: "
                "cut the dance into windows"
            )
        if music.shape[1] != seen * self.config.frames_per_token or leader.shape[1] != seen:
            raise InputError(
                f"{steps} token steps want {seen * self.config.frames_per_token} frames of music "
                f"and {seen} leader tokens; found {music.shape[1]} and {leader.shape[1]}"
            )
        x = torch.stack([*self.mixed(music, leader), *self._past(tokens)], dim=1)
        x = self.dropout(x + self.positions[:, :steps]).flatten(1, 2)  # (B, 10 N, D)
        band = _causal_band(steps, x.device)
        for layer in [*self.base, *self.head]:
            x = layer(x, None, band)
        own = x.unflatten(1, (_SEQUENCES, steps))[:, -FOLLOWER_STREAMS:]
        return tuple(classify(own[:, i]) for i, classify in enumerate(self.classify))

    def mixed(
        self, music: Float[Tensor, "B T C"], leader: Int[Tensor, "B M 4"]
    ) -> list[Float[Tensor, "B N D"]]:
        """Return music and leader streams as the base sees them, positions not yet added."""
        told = [self.tables[i](leader[..., i]) for i in range(LEADER_STREAMS)]
        return [self.music(music), *(mix(x) for mix, x in zip(self.leader, told, strict=True))]

    def forward(
        self,
        tokens: Int[Tensor, "B N 5"],
        conditions: Mapping[str, Tensor],
        look_ahead: LookAhead = None,
        generator: torch.Generator | None = None,
    ) -> GPTOutput:
        """Return the logits of every step of one window; step i never sees `tokens[:, i:]`.

        The first step is not the model's to say: its logits are zeros.

        Args:
            tokens: `(B, N, 5)`, at most `block + 1` steps.
            conditions: `music` `(B, T, C)` from the first step's first frame on and
                `leader_tokens` `(B, M, 4)`; where they end before the farthest future that the
                model looks at, their last row goes on.
            look_ahead: None; the model can do with no other than it was made for.
            generator: takes no part: dropout draws from torch's own.

        Raises:
            InputError: tokens or conditions that do not fit the model.
        """
        self.check_look_ahead(look_ahead)
        check_tokens(tokens, self.config.classes, "the follower's tokens")
        batch, steps, _ = tokens.shape
        music, leader = self.told(conditions, steps)
        logits = [x.new_zeros(batch, 1, x.shape[-1]) for x in self._nothing(music)]
        if steps > 1:
            following = self.predict(tokens[:, :-1], music, leader)
            logits = [torch.cat(pair, dim=1) for pair in zip(logits, following, strict=True)]
        values = music.new_zeros(batch, steps, FOLLOWER_STREAMS)
        return GPTOutput(tuple(logits), values, values.new_zeros(batch, steps, self.config.width))

    def told(
        self, conditions: Mapping[str, Tensor], steps: int
    ) -> tuple[Float[Tensor, "B T C"], Int[Tensor, "B M 4"]]:
        """Return music and leader as `predict` wants them for a dance of `steps` steps.

        Raises:
            InputError: a condition is missing or does not fit the model.
        """
        if missing := [name for name in (MUSIC, LEADER) if name not in conditions]:
            raise InputError(f"the follower is not told {missing}; give {MUSIC} and {LEADER}")
        music, leader = conditions[MUSIC], conditions[LEADER]
        check_tokens(leader, self.config.classes[:LEADER_STREAMS], "the leader's tokens")
        if music.dim() != 3 or music.shape[-1] != self.config.music_channels:
            raise InputError(
                f"the music has the shape {tuple(music.shape)}; (batch, frames, "
                f"{self.config.music_channels}) is wanted"
            )
        rate = self.config.frames_per_token
        if min(music.shape[1] // rate, leader.shape[1]) < steps:
            raise InputError(
                f"{steps} steps are wanted; the music lasts {music.shape[1] // rate} and the "
                f"leader {leader.shape[1]}"
            )
        seen = steps - 1 + self.config.look_forward  # the token that comes last sees no step
        return _extended(music, (seen + 1) * rate)[:, rate:], _extended(leader, seen)

    def check_look_ahead(self, look_ahead: LookAhead) -> None:
        """Refuse another look-ahead than the model was made for.

        Raises:
            InputError: another one is asked for.
        """
        if look_ahead not in {None, self.config.look_forward}:
            raise InputError(
                f"a look-ahead of {look_ahead} tokens is asked for; this follower needs "
                f"{self.config.look_forward}: leave the setting out"
            )

    def _past(self, tokens: Int[Tensor, "B N 5"]) -> list[Float[Tensor, "B N D"]]:
        tables = list(range(FOLLOWER_STREAMS))
        if not self.config.own_right_hand_table:
            tables[_RIGHT_HAND] = _LEFT_HAND
        return [self.tables[table](tokens[..., i]) for i, table in enumerate(tables)]

    def _nothing(self, like: Tensor) -> list[Tensor]:
        return [like.new_zeros(classes) for classes in self.config.classes]


def _layers(config: DuolandoGPTConfig, count: int) -> nn.ModuleList:
    return nn.ModuleList(
        TransformerLayer(config.width, config.heads, config.dropout, config.dropout)
        for _ in range(count)
    )


def _causal_band(steps: int, device: torch.device) -> Band:
    """Return who sees whom: every stream sees all ten at its own step and before."""
    step = torch.arange(steps, device=device).repeat(_SEQUENCES)
    everything = slice(0, _SEQUENCES * steps)
    mask = step[None, :] <= step[:, None]
    return Band((Block(everything, everything, mask[None, None]),))


def _extended(rows: Tensor, length: int) -> Tensor:
    """Return the first `length` rows of each sample; where there are fewer, the last goes on."""
    missing = max(length - rows.shape[1], 0)
    last = rows[:, -1:].expand(-1, missing, *rows.shape[2:])
    return torch.cat([rows[:, :length], last], dim=1)


def _unused(config: DuolandoGPTConfig) -> nn.ParameterDict:
    """Return the weights that the original has and never uses, frozen."""
    width, seen = config.width, config.block + config.look_forward
    sizes: dict[str, Sequence[int]] = {"music": (config.frames_per_token * seen, width)}
    sizes |= {f"leader_{i}": (seen, width) for i in range(LEADER_STREAMS)}
    for i in range(1 + LEADER_STREAMS):
        sizes |= {f"condition_{i}_weight": (width, width), f"condition_{i}_bias": (width,)}
    zeros = {name: torch.zeros(tuple(size)) for name, size in sizes.items()}
    return nn.ParameterDict(
        {name: nn.Parameter(zero, requires_grad=False) for name, zero in zeros.items()}
    )


def _initialise(model: DuolandoGPT) -> None:
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=_INIT_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
