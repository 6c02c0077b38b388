"""A stage that learns a few batches by heart."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from duet_rl.pretrain.stage import Stage

STEPS = 40


def losses(module: nn.Module, batches: Iterable[Any], lr: float = 1e-2) -> list[float]:
    """Return the loss of each batch, from each of which the module learns."""
    optimiser = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=lr)
    found = []
    for batch in batches:
        loss, _ = module(*batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


def losses_of(stage: Stage) -> list[float]:
    """Return the losses of a stage's first steps."""
    return losses(stage.module, (stage.batch(step, 0, 1) for step in range(STEPS)))
