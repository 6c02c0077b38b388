"""Foreign state dicts and configs: what must be in them, checked and listed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duet_rl.errors import InputError, listed

_PREFIX = "module."  # that torch's DataParallel puts before every key
_NAMED_KEYS = 6  # keys spelled out in an error before "and n more"


def plain_state(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state dict by their names without the DataParallel prefix.

    Raises:
        InputError: a value is no tensor, or two keys become one without the prefix.
    """
    named = [(str(key).removeprefix(_PREFIX), value) for key, value in state.items()]
    tensors = dict(named)
    others = sorted(key for key, value in tensors.items() if not isinstance(value, Tensor))
    if others:
        raise InputError(f"no tensors: {some(others)}; give the file as the training wrote it")
    if len(tensors) < len(named):
        raise InputError(f"keys with and without {_PREFIX!r} collide; give the file as it was")
    return tensors


def require_shapes(state: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuse a state dict that differs from what is wanted.

    Args:
        state: the tensors by name.
        shapes: the wanted shape of each name.

    Raises:
        InputError: lists the keys that are missing, extra, of another shape, or not finite.
    """
    both = sorted(state.keys() & shapes.keys())
    misshapen = [name for name in both if tuple(state[name].shape) != tuple(shapes[name])]
    found = {
        "missing": sorted(shapes.keys() - state.keys()),
        "extra": sorted(state.keys() - shapes.keys()),
        "other shape": [
            f"{name} {tuple(state[name].shape)}, wanted {tuple(shapes[name])}" for name in misshapen
        ],
        "not finite": [
            name for name in both if name not in misshapen and not state[name].isfinite().all()
        ],
    }
    faults = [f"{what}: {some(names)}" for what, names in found.items() if names]
    if faults:
        raise InputError(
            f"{'; '.join(faults)}; give the file that the original training wrote for this model"
        )


def size_of(state: Mapping[str, Tensor], *places: tuple[str, int]) -> int | None:
    """Return the length that most of the axes have, each `(key, axis)`; None if none is there.

    So one tensor of a wrong shape is told apart from those that agree.
    """
    lengths = Counter(
        state[key].shape[axis]
        for key, axis in places
        if key in state and state[key].ndim > axis and state[key].shape[axis] > 0
    )
    return lengths.most_common(1)[0][0] if lengths else None


def numbers_in(config: Any, names: Sequence[str]) -> set[float]:
    """Return the different numbers that a stored config has under `names`, at any depth.

    Raises:
        InputError: one of these settings is something else.
    """
    found = values_in(config, names)
    others = [x for x in found if not isinstance(x, int | float) or isinstance(x, bool)]
    if others:
        raise InputError(f"the stored config has {others[0]!r} for {names[0]}; wanted a number")
    return set(found)


def values_in(config: Any, names: Sequence[str]) -> list[Any]:
    """Return all values that a stored config has under `names`, at any depth; no sections."""
    return [
        value
        for key, value in _settings(config)
        if key in names and not isinstance(value, Mapping | list | tuple)
    ]


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    return listed(names, _NAMED_KEYS)


def single_precision(tensor: Tensor) -> Tensor:
    """Return a copy as float32 on the CPU."""
    return tensor.detach().to("cpu", torch.float32, copy=True)


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield str(key), value
            yield from _settings(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _settings(value)
