"""The settings of the comparison of losses."""

from typing import Annotated, get_args

from pydantic import Field, field_validator

from duet_rl.config import Config
from duet_rl.datasets.split import Split
from duet_rl.rl.losses import LossName, NamedLoss


class LabConfig(Config):
    """Every loss at every staleness with every seed, all from one follower."""

    losses: tuple[LossName, ...] = Field(get_args(NamedLoss), min_length=1)
    # Gradient steps by which the rollouts lag that a step learns from; 0 is on-policy.
    staleness: tuple[Annotated[int, Field(ge=0)], ...] = Field((1, 8, 64), min_length=1)
    seeds: int = Field(3, ge=2)  # trainings of each; one alone has no interval
    updates: int = Field(128, ge=1)  # gradient steps of a training

    # One gradient step learns from these, and from nothing that is remembered.
    leaders: int = Field(2, ge=1)  # windows
    rollouts: int = Field(8, ge=2)  # of each window
    seconds: float = Field(3.2, gt=0)  # a rollout, 24 tokens

    # What is danced in the end, the same for all
    splits: tuple[Split, ...] = Field(("val", "test"), min_length=1)  # the leaders are from these
    windows: int = Field(32, ge=1)  # of leaders, at most
    window_seconds: float = Field(8.5, gt=0)
    dances: int = Field(2, ge=1)  # sampled with each window

    workers: int | None = Field(None, ge=1)  # trainings at once, a core each; None: all cores

    @field_validator("losses", "staleness", "splits")
    @classmethod
    def _once_each(cls, names: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(dict.fromkeys(names))
