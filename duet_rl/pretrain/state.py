"""The state of a training in progress: weights, moments and a count, without pickles."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import nn

_WEIGHTS = "weights.safetensors"
_OPTIMISER = "optimiser.safetensors"
_COUNT = "state.json"


class Progress(NamedTuple):
    """How far a training has come, and which one it is."""

    fingerprint: str
    step: int


def save_state(
    folder: Path, module: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write everything that resuming needs into an existing folder."""
    weights = {name: x.detach().cpu().contiguous() for name, x in module.state_dict().items()}
    save_file({name: x.clone() for name, x in weights.items()}, folder / _WEIGHTS)
    moments = {
        f"{index}.{name}": value.detach().cpu().contiguous()
        for index, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }
    save_file(moments, folder / _OPTIMISER)
    (folder / _COUNT).write_text(json.dumps(progress._asdict()))


def read_progress(folder: Path) -> Progress:
    """Return how far the training whose state lies in `folder` has come."""
    return Progress(**json.loads((folder / _COUNT).read_text()))


def load_state(folder: Path, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Bring a module and its optimiser to where the training in `folder` was."""
    module.load_state_dict(load_file(folder / _WEIGHTS))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / _OPTIMISER).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )
