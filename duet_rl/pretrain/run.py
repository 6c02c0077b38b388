"""Pretraining as one Ray Train job: start or resume it, show how far it is, and end in folders."""

import logging
import math
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.observe import lines
from duet_rl.observe.sinks import require_trackers
from duet_rl.pretrain.progress import shown
from duet_rl.pretrain.stage import ClusterConfig, StagePlan
from duet_rl.resources import WorkerPlan, is_private_cluster, plan_workers, start_ray

RAY_FOLDER = "ray"  # sub-folder of the run where Ray Train keeps its states
_JOB = "pretrain"  # the name by which Ray Train finds its states again
_STATES = 2  # kept; the newest may be half-written when a node dies
_MOST_CPU_WORKERS = 4
_RESIZE_SECONDS = 60.0  # between looks for room to grow, which costs the steps since a state

logger = logging.getLogger(__name__)


def run_stages(
    plans: Sequence[StagePlan], cluster: ClusterConfig, progress: bool = True
) -> list[Path]:
    """Train stages one after the other and return their folders.

    Finished stages are not trained again, and an interrupted job goes on from its last state:
    the same call is the way to resume. All stages share one run folder, which every worker must
    be able to reach.

    Args:
        plans: the stages; a later one may need what an earlier one writes.
        cluster: how many workers, with what.
        progress: whether to show a bar for every stage.

    Raises:
        InputError: data, settings or cluster do not fit, or the loss was no number.
    """
    todo: list[StagePlan] = []
    for plan in plans:
        if todo or not plan.is_done():
            todo.append(plan)
        else:
            logger.info("%s is done already", plan.folder)
    if todo:
        require_trackers(todo[0].log)
        for plan in todo:  # all of them, before the first takes its hours
            plan.require_fit()
        lines.this_is(run=todo[0].out.name)
        todo[0].settings()  # what an earlier stage should have left is asked for before any work
        with shown(todo, progress):
            _fit(todo, cluster)
        for plan in todo:
            logger.info("%s", _summary(plan))
        shutil.rmtree(_states_folder(todo), ignore_errors=True)  # nothing is left to resume
    return [plan.folder for plan in plans]


def _fit(plans: Sequence[StagePlan], cluster: ClusterConfig) -> None:
    """Run the job on a cluster that is there, or one that is started for it."""
    from duet_rl.pretrain.loop import fault_file

    started = start_ray()
    import ray

    fault = fault_file(plans)
    fault.unlink(missing_ok=True)
    try:
        use_gpu = cluster.use_gpu
        if use_gpu is None:
            use_gpu = ray.cluster_resources().get("GPU", 0) >= 1
        workers = _plan(plans, cluster, use_gpu)
        with _own_ctrl_c():
            result = _trainer(plans, cluster, workers).fit()
    finally:
        if started:
            ray.shutdown()
    if result.error is not None:
        raise result.error
    if fault.is_file():
        raise InputError(fault.read_text())
    missing = [str(plan.folder) for plan in plans if not checkpoint.is_checkpoint(plan.folder)]
    if missing:
        raise InputError(
            f"the workers finished but {', '.join(missing)} cannot be seen from here; the run "
            "folder must be on storage that all nodes share"
        )


def _summary(plan: StagePlan) -> str:
    """Return one line about a finished stage."""
    meta = checkpoint.read_meta(plan.folder)
    losses = [f"{k} {meta['metrics'][k]:.3f}" for k in ("loss", "val/loss") if k in meta["metrics"]]
    return (
        f"{plan.name}: {meta['steps']} steps in {meta['seconds']:.0f} s, {', '.join(losses)}; "
        f"{plan.folder}"
    )


def _states_folder(plans: Sequence[StagePlan]) -> Path:
    return (plans[0].out / RAY_FOLDER).resolve()


