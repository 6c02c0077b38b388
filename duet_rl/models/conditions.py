"""Encoders of what the follower dances to: music, leader; each states how far ahead it looks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import make_band, rotation_of
from duet_rl.models.streams import StreamEmbedding, check_tokens, uniform
from duet_rl.models.transformer import AttentionLayer

OUTLIER = 10.0  # standard deviations; normalised features are clamped here
FLAT = 1e-6  # a feature that varies less than this is left unscaled

LookAhead = int | Mapping[str, int] | None


class ConditionConfig(Config):
    """One condition: continuous features of every frame, or rows of tokens."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["continuous", "tokens"] = "continuous"
    channels: int = Field(default=0, ge=0)  # features a frame, of a continuous condition
    classes: tuple[int, ...] = ()  # of each stream, of a condition made of tokens
    look_ahead: int = Field(default=29, ge=0)  # tokens; the farthest future that it may use
    look_back: int = Field(default=8, ge=0)  # tokens before the present one
    frames_per_token: int = Field(default=4, gt=0)  # of a continuous condition
    # Share of training clips that are not told of it. Above 0, it may be absent for good.
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _has_a_size(self) -> "ConditionConfig":
        if self.kind == "continuous" and (self.channels == 0 or self.classes):
            raise ValueError(f"condition {self.name!r} is continuous: give channels, no classes")
        if self.kind == "tokens" and (self.channels or not self.classes):
            raise ValueError(f"condition {self.name!r} is of tokens: give classes, no channels")
        return self

    @property
    def rows_per_token(self) -> int:
        """How many rows of the condition's tensor belong to one step of the follower."""
        return self.frames_per_token if self.kind == "continuous" else 1

    @property
    def optional(self) -> bool:
        """Whether the follower can do without it."""
        return self.dropout > 0

    def check(self, features: Tensor) -> None:
        """Make sure that `features` are a condition of this kind and size.

        Raises:
            InputError: wrong shape, type or class, or frames that do not divide into tokens.
        """
        what = f"the tokens of condition {self.name!r}"
        if self.kind == "tokens":
            check_tokens(features, self.classes, what)
            return
        if features.dim() != 3 or features.shape[-1] != self.channels:
            raise InputError(
                f"condition {self.name!r} has the shape {tuple(features.shape)}; "
                f"(batch, frames, {self.channels}) is wanted"
            )
        if not features.is_floating_point():
            raise InputError(f"condition {self.name!r} is {features.dtype}; give floats")
        if features.shape[1] % self.frames_per_token:
            raise InputError(
                f"condition {self.name!r}: {features.shape[1]} frames do not divide into tokens "
                f"of {self.frames_per_token} frames; trim or pad the clip"
            )


