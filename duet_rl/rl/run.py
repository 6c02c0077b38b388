"""Train by RL: from a follower and a store of clips to a better follower, resumable."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.audio.provenance import META_KEY
from duet_rl.datasets.roles import part_facts
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, settle, sha256_of
from duet_rl.generate.follower import KIND, load_follower
from duet_rl.models.bailando import BailandoGPTConfig
from duet_rl.models.follower import AnyGPTConfig, hearing_of
from duet_rl.models.window_gpt import WindowGPTConfig
from duet_rl.observe.settings import LogConfig
from duet_rl.observe.sinks import require_trackers
from duet_rl.resources import start_ray, usable_cpus
from duet_rl.rl.checks import check_settings, may_part_couples
from duet_rl.rl.dances import dances_of, make_dances
from duet_rl.rl.journal import Journal
from duet_rl.rl.rollout_group import ARRAYS, NUMBERS, RolloutGroup
from duet_rl.rl.settings import OURS, RLConfig
from duet_rl.rl.show import DANCES, DanceShow
from duet_rl.run_log import RL, RL_WORK
from duet_rl.tokenizers.leader import LEADER, LEADER_TOKENS

logger = logging.getLogger(__name__)

FOLDER = RL  # the finished follower, in the run's folder
WORK = RL_WORK  # its state, TensorBoard events and metrics, beside it
STATE = "state"
_ORIGIN = "origin.json"  # in the working folder: what makes the run this run
BAD_BATCH = "not_a_number.npz"  # in the working folder: rollouts that could not be learned from
# Settings that a run may change and still be the same run.
_FREE: dict[str, Any] = {
    **dict.fromkeys(
        (
            *("iterations", "env_runners", "min_env_runners", "checkpoint_every", "wait_seconds"),
            *("max_restarts", "max_failures"),
        ),
        True,
    ),
    **dict.fromkeys(("line_every", "show_every", "hardware", "checkpointing"), True),
    "replay": {"shards"},  # which have no influence on what is drawn
}
_DEFAULT_RUNNERS = 8  # at most; a learner in the driver keeps up with no more


def run_rl(
    config: RLConfig,
    follower: Path | str,
    data: Path | str,
    out: Path | str,
    progress: bool = True,
    log: LogConfig | None = None,
    watch: Callable[[Any], None] | None = None,
) -> Path:
    """Refine a follower by its rewards and return the folder of the better one, `out/rl`.

    The same call again resumes an interrupted run, or finds that all is done; with more
    `iterations` it goes on from the end.

    Args:
        config: settings; the environment gets its rewards from here.
        follower: folder of the follower to start from, with its codec.
        data: folder of the clip store; `config.split` says which of its clips are danced to.
        out: folder of the run.
        progress: whether to show a bar.
        log: where the numbers go beside the run's own log.
        watch: is called with the algorithm after each iteration, saved first if that was due.

    Raises:
        InputError: a folder is not what it should be, or settings do not fit each other.
        RolloutError: the env runners fail.
    """
    follower, out = Path(follower), Path(out)
    require_trackers(log or LogConfig())
    start, store = load_follower(follower), DuetStore.open(data)  # with all their checks
    start.require_fits(store, f"the follower {follower}", may_part_couples(config))
    _require_clips(store, config.split)
    gpt = start.model.config
    check_settings(config, gpt)
    origin = _origin(config, follower, store)
    settle(out / FOLDER)
    if _is_done(out / FOLDER, origin, config.iterations):
        logger.info("%s is done already", out / FOLDER)
        return out / FOLDER
    work = _prepare_work(out / WORK, origin)
    env_settings = env_settings_of(config, gpt, follower, data)
    if config.env != OURS or config.env_settings:  # told before Ray starts
        dances_of(made := make_dances(config.env, config.rollouts, env_settings))
        made.close()
    show = None
    if config.show_every is not None:
        show = DanceShow(start, store, work / DANCES, look_ahead=config.look_ahead)

    def attempt() -> Path:
        with _algorithm(config, follower.resolve(), gpt.model_dump(), env_settings) as algorithm:
            if checkpoint.is_checkpoint(work / STATE):
                algorithm.load_checkpoint(str(work / STATE))
                logger.info("resuming after %d iterations", algorithm.iterations_done)
            names = start.codec.spec.names
            with Journal(work, config, algorithm, names, show, progress, log) as journal:
                _train(algorithm, config, work, journal, watch)
            tensors = algorithm.follower_tensors()
            facts = {
                "stage": FOLDER,
                "stage_config": config.model_dump(mode="json"),
                "iterations": algorithm.iterations_done,
                "updates": algorithm.updates_done,
                "token_steps": algorithm.token_steps,
                META_KEY: dict(start.music),
                **part_facts(store),
            }
        return _write_follower(out / FOLDER, follower, tensors, gpt, {**origin, **facts})

    return _until_it_lives(attempt, config.max_failures)


def take_over(state: Path | None, config: RLConfig, follower: Path, data: Path, out: Path) -> None:
    """Let `run_rl` with these settings go on from a state that others led to.

    Args:
        state: folder of a saved state, which is copied; None: the run's own.
        config: settings of the run; the follower's shape and what the loss keeps stay the same.
        follower: that both began with.
        data: folder of the clip store.
        out: folder of the run.
    """
    work = out / WORK
    if state is not None:
        with atomic_path(work / STATE) as temporary:
            shutil.copytree(state, temporary)
    _mark(work, _origin(config, follower, DuetStore.open(data)))


def env_settings_of(
    config: RLConfig,
    gpt: AnyGPTConfig,
    follower: Path | str,
    data: Path | str,
) -> dict[str, Any]:
    """Return the keyword arguments of the environment in which a follower is refined.

    Raises:
        InputError: `rl.env_settings` says what RL says itself.
    """
    settings: dict[str, Any] = {
        "data": str(Path(data).resolve()),
        "codec": str(Path(follower).resolve()),
        "split": config.split,
        "rewards": config.rewards.model_dump(),
        "dance": {
            "seconds": config.seconds,
            "group_size": config.rollouts,
            "leader": _told_of(gpt.condition_names),
            "hears": hearing_of(gpt),
            "beyond": gpt.tokens_ahead if isinstance(gpt, WindowGPTConfig) else 0,
            "silent_end": isinstance(gpt, BailandoGPTConfig) and gpt.music == "window",
        },
    }
    if twice := sorted(settings.keys() & config.env_settings.keys()):
        raise InputError(
            f"rl.env_settings.{twice[0]}: RL itself says {', '.join(settings)}; "
            "take another name, or the setting of RL"
        )
    return settings | config.env_settings


def _require_clips(store: DuetStore, split: Split) -> None:
    """Make sure that there is something to dance to; warn of what spoils later measurements."""
    if not store.records(split):
        raise InputError(
            f"the split {split!r} of {store.path} has no clips; set rl.split=train, or prepare a "
            "store with some in it, e.g. with prepare.split.rl=0.1"
        )
    if split == "test":
        logger.warning(
            "rl.split=test: this run refines on the music that it will be tested with; numbers on "
            "the test split are then no measure of new music"
        )


def _told_of(conditions: Sequence[str]) -> str:
    """Return how a follower who wants these conditions is told of the leader."""
    known = {LEADER_TOKENS: "tokens", LEADER: "features"}
    return next((how for name, how in known.items() if name in conditions), "none")


def _until_it_lives(attempt: Callable[[], Path], most: int) -> Path:
    """Return what `attempt` does; where a learner actor is lost on the way, try again.

    Raises:
        RolloutError: it was lost more often than `most` times.
    """
    from ray.exceptions import RayActorError

    from duet_rl.rl.algorithm import LearnerLostError
    from duet_rl.rl.collector import RolloutError

    for lost in range(most + 1):
        try:
            return attempt()
        except (LearnerLostError, RayActorError) as error:
            if lost == most:
                reason = str(error).splitlines()[0]
                raise RolloutError(
                    f"the learner was lost {lost + 1} times ({reason}); look for what kills it "
                    "(memory?), or raise rl.max_failures; the same command goes on from the last "
                    "saved state"
                ) from error
            logger.warning("the learner was lost; going on from the last saved state")
    raise AssertionError("range(most + 1) is not empty")


def _train(
    algorithm: Any,
    config: RLConfig,
    work: Path,
    journal: Journal,
    watch: Callable[[Any], None] | None = None,
) -> None:
    """Train up to `config.iterations`, noting and saving on the way."""
    from duet_rl.rl.algorithm import NotANumberError

    while algorithm.iterations_done < config.iterations:
        try:
            results = algorithm.train()
        except NotANumberError as error:
            batch = _save_batch(error.groups, work / BAD_BATCH)
            raise InputError(
                f"{error}; lower rl.lr (now {config.lr:g}), or look for broken clips: the rollouts "
                f"are in {batch}, and the same command goes on from the last saved state"
            ) from error
        journal.note(results)
        done = algorithm.iterations_done
        if done % config.checkpoint_every == 0 or done == config.iterations:
            algorithm.save_checkpoint(str(work / STATE))
        if watch is not None:
            watch(algorithm)


def _save_batch(groups: Sequence[RolloutGroup], path: Path) -> Path:
    """Write rollouts as arrays, to look at, and return the file."""
    with atomic_path(path) as temporary:
        arrays = {
            f"{i}.{name}": np.asarray(getattr(group, name))
            for i, group in enumerate(groups)
            for name in (*ARRAYS, *NUMBERS)
        }
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return path


@contextmanager
def _algorithm(
    config: RLConfig, follower: Path, gpt: dict[str, Any], env_settings: dict[str, Any]
) -> Iterator[Any]:
    """Yield a `DuetRL` on a cluster that is there or started for it; stop both in the end."""
    started = start_ray()
    import ray

    from duet_rl.rl.algorithm import DuetRLConfig

    logging.getLogger("ray.rllib").setLevel(logging.ERROR)  # its warnings are about its own past
    try:
        runners = config.env_runners
        if runners is None:
            runners = min(_DEFAULT_RUNNERS, max(1, int(ray.cluster_resources().get("CPU", 1))))
        # Two threads that wait for a processor which a runner holds are far slower than one.
        torch.set_num_threads(max(1, usable_cpus() - min(runners, _room_here())))
        fewest = config.min_env_runners
        if fewest is not None:  # nodes may take minutes to start
            logger.info("asking for %d env runners, and waiting for %d", runners, fewest)
        algorithm = DuetRLConfig.of(config, follower, gpt, env_settings, runners).build_algo()
        try:
            yield algorithm
        finally:
            algorithm.stop()
    finally:
        if started:
            ray.shutdown()


def _room_here() -> int:
    """Return how many processors of this node Ray gives to env runners, at most."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    found = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["NodeID"] == here]
    return int(sum(found))


