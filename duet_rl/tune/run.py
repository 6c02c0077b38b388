"""A search from beginning to end, or from where it was left."""

import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.generate.follower import load_follower
from duet_rl.observe.passwords import without_passwords
from duet_rl.observe.trackers import shown
from duet_rl.pretrain.follower_stage import PARTS
from duet_rl.resources import is_private_cluster, start_ray
from duet_rl.rl.checks import check_settings, may_part_couples
from duet_rl.run import RunConfig, stage_plans
from duet_rl.storage.claims import claimed
from duet_rl.tune.record import Trial, read_trials
from duet_rl.tune.results import TABLE, Outcome, write_results
from duet_rl.tune.search import (
    MEMBER,
    Names,
    domains,
    make_scheduler,
    make_searcher,
    needs_optuna,
    require_optuna,
)
from duet_rl.tune.settings import TuneConfig
from duet_rl.tune.space import check_space, stated
from duet_rl.tune.trial import Job, train_trial
from duet_rl.tune.watcher import Clock, InVain, Watcher, settle_ends

RAY_FOLDER = "ray"  # sub-folder of the search where Ray Tune keeps its own files; none is needed
_MARK = "search.json"  # in the folder of the search: which one it is
# Settings that a search may go on with changed.
_FREE = frozenset({"budget", "resources", "concurrent", "retries"})
_KEPT_STATES = 3  # of a member of a population; others may still want to begin with them
_HOUR = 3600.0  # s
_MOST_FAILURES = 20  # in a row; where a number of trials is the budget, as many as that

logger = logging.getLogger(__name__)


def run_search(
    config: TuneConfig,
    data: Path,
    out: Path,
    follower: Path | None = None,
    codec: Path | None = None,
) -> Outcome:
    """Try settings until the budget is spent; write tables, plots and the best preset to `out`.

    The same call again goes on: trials that ended are not run again, others go on from their
    last states. With a larger budget there are more trials. A trial that failed does not count, and
    another takes its place, but for the members of a population.

    Args:
        config: the search.
        data: folder of the clip store; trials learn from `train` and are judged on `val`.
        out: folder of the search.
        follower: that RL starts from.
        codec: folder of the tokenizers that a follower is trained on.

    Raises:
        InputError: data, settings or folders do not fit, another program works in `out`, as many
            trials failed in a row as the budget has, or not one could be measured.
    """
    job = Job(config, data.resolve(), out.resolve(), _whole(follower), _whole(codec))
    settings = _check(job)
    with claimed(job.out):
        _mark(job)
        settle_ends(job)
        watcher = _search(job, _bundles(config, settings))
        outcome = write_results(job, read_trials(job.out))
    if watcher.in_vain:
        raise InputError(
            f"{watcher.most} trials failed in a row, the last one because: {watcher.reason}; mend "
            f"that, and the same command goes on; {job.out / TABLE} has what was measured"
        )
    return outcome


def _search(job: Job, bundles: Sequence[dict[str, float]]) -> Watcher:
    """Run trials until the budget is spent, or spending more is in vain; return who knows."""
    clock, before = Clock(job.out), -1
    watcher = Watcher(job, clock, job.config.budget.trials or _MOST_FAILURES)
    while not watcher.in_vain:
        trials = read_trials(job.out)
        ended = [trial for trial in trials if trial.status != "unfinished"]
        again = [trial for trial in trials if trial.status == "unfinished"]
        missing = _missing(job.config, ended, clock)
        if not missing or len(ended) == before:
            break
        if ended:
            failed = sum(trial.failed for trial in ended)
            logger.info("%d trials ended before, %d of them failed", len(ended), failed)
        before = len(ended)
        _fit(job, ended, again, missing, watcher, clock, bundles)
        settle_ends(job)
    return watcher


def _whole(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()


def _check(job: Job) -> list[RunConfig]:
    """Return the settings of all corners of the space, after everything that can be checked.

    Raises:
        InputError: something does not fit; nothing was started.
    """
    config, store = job.config, DuetStore.open(job.data)
    settings = check_space(config)
    if needs_optuna(config):
        require_optuna()
    if not store.records("val"):
        raise InputError(
            f"trials are judged on the val split, of which {job.data} has no clip; prepare a store "
            "with prepare.split.val=0.1"
        )
    if config.scheduler.kind == "pbt":
        _check_population(config)
    if config.stage == "rl":
        _check_rl(job, settings, store)
        return settings
    if job.follower is not None:
        raise InputError(f"a follower was given, which stage {config.stage} does not use")
    if config.stage == "follower" and job.codec is None:
        raise InputError("a follower is trained on finished tokenizers; give --codec FOLDER")
    for plan in stage_plans(settings[0], config.stage, job.data, job.out, job.codec):
        plan.settings()
    return settings


def _check_population(config: TuneConfig) -> None:
    if config.stage != "rl" or (config.budget.trials or 0) < 2:
        raise InputError(
            "scheduler.kind is pbt, a population that trains by RL; set stage=rl and budget.trials "
            "to its size, 2 or more, or scheduler.kind=asha"
        )
    if config.scheduler.interval % config.report_every:
        raise InputError(
            f"scheduler.interval {config.scheduler.interval} is no multiple of report_every "
            f"{config.report_every}; members can only meet where they are measured"
        )
    if config.concurrent is not None:
        raise InputError(
            f"concurrent is {config.concurrent}; the members of a population take turns where "
            "there is no room for all: leave it out"
        )


def _check_rl(job: Job, settings: Sequence[RunConfig], store: DuetStore) -> None:
    if job.follower is None or job.codec is not None:
        raise InputError("RL starts from a follower; give --follower FOLDER, and no codec")
    start = load_follower(job.follower)
    for each in settings:
        start.require_fits(store, f"the follower {job.follower}", may_part_couples(each.rl))
        check_settings(each.rl, start.model.config)


def _mark(job: Job) -> None:
    """Note in the folder which search it holds; passwords of trackers are no part of that.

    Raises:
        InputError: it holds another one.
    """
    config = job.config
    used = [job.follower] if job.follower else [job.codec / part for part in PARTS if job.codec]
    mark = {
        **config.model_dump(mode="json", exclude=set(_FREE)),
        "preset": stated(config, {}),
        "data": DuetStore.open(job.data).hash,
        "began_with": [sha256_of(folder) for folder in used],
    }
    mark = without_passwords(json.loads(json.dumps(mark)))
    file = job.out / _MARK
    if file.is_file():
        known = without_passwords(json.loads(file.read_text()))
        if differ := sorted(key for key in mark if known.get(key) != mark[key]):
            raise InputError(
                f"{job.out} holds another search, with other {', '.join(differ)}; give another "
                "--out, or the same settings again"
            )
        return
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(mark, indent=1) + "\n")
    with atomic_path(job.out / "search.yaml") as temporary:
        temporary.write_text(shown(config))


def _missing(config: TuneConfig, ended: Sequence[Trial], clock: Clock) -> int:
    """Return how many trials may still be run; -1 is any number."""
    hours, trials = config.budget.hours, config.budget.trials
    if hours is not None and clock.seconds >= hours * _HOUR:
        return 0
    if trials is None:
        return -1
    # The members of a population are who they are: one that failed is not begun again.
    population = config.scheduler.kind == "pbt"
    return max(0, trials - sum(population or not trial.failed for trial in ended))


def _bundles(config: TuneConfig, settings: Sequence[RunConfig]) -> list[dict[str, float]]:
    """Return what a trial takes from the cluster: one bundle an actor, its own first."""
    own = {"CPU": config.resources.cpus, "GPU": config.resources.gpus}
    if config.stage != "rl":
        return [own]
    hardware = settings[0].rl.hardware
    runners = max(each.rl.env_runners or 0 for each in settings)
    runner = {"CPU": 1.0, "GPU": hardware.runner_gpus, **hardware.runner_resources}
    bundles = [own] + [runner] * runners
    if hardware.remote_learner:
        learner = {"CPU": 1.0, "GPU": hardware.learner_gpus, **hardware.learner_resources}
        return [*bundles, learner]
    own["GPU"] = max(own["GPU"], hardware.learner_gpus)
    return bundles


def _fit(
    job: Job,
    ended: Sequence[Trial],
    again: Sequence[Trial],
    missing: int,
    watcher: Watcher,
    clock: Clock,
    bundles: Sequence[dict[str, float]],
) -> None:
    """Run the trials that are missing."""
    # Our own files tell of the trials; Ctrl-C is the command line's.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "5")
    started = start_ray()
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # we tell of failures ourselves
    config, population = job.config, job.config.scheduler.kind == "pbt"
    try:
        _require_room(bundles)
        members: list[str] = []
        if population:
            begun = [trial.name for trial in (*ended, *again)]
            names = [f"{MEMBER}{number}" for number in range(config.budget.trials or 0)]
            # In the order of the values that the searcher is given, then those that draw theirs.
            members = [trial.name for trial in again]
            members += [name for name in names if name not in begun]
        searcher = make_searcher(config, ended, again)
        name = Names(job, (trial.name for trial in ended), members)
        shutil.rmtree(job.out / RAY_FOLDER, ignore_errors=True)
        left = None if config.budget.hours is None else config.budget.hours * _HOUR - clock.seconds
        tuner = tune.Tuner(
            tune.with_resources(
                partial(train_trial, job=job), tune.PlacementGroupFactory(list(map(_some, bundles)))
            ),
            param_space={} if needs_optuna(config) else domains(config),
            tune_config=tune.TuneConfig(
                metric=config.judge,
                mode=config.direction,
                search_alg=searcher,
                scheduler=make_scheduler(config, ended),
                num_samples=missing,
                max_concurrent_trials=config.concurrent,
                time_budget_s=left,
                trial_name_creator=name,
                trial_dirname_creator=name,
            ),
            run_config=tune.RunConfig(
                name=str(time.time_ns()),
                storage_path=str(job.out / RAY_FOLDER),
                callbacks=[watcher],
                stop=InVain(watcher),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=config.retries),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=_KEPT_STATES),
            ),
        )
        tuner.fit()
    finally:
        clock.stop()
        if started:
            ray.shutdown()
    shutil.rmtree(job.out / RAY_FOLDER, ignore_errors=True)


def _some(bundle: dict[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in bundle.items() if amount}


def _require_room(bundles: Sequence[dict[str, float]]) -> None:
    """Refuse trials that this machine can never hold; another cluster may grow.

    Raises:
        InputError: says what is wanted, and what there is.
    """
    import ray

    there = ray.cluster_resources()
    for name in sorted({name for bundle in bundles for name in bundle}):
        wanted = sum(bundle.get(name, 0.0) for bundle in bundles)
        if wanted > there.get(name, 0.0):
            text = f"a trial wants {wanted:g} {name} and the cluster has {there.get(name, 0):g}"
            if is_private_cluster():
                raise InputError(f"{text}; set smaller resources, or fewer rl.env_runners")
            logger.warning("%s; it waits until the cluster grows", text)
