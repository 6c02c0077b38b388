"""A trial: the same training as `pretrain` or `rl`, in an actor of Ray Tune, which hears of it."""

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from duet_rl import checkpoint
from duet_rl.config import merge, validate
from duet_rl.errors import InputError
from duet_rl.observe import lines
from duet_rl.pretrain.host import Alone
from duet_rl.pretrain.loop import train_stage
from duet_rl.rl.run import STATE, WORK, run_rl, take_over
from duet_rl.run import RunConfig, stage_plans
from duet_rl.run_log import PROGRESS as LOGGED_PROGRESS
from duet_rl.tune.judge import Judge
from duet_rl.tune.record import PROGRESS, SECONDS, STEP, TRIALS, Record, Row
from duet_rl.tune.settings import HELD_OUT, TuneConfig
from duet_rl.tune.space import Values, settled, stated, unlabel

EXCHANGE_STEP = "exchange_step"  # what a population counts; the last measurement has none
_STATES = "states"  # sub-folder of a pretraining trial
_PERCENT = 100.0


@dataclass(frozen=True)
class Job:
    """What all trials of a search have in common; paths are absolute.

    Args:
        config: the search.
        data: folder of the clip store.
        out: folder of the search.
        follower: that RL starts from.
        codec: that a follower is trained on.
    """

    config: TuneConfig
    data: Path
    out: Path
    follower: Path | None = None
    codec: Path | None = None

    def folder(self, name: str) -> Path:
        """Return the folder of a trial, which is a run folder like any other."""
        return self.out / TRIALS / name

    def product(self, name: str) -> Path:
        """Return where a trial that was trained to its end has left what it trained."""
        return self.folder(name) / self.config.stage

    def is_trained(self, name: str) -> bool:
        """Return whether a trial was trained to its end."""
        return checkpoint.is_checkpoint(self.product(name))

    def values(self, marks: Mapping[str, Any]) -> Values:
        """Return the values that Tune's plain ones stand for."""
        return {key: unlabel(one, marks[key]) for key, one in self.config.search.items()}


class Reports:
    """Notes measurements and tells Tune of them.

    The last measurement is held back until the trial has left its product: Tune may end a trial
    as soon as it hears of its end.

    Args:
        record: the files of the trial.
        metric: tag that each measurement must have, a finite number.
        exchange: steps after which the members of a population meet: then, and only then, a state
            goes with the measurement, for Tune keeps few. None: there is no population.
    """

    def __init__(self, record: Record, metric: str, exchange: int | None = None) -> None:
        self._record, self._metric, self._exchange = record, metric, exchange
        earlier = record.rows()
        self._before = earlier[-1][SECONDS] if earlier else 0.0
        self._begun = time.monotonic()

    def repeat(self) -> None:
        """Tell Tune, which may have been started again, of all measurements but the last."""
        for row in self._record.rows():
            if row[PROGRESS] < _PERCENT and self._exchange is None:
                _tell(row)

    def add(self, step: int, share: float, numbers: Mapping[str, float], state: Path) -> None:
        """Note one measurement after `step`, which is the `share` of the training."""
        value = numbers.get(self._metric)
        if value is None:
            raise InputError(
                f"{self._metric} is not measured; set metric to one of {', '.join(sorted(numbers))}"
            )
        if not math.isfinite(value):
            raise InputError(f"{self._metric} is {value} at step {step}, which compares to nothing")
        seconds = self._before + time.monotonic() - self._begun
        row = {STEP: step, PROGRESS: _PERCENT * share, SECONDS: round(seconds, 1), **numbers}
        self._record.add(row)
        if row[PROGRESS] >= _PERCENT:
            return
        if self._exchange is not None and step % self._exchange == 0:
            _tell({**row, EXCHANGE_STEP: step}, state)
        else:
            _tell(row)

    def finish(self) -> None:
        """Tell Tune of the last measurement."""
        if rows := self._record.rows():
            _tell(rows[-1])


