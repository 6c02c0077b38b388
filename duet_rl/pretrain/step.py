"""One step of training: gradients of a batch, in pieces if need be, and the optimiser."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from duet_rl.errors import InputError
from duet_rl.models.repeated import check_compiler, compile_layers, set_checkpointing
from duet_rl.pretrain.stage import Metrics, StageConfig
from duet_rl.tokenizers.workers import micro_batch


def prepare(module: nn.Module, config: StageConfig, device: torch.device) -> None:
    """Bring a module to `device` and into training, as `config` wants its layers computed.

    Raises:
        InputError: it shall be compiled, and no compiler works here.
    """
    module.to(device).train()
    set_checkpointing(module, config.checkpointing)
    if config.compile:
        check_compiler(device)
        compile_layers(module)


def optimiser_of(module: nn.Module, config: StageConfig) -> torch.optim.AdamW:
    """Return an optimiser of all that is trained in `module`."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        trained, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )


def take_step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Any, ...],
    config: StageConfig,
    lr: float,
) -> Metrics:
    """Take one gradient step and return what it measured.

    Args:
        module: what is trained, or its data-parallel wrapper.
        optimiser: of its parameters.
        batch: the arguments of the module, this worker's share of the step.
        config: of the stage.
        lr: learning rate of this step.

    Raises:
        InputError: the share does not divide into the micro batches.
    """
    trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for group in optimiser.param_groups:
        group["lr"] = lr
    optimiser.zero_grad(set_to_none=True)
    numbers = _gradients(module, to_device(batch, trained[0].device), config)
    # Without a limit the norm is still wanted, as something to log and to judge the step by.
    norm = nn.utils.clip_grad_norm_(trained, config.grad_clip or math.inf)
    if torch.isfinite(norm):  # a step of NaN would spoil the weights for good
        optimiser.step()
    return {**numbers, "grad_norm": norm.detach()}


def autocast(config: StageConfig, device: torch.device) -> torch.autocast:
    """Return the context in which the module of a stage is called in training."""
    low = config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=low)


def to_device(batch: Any, device: torch.device) -> Any:
    """Return a batch of (nested tuples and mappings of) tensors on `device`."""
    return _each(batch, lambda tensor: tensor.to(device, non_blocking=True))


def _gradients(module: nn.Module, batch: tuple[Any, ...], config: StageConfig) -> Metrics:
    """Add up the gradients of the micro batches; return the means of what they measured."""
    count = config.accumulate
    measured: list[Metrics] = []
    for index in range(count):
        piece = batch if count == 1 else _each(batch, _piece(index, count))
        last = index == count - 1
        with micro_batch(index, count), _unsynchronised(module, last):
            device = next(module.parameters()).device
            with autocast(config, device):
                loss, numbers = module(*piece)
            (loss if count == 1 else loss / count).backward()
        measured.append({**numbers, "loss": loss.detach()})
    if count == 1:
        return measured[0]
    return {
        name: torch.stack([each[name].detach().float() for each in measured]).mean()
        for name in measured[0]
    }


def _unsynchronised(module: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Return a context in which workers keep their gradients to themselves until the last piece."""
    if isinstance(module, DistributedDataParallel) and not last:
        return module.no_sync()
    return nullcontext()


def _piece(index: int, count: int) -> Callable[[Tensor], Tensor]:
    """Return what cuts piece `index` of `count` equal ones out of a tensor's first axis."""

    def cut(tensor: Tensor) -> Tensor:
        size = len(tensor) // count
        if size * count != len(tensor):
            raise InputError(
                f"a worker's {len(tensor)} windows of a step do not divide into {count} micro "
                "batches; make batch_size a multiple of workers x accumulate"
            )
        return tensor[index * size : (index + 1) * size]

    return cut


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return `batch` with each tensor changed, in the tuples and mappings that it came in."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, dict):
        return {name: _each(part, change) for name, part in batch.items()}
    changed: Sequence[Any] = [_each(part, change) for part in batch]
    return type(batch)(*changed) if hasattr(batch, "_fields") else tuple(changed)
