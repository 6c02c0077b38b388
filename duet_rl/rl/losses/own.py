"""A policy loss of one's own: a function that settings name."""

from typing import Any

from pydantic import Field

from duet_rl.config import import_named
from duet_rl.errors import InputError
from duet_rl.rl.losses.advantages import CreditConfig
from duet_rl.rl.losses.base import Experience, Loss, Verdict

KEY = "rl.own.function"


class OwnLossConfig(CreditConfig):
    """Which function it is, and its settings, beside those that most losses share."""

    function: str | None = None  # `package.module:name`; called as all losses are
    settings: dict[str, Any] = Field(default_factory=dict)  # whatever it reads of its config


def own(verdict: Verdict, experience: Experience, config: OwnLossConfig) -> Loss:
    """Return what the function that `config` names makes of verdict, experience and `config`.

    Raises:
        InputError: no function is named, there is no such one, or it returns no `Loss`.
    """
    loss = function_of(config)(verdict, experience, config)
    if not isinstance(loss, Loss):
        raise InputError(
            f"{config.function} returned a {type(loss).__name__}, and a duet_rl.rl.losses.Loss is "
            "wanted; end it with `return assemble(...)`"
        )
    return loss


def function_of(config: OwnLossConfig) -> Any:
    """Return the function that `config` names.

    Raises:
        InputError: none is named, or there is no such one.
    """
    if config.function is None:
        raise InputError(f"rl.loss is own, and {KEY} names none; write {KEY}=package.module:name")
    function = import_named(config.function, KEY)
    if not callable(function):
        raise InputError(f"{KEY} is {config.function!r}, which is no function; name one")
    return function