def train_trial(marks: Mapping[str, Any], job: Job) -> None:
    """Train one trial from where it was left; Ray Tune calls this in an actor.

    Args:
        marks: its values, as Tune knows them.
        job: what all trials have in common.

    Raises:
        InputError: the settings of this trial do not work; the reason is in its folder.
    """
    from ray import tune

    name, values = tune.get_context().get_trial_name(), job.values(marks)
    lines.set_up_worker()
    lines.this_is(trial=name)
    record = Record(job.folder(name))
    known = record.read()
    if known is not None and known.status == "failed":  # trying again would not mend it
        raise InputError(known.reason)
    scheduler = job.config.scheduler
    exchange = scheduler.interval if scheduler.kind == "pbt" else None
    reports = Reports(record, job.config.judge, exchange)
    try:
        if not job.is_trained(name):
            reports.repeat()
            train = _refine if job.config.stage == "rl" else _pretrain
            train(job, name, values, record, reports)
        reports.finish()
    except InputError as error:
        record.end("failed", str(error))
        raise


def trial_settings(config: TuneConfig, values: Values) -> RunConfig:
    """Return the settings of a trial, with states and measurements as often as the search asks."""
    every = {"checkpoint_every": config.report_every}
    if config.stage == "rl":
        runners = settled(config, values).rl.env_runners or 0
        own: dict[str, Any] = {**every, "env_runners": runners}
    else:
        own = {**every, "validate_every": config.report_every}
    return validate(RunConfig, merge(stated(config, values), {config.stage: own}))


def _pretrain(job: Job, name: str, values: Values, record: Record, reports: Reports) -> None:
    config = trial_settings(job.config, values)
    record.begin(values)
    folder = job.folder(name)
    assert job.config.stage != "rl"
    (plan,) = stage_plans(config, job.config.stage, job.data, folder, job.codec)
    states = folder / _STATES

    def watch(step: int, numbers: Mapping[str, float]) -> None:
        if any(tag.startswith("val/") for tag in numbers):
            share = numbers[LOGGED_PROGRESS]
            kept = {tag: value for tag, value in numbers.items() if tag.startswith(HELD_OUT)}
            reports.add(step, share, kept, states)

    resources = job.config.resources
    torch.set_num_threads(max(1, int(resources.cpus)))
    train_stage(plan, Alone(states, "cuda" if resources.gpus else "cpu", watch))
    shutil.rmtree(states, ignore_errors=True)  # nothing is left to resume


def _refine(job: Job, name: str, values: Values, record: Record, reports: Reports) -> None:
    assert job.follower is not None
    config, folder = trial_settings(job.config, values), job.folder(name)
    if job.config.scheduler.kind == "pbt":
        _join(job, config, folder)
    state, done = folder / WORK / STATE, 0
    if checkpoint.is_checkpoint(state):
        done = checkpoint.read_meta(state)["iterations"]
    record.begin(values, done)
    base = settled(job.config, {}).rl.rewards
    judge = Judge(job.follower, job.data, base, job.config.judged)
    last, every = config.rl.iterations, job.config.report_every

    def watch(algorithm: Any) -> None:
        step = algorithm.iterations_done
        if step % every == 0 or step == last:
            scores = judge.score(algorithm.follower_tensors())
            reports.add(step, step / last, scores, state)

    run_rl(config.rl, job.follower, job.data, folder, False, config.log, watch)


def _join(job: Job, config: RunConfig, folder: Path) -> None:
    """Go on from the state of a better member, if Tune gives one, else from the own one."""
    from ray import tune

    assert job.follower is not None
    places = (config.rl, job.follower, job.data, folder)
    given = tune.get_checkpoint()
    if given is not None:
        with given.as_directory() as donor:
            take_over(Path(donor), *places)
    elif checkpoint.is_checkpoint(folder / WORK / STATE):
        take_over(None, *places)


def _tell(row: Row, state: Path | None = None) -> None:
    """Tell Tune of a measurement; it waits here until Tune has decided, and may end here."""
    from ray import tune

    kept = None if state is None else tune.Checkpoint.from_directory(str(state))
    tune.report(dict(row), checkpoint=kept)
