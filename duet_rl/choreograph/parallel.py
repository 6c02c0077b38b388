"""Songs on all processors: a Ray actor each, or this process one after the other."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from duet_rl.choreograph.song import choreograph_song
from duet_rl.choreograph.task import PROGRESS, RECORD, SongResult, SongTask
from duet_rl.errors import InputError
from duet_rl.observe import lines
from duet_rl.resources import start_ray, usable_cpus

_AHEAD = 2  # songs that wait for each processor, so that a cluster knows to grow
_POLL_SECONDS = 1.0  # between two looks at how far the songs are
_GIGABYTE = 1e9

Watch = Callable[[float, str], None]
"""Takes how many songs are done, parts of them included, and what is being done."""

logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What became of a song: its result, or why there is none."""

    name: str
    result: SongResult | None
    fault: str = ""


def outcomes_of(tasks: Sequence[SongTask], parallel: bool, watch: Watch) -> Iterator[Outcome]:
    """Yield what became of each song, in any order; one that cannot be used stops no other.

    Args:
        tasks: what is not done yet.
        parallel: as Ray actors; False: here.
        watch: is told of the progress.
    """
    if not parallel:
        for index, task in enumerate(tasks):
            watch(index, task.name)
            yield _outcome(task)
        return
    if tasks:
        yield from _in_parallel(tasks, watch)


def _outcome(task: SongTask) -> Outcome:
    from duet_rl.rl.collector import RolloutError

    try:
        return Outcome(task.name, choreograph_song(task))
    except (InputError, RolloutError) as error:
        if not (task.work / RECORD).is_file():  # there is nothing to go on from
            shutil.rmtree(task.work, ignore_errors=True)
        return Outcome(task.name, None, str(error))
    except OSError as error:  # a full disk
        return Outcome(task.name, None, f"{error.strerror}: {error.filename or 'while writing'}")


class _Worker:
    """A process for one song, which takes its memory with it when it goes."""

    def work(self, task: SongTask) -> Outcome:
        torch.set_num_threads(usable_cpus())
        lines.set_up_worker()
        lines.this_is(song=task.name)
        return _outcome(task)


def _in_parallel(tasks: Sequence[SongTask], watch: Watch) -> Iterator[Outcome]:
    import ray

    started = start_ray()
    worker: Any = ray.remote(num_cpus=1, max_restarts=0)(_Worker)
    running: dict[Any, tuple[SongTask, Any]] = {}  # reference -> the song and its actor
    left, done = iter(tasks), 0
    try:
        most = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while True:
            while len(running) < most and (task := next(left, None)) is not None:
                actor: Any = worker.options(memory=_memory(task.config.memory)).remote()
                running[actor.work.remote(task)] = task, actor
            if not running:
                return
            ready, _ = ray.wait(list(running), num_returns=1, timeout=_POLL_SECONDS)
            for reference in ready:
                task, actor = running.pop(reference)
                done += 1
                yield _answer(reference, task)
                ray.kill(actor)
            _tell(watch, done, [task for task, _ in running.values()])
    finally:
        for _, actor in running.values():
            ray.kill(actor)
        if started:
            ray.shutdown()


def _answer(reference: Any, task: SongTask) -> Outcome:
    """Return the outcome of a song whose actor is done, also if it did not live to tell."""
    import ray

    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayActorError:
        why = "its process was lost (memory?); the same command tries it again"
        return Outcome(task.name, None, why)
    except ray.exceptions.RayTaskError as error:
        logger.exception("%s: a fault of the program", task.name)
        last = str(error).strip().splitlines()[-1]
        return Outcome(task.name, None, f"a fault of the program: {last}")
    return outcome


def _tell(watch: Watch, done: int, tasks: Sequence[SongTask]) -> None:
    """Tell how far the songs are, as far as they have said so in their folders."""
    told = [(task.name, *_progress(task.work / PROGRESS)) for task in tasks]
    doing = [f"{name}: {what}" for name, _, what in told if what]
    watch(done + sum(share for _, share, _ in told), ", ".join(doing))


def _progress(file: Path) -> tuple[float, str]:
    try:
        told = json.loads(file.read_text())
    except (OSError, ValueError):  # it has not begun, or has just ended
        return 0.0, ""
    return float(told["share"]), str(told["doing"])


def _memory(gigabytes: float) -> int:
    """Return the bytes to set aside for a song, no more than a node has."""
    import ray

    most = max((node["Resources"].get("memory", 0) for node in ray.nodes()), default=0)
    return int(min(gigabytes * _GIGABYTE, most))
