"""What a run's folder says of its trainings: done, running or stopped, how far, how fast."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.files import require_folder
from duet_rl.run_log import FAULT, LEFT, LOGS, METRICS, PROGRESS, RL, RL_WORK, STAGES, STEP

State = Literal["done", "running", "stopped", "failed"]
Row = Mapping[str, float]

_EACH = ("seconds/iteration", "seconds/step")  # tags of how long a step takes, of RL and the rest
_STEPS = ("iterations", "steps")  # keys of a finished folder's facts
_RECENT = 20  # rows that the present speed is taken from
_QUIET = 60.0  # s without a line in which a training may still be alive, at least
_QUIET_STEPS = 20  # steps without a line in which it may
_AMONG = 3  # folders down in which runs are looked for: a comparison has one a training


@dataclass(frozen=True)
class StageStatus:
    """How one training stands.

    Args:
        name: of the stage, after the folder of its run where that is not the one asked for.
        state: `running` is a guess: its log has grown a short time ago.
        step: iterations or gradient steps that are done.
        total: how many there will be; None where nothing says so.
        rows: its log, oldest first.
        each: s a step takes now; None where nothing says so.
        quiet: s since the log last grew.
        saved: the step of the last state from which the same command would go on.
        seconds: s that a finished stage took in all.
        faults: what is wrong with its files, or was with its input, a clause each.
    """

    name: str
    state: State
    step: int
    total: int | None = None
    rows: Sequence[Row] = ()
    each: float | None = None
    quiet: float = 0.0
    saved: int | None = None
    seconds: float | None = None
    faults: Sequence[str] = ()

    @property
    def last(self) -> Row:
        """The newest numbers by tag; of each tag, for not all are in every line."""
        newest: dict[str, float] = {}
        for row in self.rows:
            newest.update(row)
        newest.pop(STEP, None)
        return newest

    @property
    def left(self) -> float | None:
        """Seconds until the end, if the training runs and all goes on as so far."""
        if self.state != "running":
            return None
        if self.rows and LEFT in self.rows[-1]:
            return self.rows[-1][LEFT]
        if self.each is None or self.total is None:
            return None
        return self.each * max(0, self.total - self.step)

    def curve(self, tag: str) -> tuple[list[float], list[float]]:
        """Return steps and values of one tag; what is no finite number is left out."""
        points = [
            (row[STEP], row[tag]) for row in self.rows if math.isfinite(row.get(tag, math.nan))
        ]
        return [step for step, _ in points], [value for _, value in points]

    @property
    def tags(self) -> list[str]:
        """All tags of the log, in the order in which they came up."""
        return list(dict.fromkeys(tag for row in self.rows for tag in row if tag != STEP))


@dataclass(frozen=True)
class RunStatus:
    """How the trainings in a folder stand, in the order in which they began."""

    folder: Path
    stages: Sequence[StageStatus] = field(default=())

    @property
    def is_alive(self) -> bool:
        """Whether anything runs."""
        return any(stage.state == "running" for stage in self.stages)


def read_run(folder: Path | str, now: float | None = None) -> RunStatus:
    """Return how a run stands, also while it runs, and whatever a crash left of it.

    Args:
        folder: of a run, of several of them (a comparison, a search), or of one log.
        now: s since the epoch; the present by default.

    Raises:
        InputError: there is no such folder, or nothing of a training in it.
    """
    folder = require_folder(folder, "a run")
    now = time.time() if now is None else now
    logs = sorted(_logs_below(folder), key=_begun)
    stages = [_stage_of(log, folder, now) for log in logs]
    known = {(log.run / log.stage) for log in logs}
    finished = [path for path in sorted(folder.glob(f"*/{checkpoint.META}"))]
    stages += [_without_log(meta.parent) for meta in finished if meta.parent not in known]
    stages += _of_demo(folder, {stage.name for stage in stages})
    if not stages:
        raise InputError(
            f"{folder} holds no training: no {LOGS}/STAGE/{METRICS}, no {RL_WORK}/{METRICS} and no "
            "finished stage; give the folder that `pretrain` or `rl` got as --out"
        )
    return RunStatus(folder, stages)


@dataclass(frozen=True)
class _Log:
    """A log, and the training that it is of."""

    file: Path
    run: Path
    stage: str


def _logs_below(folder: Path) -> Iterator[_Log]:
    """Yield the logs in a folder, which may be a log's own."""
    for depth in range(_AMONG + 3):
        for file in folder.glob("*/" * depth + METRICS):
            place = file.parent
            if place.parent.name == LOGS:
                yield _Log(file, place.parent.parent, place.name)
            elif place.name == RL_WORK:
                yield _Log(file, place.parent, RL)
            else:
                yield _Log(file, place.parent, place.name)


def _begun(log: _Log) -> tuple[str, float, str]:
    """Return what orders logs: their run, and when its TensorBoard events begin."""
    begun = [
        float(part)
        for path in log.file.parent.glob("events.out.tfevents.*")
        if (part := path.name.split(".")[3]).isdigit()
    ]
    return str(log.run), min(begun, default=_age(log.file)), log.stage


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # it has just been replaced
        return time.time()


