"""Preparation: takes become a store, in parallel as Ray tasks, whole or not at all."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field
from tqdm import tqdm

from duet_rl.audio.provenance import MusicFacts, describe, music_facts
from duet_rl.audio.recipes import MusicConfig
from duet_rl.config import Config, validate
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.split import Split, SplitConfig
from duet_rl.datasets.store import DuetStore, refuse_existing
from duet_rl.datasets.store_files import AUDIO, CLIPS, INDEX, ClipRecord, write_clip, write_index
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of

_RECORDS = "records"  # in the partial folder: one file for each finished take
_SCRATCH = "scratch"  # in the partial folder: what takes in the making write
_WAITING = 256  # tasks that Ray is given at once, at most: it looks at all of them again and again
_CANCEL_SECONDS = 10.0  # how long a cancelled task may take to die

logger = logging.getLogger(__name__)


class PrepareConfig(Config):
    """How takes are prepared, whatever their source."""

    split: SplitConfig = Field(default_factory=SplitConfig)
    music: MusicConfig = MusicConfig()  # whose numbers the music features are
    skip_bad: bool = False  # leave out takes that cannot be read instead of stopping
    parallel: bool = True  # as Ray tasks; False: one after the other in this process


@dataclass(frozen=True)
class PrepareTask:
    """One take to prepare.

    Args:
        name: of the clip.
        fingerprint: changes when the inputs or the settings of the take change.
        build: makes the clip; it may write audio into the scratch folder that it is given.
    """

    name: str
    fingerprint: str
    build: Callable[[Path], DuetClip]


class Outcome(NamedTuple):
    """What became of a take: its record, or why there is none."""

    name: str
    record: ClipRecord | None
    fault: str | None


Outcomes = Generator[Outcome, None, None]


def fingerprint(settings: Config, *inputs: Path | str, music: MusicConfig = MusicConfig()) -> str:
    """Return a hash of the settings of a take and of the contents of its files (or plain words)."""
    facts = [sha256_of(source) if isinstance(source, Path) else source for source in inputs]
    if music != MusicConfig():  # takes of the default keep the hash that they always had
        facts.append(describe(music_facts(music)))
    text = json.dumps([settings.model_dump(mode="json"), facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(
    tasks: Iterable[PrepareTask],
    out: Path | str,
    config: PrepareConfig,
    made_with: Mapping[str, Any],
    progress: bool | None = None,
    music: MusicFacts | None = None,
) -> DuetStore:
    """Return the store at `out` that holds the takes of all `tasks`.

    Takes that are in the store, or that an interrupted run has finished, are not made again. The
    store appears at `out` when it is complete; until then the finished takes wait in a hidden
    folder beside it, which a take that cannot be read removes.

    Args:
        tasks: the takes; their names differ.
        out: folder of the store; a store that is there grows by the new takes.
        config: split, what to do with bad takes.
        made_with: the settings of the source, for the record.
        progress: whether to show a progress bar; None: if there is a terminal.
        music: what made the features; None: this program, as `config` asks.

    Raises:
        InputError: a take cannot be read (all that can not, with `skip_bad`, are only logged),
            `out` holds something else, a store whose music features are others, or one of soloists
            where the takes are couples, or the other way round.
    """
    out, tasks = Path(out), list(tasks)
    music = music_facts(config.music) if music is None else music
    store = _existing(out)
    if store is not None:
        store.require_music(music)
    pending = _pending(tasks, store)
    if store is not None and not pending:
        logger.info("%s is complete: %s", out, store.summary())
        return store
    partial = out.parent / f".{out.name}.partial"
    finished = _finished(partial, pending)
    todo = [task for task in pending if task.name not in finished]
    outcomes = _run_in_parallel(todo, partial) if config.parallel else _run_here(todo, partial)
    quiet = None if progress is None else not progress
    bar = tqdm(outcomes, "prepare", len(pending), initial=len(finished), disable=quiet)
    faults = []
    for outcome in bar:
        if outcome.record is not None:
            if store is not None:
                _require_alike(outcome.record, store, outcomes, partial)
            finished[outcome.name] = outcome.record
            continue
        faults.append(f"{outcome.name}: {outcome.fault}")
        if not config.skip_bad:
            outcomes.close()
            _remove(partial)
            raise InputError(f"take {faults[0]}")
        logger.warning("left out take %s", faults[-1])
    if not finished and (store is None or faults):
        _remove(partial)
        raise InputError(f"none of {len(pending)} takes can be used; the first is {faults[0]}")
    records = [finished[task.name] for task in pending if task.name in finished]
    if store is None:
        split = _without(config.split, records) if faults else config.split
        store = _finish(partial, out, records, split, made_with, music)
    else:
        store = _grow(store, partial, records, config.split.given)
    logger.info("%s: %s", out, store.summary())
    return store


def _existing(out: Path) -> DuetStore | None:
    if (out / INDEX).is_file():
        return DuetStore.open(out)
    refuse_existing(out)
    return None


def _pending(tasks: Sequence[PrepareTask], store: DuetStore | None) -> list[PrepareTask]:
    """Return the tasks whose takes are not in the store."""
    if not tasks:
        raise InputError("there are no takes to prepare; give at least one")
    counts = Counter(task.name for task in tasks)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise InputError(f"two takes are called {twice[0]!r}; the names of takes must differ")
    known = {r.name: r.fingerprint for r in store.records()} if store else {}
    for task in tasks:
        if store and known.get(task.name, task.fingerprint) != task.fingerprint:
            raise InputError(
                f"the take {task.name!r} in {store.path} was made from other files or settings; "
                "choose another folder for the store, or remove it"
            )
    return [task for task in tasks if task.name not in known]


def _require_alike(record: ClipRecord, store: DuetStore, outcomes: Outcomes, partial: Path) -> None:
    """Stop before a take that would mix soloists and couples in a store gets there."""
    try:
        store.require_alike(f"take {record.name}", record.solo)
    except InputError:
        outcomes.close()
        _remove(partial)
        raise


def _finished(partial: Path, tasks: Sequence[PrepareTask]) -> dict[str, ClipRecord]:
    """Return the records of takes that an interrupted run has finished with the same inputs."""
    finished = {}
    for task in tasks:
        file = partial / _RECORDS / f"{task.name}.json"
        if not file.is_file():
            continue
        record = validate(ClipRecord, json.loads(file.read_text()), source=str(file))
        clip = partial / CLIPS / f"{task.name}.npz"
        if record.fingerprint == task.fingerprint and clip.is_file():
            if sha256_of(clip) == record.sha256:
                finished[task.name] = record
    return finished


def _run_here(tasks: Sequence[PrepareTask], partial: Path) -> Outcomes:
    for task in tasks:
        yield run_task(task, partial)


def _run_in_parallel(tasks: Sequence[PrepareTask], partial: Path) -> Outcomes:
    """Yield outcomes as Ray finishes them; stopping early cancels the rest."""
    if not tasks:
        return
    import ray

    from duet_rl.resources import start_ray

    started = start_ray()
    remote = ray.remote(num_cpus=1)(run_task)
    given = (remote.remote(task, partial.absolute()) for task in tasks)
    waiting = list(islice(given, _WAITING))
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            waiting += islice(given, len(done))
            yield from ray.get(done)
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)
        if waiting:  # until they are gone they may write
            ray.wait(waiting, num_returns=len(waiting), timeout=_CANCEL_SECONDS)
        if started:
            ray.shutdown()


def run_task(task: PrepareTask, partial: Path) -> Outcome:
    """Make one take and leave it in the partial folder; an `InputError` becomes the outcome."""
    (partial / _SCRATCH).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=partial / _SCRATCH) as scratch:
        try:
            record = write_clip(partial, task.build(Path(scratch)), task.fingerprint)
        except InputError as error:
            return Outcome(task.name, None, str(error))
    with atomic_path(partial / _RECORDS / f"{task.name}.json") as temporary:
        temporary.write_text(record.model_dump_json())
    return Outcome(task.name, record, None)


def _without(split: SplitConfig, records: Sequence[ClipRecord]) -> SplitConfig:
    """Return a split that names no choreography of which all takes were left out."""
    there = {record.choreography for record in records}
    given = {name: home for name, home in split.given.items() if name in there}
    return split.model_copy(update={"given": given})


def _finish(
    partial: Path,
    out: Path,
    records: Sequence[ClipRecord],
    split: SplitConfig,
    made_with: Mapping[str, Any],
    music: MusicFacts,
) -> DuetStore:
    """Turn the partial folder into the store."""
    write_index(partial, records, split, made_with, music=music)
    _drop_strangers(partial, records)
    _remove(partial / _SCRATCH)
    os.replace(partial, out)
    _remove(out / _RECORDS)
    return DuetStore.open(out)


def _grow(
    store: DuetStore, partial: Path, records: Sequence[ClipRecord], given: Mapping[str, Split]
) -> DuetStore:
    """Move the new takes into the store; its index, written last, takes them in."""
    _drop_strangers(partial, records)
    for folder in (CLIPS, AUDIO):
        for file in sorted((partial / folder).glob("*")):
            (store.path / folder).mkdir(exist_ok=True)
            os.replace(file, store.path / folder / file.name)
    grown = store.adopt(records, given)
    _remove(partial)
    return grown


def _drop_strangers(partial: Path, records: Sequence[ClipRecord]) -> None:
    """Remove files of takes that an earlier, interrupted run made and nobody asks for now."""
    wanted = {f"{record.name}.npz" for record in records} | {record.audio for record in records}
    for folder in (CLIPS, AUDIO):
        for file in (partial / folder).glob("*"):
            if file.name not in wanted:
                file.unlink()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
