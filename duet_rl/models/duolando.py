"""The follower of Duolando (ICLR 2024): ten token streams side by side in one transformer."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models.streams import check_tokens
from duet_rl.models.window_gpt import (
    MUSIC,
    Mixer,
    WindowGPT,
    WindowGPTConfig,
    extended,
    initialise_linear,
)

LEADER = "leader_tokens"  # name of the condition
FOLLOWER_STREAMS = 5  # upper, lower, left hand, right hand, placement
LEADER_STREAMS = 4  # all but the placement
_LEFT_HAND, _RIGHT_HAND = 2, 3  # places among the streams of a dancer


class DuolandoGPTConfig(WindowGPTConfig):
    """Size and habits of a `DuolandoGPT`; the defaults are the paper's."""

    architecture: Literal["duolando"] = "duolando"
    look_forward: int = Field(29, ge=0)  # tokens of music and leader beyond a step
    music_channels: int = Field(54, gt=0)
    # The original embeds the follower's right hand with the table of the left one, and its
    # checkpoints are trained so (quirk 1 of docs/duolando.md).
    own_right_hand_table: bool = False
    # The original has weights that it never uses; True keeps them, frozen, to be written back.
    unused_weights: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> "DuolandoGPTConfig":
        if self.classes and len(self.classes) != FOLLOWER_STREAMS:
            raise ValueError(
                f"classes is {self.classes}; {FOLLOWER_STREAMS} streams are wanted: a codec with "
                "one codebook a part (codec.placement.vqvae.levels=1)"
            )
        if self.start_tokens and len(self.start_tokens) != FOLLOWER_STREAMS:
            raise ValueError(f"start_tokens is {self.start_tokens}; give one for each stream")
        return self

    @property
    def condition_names(self) -> tuple[str, ...]:
        """What the follower wants to be told."""
        return (MUSIC, LEADER)

    @property
    def tokens_ahead(self) -> int:
        """Tokens of music and leader beyond the step that each step is told of."""
        return self.look_forward


class DuolandoGPT(WindowGPT):
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

    config: DuolandoGPTConfig

    def __init__(self, config: DuolandoGPTConfig) -> None:
        super().__init__(config, conditions=1 + LEADER_STREAMS)
        width, ahead = config.width, config.look_forward
        self.music = Mixer(config, config.music_channels, config.frames_per_token, 0, ahead)
        self.leader = nn.ModuleList(
            Mixer(config, width, 1, 0, ahead) for _ in range(LEADER_STREAMS)
        )
        if config.unused_weights:
            self.unused = _unused(config)
        initialise_linear(self)  # embeddings keep torch's N(0, 1)

    @property
    def rates(self) -> tuple[int, ...]:
        """Rows a token step of music and leader."""
        return (self.config.frames_per_token, 1)

    def embedded(
        self, tokens: Int[Tensor, "B N 5"], conditions: Sequence[Tensor]
    ) -> list[Float[Tensor, "B N D"]]:
        """Return the vectors of all ten streams, positions not yet added."""
        music, leader = conditions
        return [*self.mixed(music, leader), *self._past(tokens)]

    def mixed(
        self, music: Float[Tensor, "B T C"], leader: Int[Tensor, "B M 4"]
    ) -> list[Float[Tensor, "B N D"]]:
        """Return music and leader streams as the base sees them, positions not yet added."""
        told = [self.tables[i](leader[..., i]) for i in range(LEADER_STREAMS)]
        return [self.music(music), *(mix(x) for mix, x in zip(self.leader, told, strict=True))]

    def told(
        self, conditions: Mapping[str, Tensor], steps: int
    ) -> tuple[Float[Tensor, "B T C"], Int[Tensor, "B M 4"]]:
        """Return music and leader as `predict` wants them for a dance of `steps` steps.

        Args:
            conditions: `music` `(B, T, C)` from the first step's first frame on and
                `leader_tokens` `(B, M, 4)`; where they end before the farthest future that the
                model looks at, their last row goes on.
            steps: of the dance, its given one included.

        Raises:
            InputError: a condition is missing or does not fit the model.
        """
        music, leader = self.require(conditions, self.config.music_channels)
        check_tokens(leader, self.config.classes[:LEADER_STREAMS], "the leader's tokens")
        rate = self.config.frames_per_token
        if min(music.shape[1] // rate, leader.shape[1]) < steps:
            raise InputError(
                f"{steps} steps are wanted; the music lasts {music.shape[1] // rate} and the "
                f"leader {leader.shape[1]}"
            )
        seen = steps - 1 + self.config.look_forward  # the token that comes last sees no step
        return extended(music, (seen + 1) * rate)[:, rate:], extended(leader, seen)

    def length(self, conditions: Mapping[str, Tensor]) -> int | None:
        """Return for how many steps the leader dances."""
        leader = conditions.get(LEADER)
        return None if leader is None else leader.shape[1]

    def _past(self, tokens: Int[Tensor, "B N 5"]) -> list[Float[Tensor, "B N D"]]:
        tables = list(range(FOLLOWER_STREAMS))
        if not self.config.own_right_hand_table:
            tables[_RIGHT_HAND] = _LEFT_HAND
        return [self.tables[table](tokens[..., i]) for i, table in enumerate(tables)]


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
