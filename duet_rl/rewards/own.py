"""Reward terms of one's own: functions that settings name."""

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config, import_named
from duet_rl.errors import InputError
from duet_rl.rewards.codes import CODES_CREDITS
from duet_rl.rewards.inputs import RewardInput

EVERY_PART = CODES_CREDITS


class OwnRewardConfig(Config):
    """Which function a term is, how much it counts, and what it credits."""

    function: str  # `package.module:name` of what takes a `RewardInput` and returns (B, T), or None
    weight: float = Field(1.0, gt=0)  # share in the sum
    parts: tuple[str, ...] = EVERY_PART  # parts of the body whose streams it credits
    settings: dict[str, Any] = Field(default_factory=dict)  # keyword arguments of the function


def own_term(key: str, config: OwnRewardConfig) -> Callable[[RewardInput], Tensor | None]:
    """Return a function that scores every frame, `(B, T)`; None where it has nothing to say.

    Args:
        key: the setting, for errors.
        config: what it says.

    Raises:
        InputError: there is no such function, or parts that no body has. The function that is
            returned raises it for scores that are not one finite number a frame.
    """
    function = import_named(config.function, f"{key}.function")
    if not callable(function):
        raise InputError(f"{key}.function is {config.function!r}, which is no function; name one")
    if unknown := [part for part in config.parts if part not in EVERY_PART]:
        raise InputError(f"{key}.parts has {unknown[0]!r}; take some of {', '.join(EVERY_PART)}")

    def term(data: RewardInput) -> Tensor | None:
        score = function(data, **config.settings)
        wanted = tuple(data.follower.shape[:2])
        if score is None:
            return None
        if not isinstance(score, Tensor) or tuple(score.shape) != wanted:
            found = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
            raise InputError(
                f"{config.function} returned {found}, and a tensor {wanted} is wanted, a score for "
                "every frame of every dance; mend it"
            )
        if not torch.isfinite(score).all():
            raise InputError(
                f"{config.function} returned scores that are not finite; mend what it divides by"
            )
        return score.to(data.follower.dtype)

    return term