def _origin(config: RLConfig, follower: Path, store: DuetStore) -> dict[str, Any]:
    """Return what makes this run this run: its settings, its follower, its data."""
    # Without what was left at its default, so that a setting which is new changes no old run.
    stated = config.model_dump(mode="json", exclude=_FREE, exclude_defaults=True)
    stated["loss"] = config.loss  # whose default has changed before
    settings = json.dumps(stated, sort_keys=True)
    return {
        "data_hash": store.hash,
        "started_from": sha256_of(follower),
        "settings": hashlib.sha256(settings.encode()).hexdigest(),
    }


def _is_done(folder: Path, origin: dict[str, Any], iterations: int) -> bool:
    if not checkpoint.is_checkpoint(folder, KIND):
        return False
    meta = checkpoint.read_meta(folder)
    same = all(meta.get(key) == value for key, value in origin.items())
    return same and meta["iterations"] >= iterations


def _prepare_work(work: Path, origin: dict[str, Any]) -> Path:
    """Return the working folder, emptied where it belongs to another run."""
    mark = work / _ORIGIN
    if mark.is_file() and json.loads(mark.read_text()) == origin:
        settle(work / STATE)
        return work
    if work.exists():
        logger.warning("%s is of another follower, data or settings; starting anew", work)
        shutil.rmtree(work)
    _mark(work, origin)
    return work


def _mark(work: Path, origin: dict[str, Any]) -> None:
    """Write into a working folder which run it belongs to."""
    with atomic_path(work / _ORIGIN) as temporary:
        temporary.write_text(json.dumps(origin, indent=2) + "\n")


def _write_follower(
    folder: Path,
    start: Path,
    tensors: dict[str, Tensor],
    gpt: AnyGPTConfig,
    meta: dict[str, Any],
) -> Path:
    """Write the refined follower as a copy of the one it started from, but for the weights."""
    with atomic_path(folder) as temporary:
        shutil.copytree(start, temporary)
        checkpoint.write_files(temporary, kind=KIND, tensors=tensors, config=gpt, meta=meta)
    return folder
