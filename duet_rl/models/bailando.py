"""The dancer of Bailando (CVPR 2022) and Bailando++ (TPAMI 2023): halves of a body and music.

Siyao et al. 2022, Bailando: 3D Dance Generation by Actor-Critic GPT with Choreographic Memory
(arXiv 2203.13055, section 3.2); the critic is that of section 3.3.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models.conditions import FLAT, OUTLIER
from duet_rl.models.window_gpt import (
    INIT_STD,
    Mixer,
    WindowGPT,
    WindowGPTConfig,
    extended,
    initialise_linear,
    make_layers,
)

MUSIC_BEFORE = "music_before"  # name of a condition that only windows of a dance have
Hearing = Literal["duolando", "bailando", "bailando_fixed", "bailando_pp"]
"""Which features a network hears, named by whose they are.

- `duolando`: 54 numbers, 30 rows a second: the music of the clip as it is.
- `bailando`: 438 numbers, one row a token, by librosa 0.8, as the published networks heard them:
  onset, beat and tempogram are all 0.
- `bailando_fixed`: 438 numbers, 60 rows a second by today's librosa, pooled a token, beats and all.
- `bailando_pp`: 55 numbers, 60 rows a second by librosa 0.8, two rows a frame side by side.

`duet_rl.datasets.hearing` makes them.
"""
_SIDE_BY_SIDE: dict[Hearing, int] = {"bailando_pp": 2}  # moments in one row; of the others 1


class BailandoGPTConfig(WindowGPTConfig):
    """Size and habits of a `BailandoGPT`; the defaults are the paper's."""

    architecture: Literal["bailando"] = "bailando"
    block: int = Field(29, ge=2)  # token steps of a window
    hears: Hearing = "bailando"
    # rows: one row of music a token step, the present one (Bailando) | window: all rows, mixed with
    # those of `reach` token steps before and beyond (Bailando++)
    music: Literal["rows", "window"] = "rows"
    music_channels: int = Field(438, gt=0)  # of a row of the condition; from `hears`
    reach: int = Field(5, ge=1)  # tokens, of a window of music
    # Bring music to mean 0 and standard deviation 1, by the training data. The original does not.
    normalise: bool = False
    critic_layers: int = Field(3, ge=0)  # of the value head; 0: there is none
    # What RL finds the critic as: normal, as the policy; zero: normal, and every value is 0 |
    # positive: as the original's, which forgot the other bound: U(sqrt(6 / (in + out)), 1)
    critic_start: Literal["normal", "zero", "positive"] = "normal"

    @property
    def tokens_before(self) -> int:
        """Tokens of music before the step that each step is told of."""
        return self.reach if self.music == "window" else 0

    @property
    def tokens_ahead(self) -> int:
        """Tokens of music beyond the step that each step is told of."""
        return self.tokens_before

    @property
    def side_by_side(self) -> int:
        """Moments of music in one row of the condition."""
        return _SIDE_BY_SIDE.get(self.hears, 1)


class Critic(nn.Module):
    """The value of a state, read from what leaves the base; the sum over streams is V(s)."""

    def __init__(self, config: BailandoGPTConfig) -> None:
        super().__init__()
        self.layers = make_layers(config, config.critic_layers, dropout=0.0)
        self.norm = nn.LayerNorm(config.width)
        self.read = nn.ModuleList(nn.Linear(config.width, 1, bias=False) for _ in config.classes)


