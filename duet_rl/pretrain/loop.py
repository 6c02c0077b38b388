"""The one training loop, run by every worker of a Ray Train job, for one stage after another."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from duet_rl.datasets.windows import step_seed
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.observe import lines
from duet_rl.pretrain.host import Host, TrainWorker
from duet_rl.pretrain.notes import StageNotes
from duet_rl.pretrain.schedule import learning_rate, length_of
from duet_rl.pretrain.stage import Stage, StagePlan
from duet_rl.pretrain.state import Progress, load_state, read_progress, save_state
from duet_rl.pretrain.step import autocast, optimiser_of, prepare, take_step, to_device
from duet_rl.run_log import FAULT, LOGS

LOG_EVERY = 10  # steps between lines of the log; there is one more wherever losses are validated


def work(job: Mapping[str, Any]) -> None:
    """Train the stages of a job on one worker.

    Args:
        job: `plans`, the stages in their order, and `threads` for torch.
    """
    lines.set_up_worker()
    torch.set_num_threads(job["threads"])
    host = TrainWorker()
    try:
        for plan in job["plans"]:
            if not plan.is_done():
                train_stage(plan, host)
    except InputError as error:  # trying again would not mend it, so it is no failure for Ray
        if host.rank == 0:
            with atomic_path(fault_file(job["plans"])) as temporary:
                temporary.write_text(str(error))


def fault_file(plans: Sequence[StagePlan]) -> Path:
    """Return where a worker says what is wrong with its input."""
    return plans[0].out / LOGS / FAULT


def train_stage(plan: StagePlan, host: Host) -> None:
    """Train a stage from where its last state was kept, and write its folder.

    Args:
        plan: the stage.
        host: this process's share of the work, and where states are kept.

    Raises:
        InputError: data or settings do not fit, or the loss was no number.
    """
    config, began = plan.config, time.monotonic()
    rank, world, device = host.rank, host.world, host.device
    torch.manual_seed(config.seed)  # every worker builds the same weights
    stage = plan.open()
    module = stage.module
    length = length_of(config, stage.train)
    prepare(module, config, device)
    optimiser = optimiser_of(module, config)
    fingerprint = plan.fingerprint(stage.store.hash)
    first = _resume(module, optimiser, fingerprint, host)
    parallel = module
    if world > 1:  # buffers are codebooks, which the workers keep equal themselves
        parallel = nn.parallel.DistributedDataParallel(module, broadcast_buffers=False)
    metrics: dict[str, float] = {}
    log = StageNotes(plan, first, length.steps) if rank == 0 else None
    for step in range(first, length.steps):
        torch.manual_seed(step_seed(config.seed, step, rank))  # dropout, drawn look-aheads ...
        batch = to_device(stage.batch(step, rank, world), device)
        if step == 0 and config.accumulate > 1:
            with autocast(config, device):
                stage.settle(batch)
        numbers = take_step(parallel, optimiser, batch, config, learning_rate(config, step, length))
        done = step + 1
        validates = done % config.validate_every == 0 or done == length.steps
        if validates or done % LOG_EVERY == 0:
            metrics = _mean_over_workers(numbers, world)
            if not math.isfinite(metrics["loss"]):
                raise InputError(
                    f"the loss of stage {plan.name} is {metrics['loss']} at step {done}; lower "
                    f"{plan.name}.lr, or look for broken clips in {plan.data}"
                )
            if validates:
                metrics |= _validate(module, stage, rank)
            if log is not None:
                host.note(done, log.write(done, metrics))
        if done % config.checkpoint_every == 0 and done < length.steps:
            _keep(module, optimiser, Progress(fingerprint, done), host)
    if log is not None:
        log.close()
        facts = {
            "fingerprint": fingerprint,
            "data_hash": stage.store.hash,
            "steps": length.steps,
            "stage": plan.name,
            "stage_config": config.model_dump(mode="json"),
            "metrics": metrics,
            "seconds": round(time.monotonic() - began, 1),
        }
        stage.save(plan.folder, facts)
    _wait_for_all(world)


@torch.no_grad()
def _validate(module: nn.Module, stage: Stage, rank: int) -> dict[str, float]:
    """Return the losses on held-out choreographies and, on the first worker, scores of dances."""
    module.eval()
    scores: dict[str, float] = {}
    held_out = stage.held_out()
    if held_out is not None:
        loss, numbers = module(*to_device(held_out, next(module.parameters()).device))
        scores = {f"val/{name}": float(value) for name, value in {**numbers, "loss": loss}.items()}
    if rank == 0:
        scores |= {f"rollout/{name}": value for name, value in stage.danced().items()}
    module.train()
    return scores


def _resume(
    module: nn.Module, optimiser: torch.optim.Optimizer, fingerprint: str, host: Host
) -> int:
    """Load the state that was kept, if it is of this stage; return its step."""
    with host.kept() as folder:
        if folder is None:
            return 0
        progress = read_progress(folder)
        if progress.fingerprint != fingerprint:
            return 0
        load_state(folder, module, optimiser)
    return progress.step


def _keep(
    module: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress, host: Host
) -> None:
    """Keep the state for a restart."""
    host.keep(progress.step, lambda folder: save_state(folder, module, optimiser, progress))


def _mean_over_workers(numbers: Mapping[str, Tensor], world: int) -> dict[str, float]:
    values = torch.stack([value.detach().float() for value in numbers.values()])
    if world > 1:
        torch.distributed.all_reduce(values)
        values = values / world
    return dict(zip(numbers, values.tolist(), strict=True))


def _wait_for_all(world: int) -> None:
    """The next stage reads what rank 0 has just written."""
    if world > 1:
        torch.distributed.barrier()