class ConditionEncoder(nn.Module):
    """Encode one condition, one vector per step.

    Each step's own frames are projected by themselves; one layer of attention over a band then
    mixes neighbouring steps. So the vector of step i depends on steps i - `look_back` to
    i + look-ahead and on nothing else, wherever the clip was cut.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ConditionConfig, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.config = config
        self.width = width
        self.head_channels = width // heads
        if config.kind == "continuous":
            inputs = config.frames_per_token * config.channels
            self.embed: nn.Module = nn.Linear(inputs, width)
            self.register_buffer("mean", torch.zeros(config.channels))
            self.register_buffer("std", torch.ones(config.channels))
        else:
            self.embed = StreamEmbedding(config.classes, width)
        self.local = nn.Sequential(nn.GELU(), nn.Linear(width, width))
        self.attend = AttentionLayer(width, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.absent: nn.Parameter | None = None  # stands for every step where nothing is told
        if config.optional:
            self.absent = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        features: Tensor,
        ahead: int,
        each: Int[Tensor, "B"] | None = None,
        dropped: Bool[Tensor, "B"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """Return one vector per step.

        Args:
            features: `(B, T, C)` floats, or `(B, N, S)` tokens.
            ahead: look-ahead, tokens.
            each: `(B,)`, a smaller look-ahead for each sample.
            dropped: `(B,)`, samples that are not told of this condition, which is optional.
        """
        x = self.local(self.embed(self._rows(features)))
        band = make_band(x.shape[1], self.config.look_back, ahead, x.device, each)
        positions = torch.arange(x.shape[1], device=x.device)
        vectors = self.norm(self.attend(x, rotation_of(positions, self.head_channels), band))
        if dropped is None:
            return vectors
        assert self.absent is not None
        return torch.where(dropped[:, None, None], self.absent, vectors)

    def set_normalisation(self, mean: Float[Tensor, "C"], std: Float[Tensor, "C"]) -> None:
        """Store by how much to shift and scale each feature; a constant feature is not scaled."""
        if self.config.kind != "continuous":
            raise InputError(f"condition {self.config.name!r} is of tokens; nothing to normalise")
        wanted = (self.config.channels,)
        if mean.shape != wanted or std.shape != wanted:
            raise InputError(
                f"condition {self.config.name!r}: mean {tuple(mean.shape)} and std "
                f"{tuple(std.shape)} were given; {wanted} is wanted"
            )
        if not (mean.isfinite().all() and std.isfinite().all() and (std >= 0).all()):
            raise InputError(
                f"condition {self.config.name!r}: mean and std must be finite and std not "
                "negative; look for broken clips in the data"
            )
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > FLAT, std, 1.0))

    def _rows(self, features: Tensor) -> Tensor:
        if self.config.kind == "tokens":
            return features
        normal = ((features - self.mean) / self.std).clamp(-OUTLIER, OUTLIER)
        return normal.unflatten(1, (-1, self.config.frames_per_token)).flatten(2)


class Conditions(nn.Module):
    """All condition encoders of a model; their vectors are summed.

    An optional one may be missing: its `absent` vector stands for it at every step.
    """

    silence: Tensor

    def __init__(
        self, configs: Sequence[ConditionConfig], width: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.names = tuple(config.name for config in configs)
        if len(set(self.names)) < len(configs):
            raise InputError(
                f"the conditions are called {list(self.names)}; give each its own name"
            )
        self.register_buffer("silence", torch.zeros(width), persistent=False)
        self.encoders = nn.ModuleDict(
            {config.name: ConditionEncoder(config, width, heads, dropout) for config in configs}
        )

    def __getitem__(self, name: str) -> ConditionEncoder:
        """Return the encoder called `name`, or raise an `InputError` that lists the names."""
        if name not in self.names:
            raise InputError(f"unknown condition {name!r}; this model has {_list(self.names)}")
        encoder = self.encoders[name]
        assert isinstance(encoder, ConditionEncoder)
        return encoder

    def forward(
        self,
        conditions: Mapping[str, Tensor],
        steps: int,
        look_ahead: Mapping[str, int],
        each: Mapping[str, Int[Tensor, "B"]] | None = None,
        dropped: Mapping[str, Bool[Tensor, "B"]] | None = None,
    ) -> Float[Tensor, "#B steps D"]:
        """Return the sum of all encoded conditions for the first `steps` steps.

        Args:
            conditions: by name; they may reach beyond `steps`, which the look-ahead can use.
            steps: number of follower tokens.
            look_ahead: tokens, for every condition.
            each: a smaller look-ahead for each sample, for every condition.
            dropped: samples that are not told of some optional conditions.

        Returns:
            One row for each clip, or one for all where no condition is told.
        """
        each, dropped = each or {}, dropped or {}
        told = [name for name in self.names if name in conditions]
        batch = conditions[told[0]].shape[0] if told else 1
        encoded = []
        for name in self.names:
            if name in conditions:
                how = (look_ahead[name], each.get(name), dropped.get(name))
                encoded.append(self[name](conditions[name], *how)[:, :steps])
            else:
                encoded.append(self.absent(name).expand(batch, steps, -1))
        if not encoded:
            return self.silence.expand(1, steps, -1)
        return torch.stack(encoded).sum(dim=0)

    def absent(self, name: str) -> Float[Tensor, "D"]:
        """Return the vector that stands for a condition that is not told."""
        vector = self[name].absent
        assert vector is not None
        return vector

    def require(self, conditions: Mapping[str, Tensor], names: Collection[str]) -> None:
        """Make sure that those of `names` that are not optional are given, and none is unknown."""
        for name in conditions:
            self[name]
        missing = [
            name
            for name in self.names
            if name in names and name not in conditions and not self[name].config.optional
        ]
        if missing:
            raise InputError(
                f"condition {_list(missing)} is missing; this model needs {_list(self.names)}"
            )

    def check(self, conditions: Mapping[str, Tensor], batch: int, steps: int) -> None:
        """Make sure that every condition is there, of the right kind and long enough.

        Raises:
            InputError: a condition is missing, unknown, of the wrong shape, or too short.
        """
        self.require(conditions, self.names)
        for name, features in conditions.items():
            config = self[name].config
            config.check(features)
            if features.shape[0] != batch:
                raise InputError(
                    f"condition {name!r} is of {features.shape[0]} clips and the tokens are of "
                    f"{batch}; give one condition per clip"
                )
            if features.shape[1] < steps * config.rows_per_token:
                raise InputError(
                    f"condition {name!r} lasts {features.shape[1] // config.rows_per_token} steps "
                    f"and {steps} are wanted; give a longer condition or fewer tokens"
                )

    def resolve(self, look_ahead: LookAhead) -> dict[str, int]:
        """Return the look-ahead of every condition, in tokens, never above its own maximum.

        Args:
            look_ahead: one number for all, a number by name (the rest look as far as they can),
                or None for the maximum of each.
        """
        asked: Mapping[str, int]
        if look_ahead is None:
            asked = {}
        elif isinstance(look_ahead, int):
            asked = dict.fromkeys(self.names, look_ahead)
        else:
            asked = look_ahead
        for name, tokens in asked.items():
            if tokens < 0:
                raise InputError(f"look-ahead of {name!r} is {tokens}; give 0 tokens or more")
            self[name]
        limits = {name: self[name].config.look_ahead for name in self.names}
        return {name: min(asked.get(name, limit), limit) for name, limit in limits.items()}

    def draw(
        self, choices: Sequence[int], batch: int, generator: torch.Generator | None
    ) -> dict[str, Int[Tensor, "B"]]:
        """Return a random look-ahead for each condition and sample, out of `choices`."""
        drawn = {}
        for name in self.names:
            limit = self[name].config.look_ahead
            device = self[name].norm.weight.device
            options = torch.tensor(sorted({min(choice, limit) for choice in choices}))
            pick = uniform((batch,), generator, device) * len(options)
            drawn[name] = options.to(device)[pick.long()]
        return drawn

    def drop(self, batch: int, generator: torch.Generator | None) -> dict[str, Bool[Tensor, "B"]]:
        """Return which samples are not told of each optional condition, each by itself."""
        return {
            name: uniform((batch,), generator, self.silence.device) < self[name].config.dropout
            for name in self.names
            if self[name].config.optional
        }


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