@contextmanager
def _own_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the block as it ends other work.

    Ray Train puts a handler of its own in place, which aborts the job, leaves by `SystemExit` and
    stays in place when the job is over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        raise KeyboardInterrupt from leaving
    finally:
        signal.signal(signal.SIGINT, before)


def _worker_count(use_gpu: bool) -> int:
    """Return how many workers suit the cluster: a power of two, which divides most batches."""
    import ray

    found = int(ray.cluster_resources().get("GPU" if use_gpu else "CPU", 1))
    most = found if use_gpu else min(found, _MOST_CPU_WORKERS)
    return 1 << max(0, most.bit_length() - 1)


def _plan(plans: Sequence[StagePlan], cluster: ClusterConfig, use_gpu: bool) -> WorkerPlan:
    """Return what each worker gets.

    Raises:
        InputError: the cluster has too little, or a batch does not divide among the workers.
    """
    if cluster.min_workers is None:
        return plan_workers(cluster.workers or _worker_count(use_gpu), use_gpu, cluster.cpus)
    require_divisible(plans, cluster.min_workers, cluster.workers)
    cpus = cluster.cpus or 1
    if is_private_cluster():  # to which nothing will be added
        return plan_workers(cluster.min_workers, use_gpu, cpus)
    return WorkerPlan(cluster.min_workers, cpus, use_gpu)


def require_divisible(plans: Sequence[StagePlan], fewest: int, most: int | None) -> None:
    """Refuse a job that can come to a number of workers among whom a batch does not divide.

    Every step takes the same windows whatever the number of workers, each an equal share.

    Args:
        plans: the stages.
        fewest: workers.
        most: workers.

    Raises:
        InputError: says which stage, and what to set.
    """
    if most is None or most < fewest:
        raise InputError(
            f"cluster.min_workers is {fewest} and cluster.workers is {most}, which is the most "
            f"that a job may have; set cluster.workers to {fewest} or more"
        )
    for plan in plans:
        size, pieces = plan.config.batch_size, plan.config.accumulate
        odd = [count for count in range(fewest, most + 1) if size % (count * pieces)]
        if odd:
            fitting = math.lcm(*range(fewest, most + 1)) * pieces
            micro = f" with {pieces} micro batches each" if pieces > 1 else ""
            raise InputError(
                f"a job may come to {odd[0]} workers (cluster.min_workers {fewest}, "
                f"cluster.workers {most}), among whom{micro} the {size} windows of a step of stage "
                f"{plan.name} do not divide; make {plan.name}.batch_size a multiple of {fitting}, "
                "or set other numbers"
            )


def _trainer(plans: Sequence[StagePlan], cluster: ClusterConfig, workers: WorkerPlan) -> Any:
    """Return the Ray Train job; the same run folder and name find the same states."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig

    from duet_rl.pretrain.loop import work
    from duet_rl.pretrain.trainer import LeanTorchTrainer

    logging.getLogger("ray.train").setLevel(logging.ERROR)
    return LeanTorchTrainer(
        work,
        train_loop_config={"plans": list(plans), "threads": workers.cpus},
        torch_config=TorchConfig(backend="nccl" if workers.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=_range(cluster, workers),  # type: ignore[arg-type]  # of the older Train
            use_gpu=workers.use_gpu,
            resources_per_worker=workers.resources,
            elastic_resize_monitor_interval_s=_RESIZE_SECONDS,  # type: ignore[call-arg]
        ),
        run_config=RunConfig(
            name=_JOB,
            storage_path=str(_states_folder(plans)),
            # A node that says beforehand that it goes, as spot nodes do, is no failure to Ray.
            failure_config=FailureConfig(max_failures=cluster.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=_STATES),
        ),
    )


def _range(cluster: ClusterConfig, workers: WorkerPlan) -> int | tuple[int, int | None]:
    """Return how many workers the job has, or the fewest and the most."""
    if cluster.min_workers is None:
        return workers.workers
    return cluster.min_workers, cluster.workers