class BailandoGPT(WindowGPT):
    """Predict the next tokens of a soloist from music and the dance so far.

    Streams of the same step do not know of each other. The base is layers that policy and critic
    share; the critic leaves them as they are.

    Example:
        >>> config = BailandoGPTConfig(classes=(16, 16), width=32, heads=4, music_channels=8)
        >>> gpt = BailandoGPT(config).eval()
        >>> tokens = torch.zeros(2, 29, 2, dtype=torch.long)
        >>> [tuple(logits.shape) for logits in gpt.predict(tokens, torch.zeros(2, 4 * 29, 8))]
        [(2, 29, 16), (2, 29, 16)]
    """

    config: BailandoGPTConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: BailandoGPTConfig) -> None:
        super().__init__(config, conditions=1)
        if config.music_channels % config.side_by_side:
            raise InputError(
                f"music of {config.music_channels} channels is no {config.side_by_side} moments "
                f"side by side, as {config.hears} has them; set music_channels"
            )
        inputs = config.music_channels // config.side_by_side
        self.mixer: Mixer | None = None
        if config.music == "window":
            rate = config.frames_per_token * config.side_by_side
            self.mixer = Mixer(config, inputs, rate, config.reach, config.reach)
        self.embed_music = nn.Linear(config.width if self.mixer else inputs, config.width)
        self.register_buffer("mean", torch.zeros(config.music_channels))
        self.register_buffer("std", torch.ones(config.music_channels))
        self.norm = nn.LayerNorm(config.width)
        self.critic = Critic(config) if config.critic_layers else None
        _initialise(self)

    @property
    def rates(self) -> tuple[int, ...]:
        """Rows a token step of the music."""
        return (self.config.frames_per_token,)

    def set_normalisation(self, mean: Float[Tensor, "C"], std: Float[Tensor, "C"]) -> None:
        """Store by how much to shift and scale each feature; a constant feature is not scaled."""
        assert self.config.normalise
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > FLAT, std, 1.0))

    def embedded(
        self, tokens: Int[Tensor, "B N S"], conditions: Sequence[Tensor]
    ) -> list[Float[Tensor, "B N D"]]:
        """Return the vectors of the music and all streams, positions not yet added."""
        (music,) = conditions
        past = [table(tokens[..., i]) for i, table in enumerate(self.tables)]
        return [self.embed_music(self.heard(music)), *past]

    def heard(self, music: Float[Tensor, "B T C"]) -> Float[Tensor, "B N E"]:
        """Return what is told of the music at each step: its row, or a mixture around it.

        Args:
            music: `frames_per_token` rows a step; for a mixture from `reach` steps before the
                first one to `reach` steps beyond the last one.
        """
        if self.config.normalise:
            music = ((music - self.mean) / self.std).clamp(-OUTLIER, OUTLIER)
        if self.mixer is None:
            return music[:, :: self.config.frames_per_token]
        moments = music.unflatten(-1, (self.config.side_by_side, -1)).flatten(1, 2)
        return self.mixer(moments)

    def told(self, conditions: Mapping[str, Tensor], steps: int) -> tuple[Float[Tensor, "B T C"]]:
        """Return the music as `predict` wants it for a dance of `steps` steps.

        Args:
            conditions: `music` `(B, T, C)` from the first step's first frame on. Where it ends
                before the last step that is told of it, its last row goes on, or silence (zeros)
                where the model hears a window. Such a model knows the music of the `reach` tokens
                before as `music_before`; without it the song begins here, after silence.
            steps: of the dance, its given one included.

        Raises:
            InputError: the music is missing, too short or of another shape.
        """
        (music,) = self.require(conditions, self.config.music_channels)
        rate, reach = self.config.frames_per_token, self.config.tokens_before
        if music.shape[1] // rate < steps:
            raise InputError(f"{steps} steps are wanted; the music lasts {music.shape[1] // rate}")
        seen = (steps + self.config.tokens_ahead) * rate
        if self.mixer is None:
            return (extended(music, seen)[:, rate:],)
        silence = music.new_zeros(len(music), reach * rate, music.shape[-1])
        before = conditions.get(MUSIC_BEFORE, silence)
        if before.shape != silence.shape:
            raise InputError(
                f"{MUSIC_BEFORE} has the shape {tuple(before.shape)}; {tuple(silence.shape)} is "
                "wanted"
            )
        missing = max(seen - music.shape[1], 0)
        whole = torch.cat([before, F.pad(music[:, :seen], (0, 0, 0, missing))], dim=1)
        return (whole[:, rate:],)

    def normal(self, states: Float[Tensor, "B Q D"]) -> Float[Tensor, "B Q D"]:
        """Return the normalised states of the last layer."""
        return self.norm(states)

    def judged(self, features: Float[Tensor, "B Q D"], steps: int) -> Float[Tensor, "B N S"]:
        """Return the values of the states after each step, whose sum over streams is V(s).

        Their gradient ends at the critic's own weights.
        """
        if self.critic is None:
            return super().judged(features, steps)
        states = self.critic.norm(self.through(self.critic.layers, features.detach(), steps))
        own = self.own(states, steps)
        return torch.cat([read(own[:, i]) for i, read in enumerate(self.critic.read)], dim=-1)


def _initialise(model: BailandoGPT) -> None:
    initialise_linear(model)
    for table in model.tables:
        assert isinstance(table, nn.Embedding)
        nn.init.normal_(table.weight, std=INIT_STD)
    critic, start = model.critic, model.config.critic_start
    if critic is not None and start != "normal":
        drawn = critic.read if start == "zero" else critic
        for part in drawn.modules():
            if isinstance(part, nn.Linear):
                bound = math.sqrt(6 / (part.in_features + part.out_features))
                low, high = (0.0, 0.0) if start == "zero" else (bound, 1.0)
                nn.init.uniform_(part.weight, low, high)