def _stage_of(log: _Log, folder: Path, now: float) -> StageStatus:
    rows, faults = _read_rows(log.file)
    changed = _age(log.file)
    quiet = max(0.0, now - changed)
    step = int(rows[-1][STEP]) if rows else 0
    each = _seconds_each(rows)
    saved, damage = _saved(log.file.parent)
    finished, more_damage = _facts(log.run / log.stage)
    done = finished is not None and (
        _steps(finished) == step or _age(log.run / log.stage / checkpoint.META) >= changed
    )
    state: State = "stopped"
    if done:
        state = "done"
    elif quiet <= max(_QUIET, _QUIET_STEPS * (each or 0)):
        state = "running"
    fault = _fault(log)
    if state == "stopped" and fault:
        state, faults = "failed", [*faults, fault]
    inside = log.run.relative_to(folder) if log.run.is_relative_to(folder) else Path()
    return StageStatus(
        name=(inside / log.stage).as_posix(),
        state=state,
        step=step,
        total=_total(rows, log.file.parent),
        rows=rows,
        each=each,
        quiet=quiet,
        saved=saved,
        # A refined follower has the facts of the one that it began with beside its own.
        seconds=None if finished is None or log.stage == RL else finished.get("seconds"),
        faults=[*faults, *damage, *more_damage],
    )


def _without_log(finished: Path) -> StageStatus:
    """Return how a stage stands whose log is not there."""
    facts, faults = _facts(finished)
    steps = 0 if facts is None else _steps(facts) or 0
    state: State = "failed" if facts is None else "done"
    seconds = None if facts is None else facts.get("seconds")
    return StageStatus(finished.name, state, steps, steps or None, seconds=seconds, faults=faults)


def _of_demo(folder: Path, known: set[str]) -> list[StageStatus]:
    """Return what a demo did beside its trainings."""
    try:
        times = json.loads(_text(folder / STAGES) or "{}")
        return [
            StageStatus(name, "done", 0, seconds=float(one["seconds"]))
            for name, one in times.items()
            if name not in known
        ]
    except (ValueError, AttributeError, KeyError, TypeError):
        return [StageStatus(STAGES, "failed", 0, faults=[f"{STAGES} is damaged"])]


def _read_rows(file: Path) -> tuple[list[Row], list[str]]:
    """Return the whole lines of a log, and what is wrong with the others."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        return [], [f"{file.name} cannot be read ({error.strerror})"]
    rows, bad = [], 0
    for number, line in enumerate(lines, start=1):
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif number < len(lines):  # the last one may be in the middle of being written
            bad += 1
    return rows, [f"{bad} damaged lines in {file.name}"] if bad else []


def _row(line: bytes) -> Row | None:
    """Return the numbers of a line, if it is one."""
    try:
        row = json.loads(line)
    except ValueError:  # damaged bytes as well
        return None
    if not isinstance(row, dict) or not isinstance(row.get(STEP), int | float):
        return None
    if not math.isfinite(row[STEP]):
        return None
    return {str(tag): float(value) for tag, value in row.items() if isinstance(value, int | float)}


def _seconds_each(rows: Sequence[Row]) -> float | None:
    found = [row[tag] for row in rows[-_RECENT:] for tag in _EACH if row.get(tag, 0) > 0]
    return median(found) if found else None


def _total(rows: Sequence[Row], work: Path) -> int | None:
    """Return how many steps there will be, as the log says, or the state of an older run of RL."""
    if rows and rows[-1].get(PROGRESS, 0) > 0:
        return round(rows[-1][STEP] / rows[-1][PROGRESS])
    for file in work.glob(f"*/{checkpoint.CONFIG}"):
        for line in _text(file).splitlines():
            name, _, value = line.partition(":")
            if name == "iterations" and value.strip().isdigit():
                return int(value)
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _saved(work: Path) -> tuple[int | None, list[str]]:
    """Return the step of the state in a working folder, and what is wrong with it."""
    for meta in work.glob(f"*/{checkpoint.META}"):
        facts, faults = _facts(meta.parent)
        return (None if facts is None else _steps(facts)), faults
    return None, []


def _facts(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the facts of a checkpoint, and what is wrong with them."""
    if not (folder / checkpoint.META).exists():
        return None, []
    try:
        return checkpoint.read_meta(folder), []
    except InputError:
        return None, [f"{folder.name}/{checkpoint.META} is damaged"]


def _steps(facts: Mapping[str, Any]) -> int | None:
    found = [facts[key] for key in _STEPS if isinstance(facts.get(key), int)]
    return found[0] if found else None


def _fault(log: _Log) -> str:
    """Return what a worker of pretraining said was wrong with its input."""
    if log.stage == RL:
        return ""
    return " ".join(_text(log.run / LOGS / FAULT).split())
