"""The layer that a network repeats: what is recomputed to save memory, and compiled."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from duet_rl.errors import InputError

COMPILER = "inductor"  # backend of torch.compile


class Repeated(nn.Module):
    """A layer that training may call in other ways, with the same result.

    Recomputed, it keeps its inputs alone and runs again in the backward pass. Compiled, it runs
    as one program. Neither touches the names in the `state_dict`, nor what happens outside
    training (in evaluation mode, or without gradients).
    """

    recomputed: bool = False
    compiled: Callable[..., Any] | None = None

    def __call__(self, *inputs: Any) -> Any:
        call: Callable[..., Any] = super().__call__
        if not (self.training and torch.is_grad_enabled()):
            return call(*inputs)
        if self.compiled is not None:
            call = self.compiled
        if self.recomputed:
            return checkpoint(call, *inputs, use_reentrant=False)
        return call(*inputs)


def set_checkpointing(module: nn.Module, on: bool) -> None:
    """Say whether the repeated layers of `module` are run again in the backward pass."""
    for part in module.modules():
        if isinstance(part, Repeated):
            part.recomputed = on


def compile_layers(module: nn.Module, backend: str = COMPILER) -> None:
    """Compile the repeated layers of `module`, each when it is first called.

    Layers and not the whole: equal layers share one program, and what lies between them (the
    codebooks, which learn as they are called) stays as it is.
    """
    for part in module.modules():
        if isinstance(part, Repeated):
            part.compiled = torch.compile(part.forward, backend=backend)


def check_compiler(device: torch.device, backend: str = COMPILER) -> None:
    """Compile one addition.

    Raises:
        InputError: torch.compile does not work on `device` here.
    """

    def add_one(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    try:
        torch.compile(add_one, backend=backend)(torch.zeros(2, device=device))
    except (RuntimeError, ImportError, OSError) as error:  # as torch words a missing compiler
        why = " ".join(str(error).split("\n\n")[0].split())
        raise InputError(
            f"torch.compile does not work on {device} here: {why}; install a C++ compiler (and "
            "Triton for a GPU), or leave out compile=true"
        ) from error
