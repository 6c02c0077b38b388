"""The space of a search: its values, its corners, and what each trial is called."""

import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from duet_rl.config import load_preset, merge, validate
from duet_rl.errors import InputError
from duet_rl.rl.losses import LOSSES
from duet_rl.run import RunConfig
from duet_rl.tune.settings import Dimension, Stage, TuneConfig

Values = dict[str, Any]  # dotted setting -> value

# Sections of the settings that the result of a stage depends on.
_SECTIONS: dict[Stage, tuple[str, ...]] = {
    "pose": ("pose", "codec"),
    "translation": ("translation", "codec"),
    "follower": ("follower",),
    "rl": ("rl",),
}
# What may change while RL goes on: no shape of what is saved depends on it.
_CHANGEABLE = ("rl.lr", "rl.value_lr", "rl.grad_clip", "rl.temperature", "rl.passes", "rl.rewards")
_MOST_CORNERS = 1024  # that are all tried; of more, so many are drawn
_NAME_LENGTH = 120  # characters of a trial's folder, without the hash
_DIGITS = 12  # of a number, that tell trials apart


def settled(config: TuneConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a trial: the preset, what all trials have in common, its own.

    Raises:
        InputError: an unknown setting, or a value that it does not take.
    """
    return validate(RunConfig, stated(config, values), f"{config.stage} trial")


def stated(config: TuneConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `settled` resolves, as a nested mapping without defaults."""
    preset = {} if config.preset is None else load_preset(config.preset)
    return merge(merge(preset, config.settings), nested(values))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested mapping of dotted keys.

    Example:
        >>> nested({"rl.lr": 0.1, "rl.loss": "ppo"})
        {'rl': {'lr': 0.1, 'loss': 'ppo'}}
    """
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, leaf = key.split(".")
        branch: Any = value
        for part in reversed([*parents, leaf]):
            branch = {part: branch}
        tree = merge(tree, branch)
    return tree


def label(value: Any) -> Any:
    """Return what stands for a value where only plain ones are taken: lists become JSON."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else _json(value)


def unlabel(dimension: Dimension, mark: Any) -> Any:
    """Return the value that `mark` stands for."""
    if dimension.choice is None:
        return mark
    return next(value for value in dimension.choice if label(value) == mark)


def corners(config: TuneConfig) -> Iterator[Values]:
    """Yield the corners of the space: all, or a drawn part with every value of each dimension."""
    ends = {key: _ends(dimension) for key, dimension in config.search.items()}
    if math.prod(map(len, ends.values())) <= _MOST_CORNERS:
        for row in itertools.product(*ends.values()):
            yield dict(zip(ends, row, strict=True))
        return
    first = {key: values[0] for key, values in ends.items()}
    for key, values in ends.items():
        yield from ({**first, key: value} for value in values)
    rng = random.Random(config.seed)
    for _ in range(_MOST_CORNERS):
        yield {key: rng.choice(values) for key, values in ends.items()}


def check_space(config: TuneConfig) -> list[RunConfig]:
    """Return the settings of all corners; the base without the search comes first.

    Raises:
        InputError: a setting that is unknown or changes nothing for this stage, a value that it
            does not take, or one that cannot change while RL goes on.
    """
    base = settled(config, {})
    found = [settled(config, values) for values in corners(config)]
    sections = _SECTIONS[config.stage]
    losses = {resolved.rl.loss for resolved in found}
    for key in config.search:
        if key.split(".")[0] not in sections:
            raise InputError(
                f"{key} is searched, and stage {config.stage} does not depend on it; search "
                f"settings that begin with {' or '.join(f'{one}.' for one in sections)}"
            )
        loss = key.split(".")[1]
        if config.stage == "rl" and loss in LOSSES and loss not in losses:
            raise InputError(
                f"{key} is searched, and the loss is {', '.join(sorted(losses))}; set "
                f"rl.loss={loss}, or make it a choice"
            )
        changeable = (*_CHANGEABLE, f"rl.{base.rl.loss}")
        if config.scheduler.kind == "pbt" and not _under(key, changeable):
            raise InputError(
                f"{key} cannot change while a member of a population trains; search "
                f"{', '.join(changeable)} and what is below them, or set scheduler.kind=asha"
            )
    return [base, *found]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the shortest ends of dotted keys that tell them apart.

    Example:
        >>> short_names(["rl.lr", "rl.rewards.weights.foot", "rl.rewards.foot"])
        {'rl.lr': 'lr', 'rl.rewards.weights.foot': 'weights.foot', 'rl.rewards.foot': 'rewards.foot'}
    """  # noqa: E501 - one line of output

    def end(key: str, parts: int) -> str:
        return ".".join(key.split(".")[-parts:])

    short = {}
    for key in keys:
        longest = key.count(".") + 1
        lengths = range(1, longest + 1)
        alone = (n for n in lengths if sum(end(other, n) == end(key, n) for other in keys) == 1)
        short[key] = end(key, next(alone, longest))
    return short


def name_of(values: Mapping[str, Any]) -> str:
    """Return what a trial is called, and its folder: what differs, and a hash of exact values.

    Example:
        >>> name_of({"rl.lr": 0.00031, "rl.loss": "topr"})
        'lr=0.00031,loss=topr.624532'
    """
    short = short_names(list(values))
    text = ",".join(f"{short[key]}={show(value)}" for key, value in values.items())
    exact = {key: _rounded(value) for key, value in values.items()}
    digest = hashlib.sha256(_json(exact).encode()).hexdigest()[:6]
    clean = "".join(c if c.isalnum() or c in "=,._-+" else "_" for c in text)
    return f"{clean[:_NAME_LENGTH]}.{digest}"


def show(value: Any) -> str:
    """Return a value as a table shows it."""
    return f"{value:.3g}" if isinstance(value, float) else str(label(value))


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    return dimension.choice or dimension.range or ()


def _under(key: str, parents: Sequence[str]) -> bool:
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def _rounded(value: Any) -> Any:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
