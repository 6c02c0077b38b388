"""What the driver of a search notes: how trials end, how long it has run, when it is in vain."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper

from duet_rl.files import atomic_path
from duet_rl.tune.record import STEP, Record, Status, read_trials
from duet_rl.tune.trial import Job

_CLOCK = "clock.json"  # in the folder of the search
_NO_ERROR = "NoneType: None"  # what Python formats where there is no error to format
_SAVE_SECONDS = 5.0  # between two notes of the time

logger = logging.getLogger(__name__)


class Clock:
    """Counts the seconds of a search over all calls.

    Args:
        out: folder of the search.
    """

    def __init__(self, out: Path) -> None:
        self._file = out / _CLOCK
        self._before = 0.0
        if self._file.is_file():
            self._before = json.loads(self._file.read_text())["seconds"]
        self._begun, self._saved = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Return how long the search has run so far."""
        return self._before + time.monotonic() - self._begun

    def tick(self) -> None:
        """Note the time, now and then."""
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.stop()

    def stop(self) -> None:
        """Note the time."""
        with atomic_path(self._file) as temporary:
            temporary.write_text(json.dumps({"seconds": round(self.seconds, 1)}) + "\n")
        self._saved = time.monotonic()


class Watcher(Callback):
    """Notes and says how each trial ends.

    Args:
        job: the search.
        clock: is kept going.
        most: trials that fail in a row, after which the search is in vain.
    """

    def __init__(self, job: Job, clock: Clock, most: int) -> None:
        self._job, self._clock, self.most = job, clock, most
        self._ended = self._failed = 0
        self.reason = ""  # of the last failure

    @property
    def in_vain(self) -> bool:
        """Return whether so many trials failed in a row that more would, too."""
        return self._failed >= self.most

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count the time."""
        self._clock.tick()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial was trained to its end, or stopped on the way."""
        name = str(trial)
        if self.in_vain and not self._job.is_trained(name):  # it may go on another time
            return
        self._end(name, "finished" if self._job.is_trained(name) else "stopped")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note why a trial failed, unless it has said so itself."""
        name = str(trial)
        record = Record(self._job.folder(name))
        known = record.read()
        if known is None:  # its process never came up
            record.begin(self._job.values(trial.config))
        if known is not None and known.status == "failed":
            self._say(name, "failed", known.reason)
            return
        error = trial.get_error()
        lines = [line.strip() for line in str(error).splitlines()]
        told = [line for line in lines if line and line != _NO_ERROR] or ["it was lost"]
        self._end(name, "failed", f"{type(error).__name__}: {told[-1]}")

    def _end(self, name: str, status: Status, reason: str = "") -> None:
        Record(self._job.folder(name)).end(status, reason)
        self._say(name, status, reason)

    def _say(self, name: str, status: Status, reason: str) -> None:
        self._ended += 1
        self._failed = self._failed + 1 if status == "failed" else 0
        self.reason = reason or self.reason
        rows = Record(self._job.folder(name)).rows()
        told = reason
        if not reason and rows:
            judge = self._job.config.judge
            told = f"{judge} {rows[-1][judge]:.4g} after {rows[-1][STEP]:g} steps"
        logger.info("%d. %s: %s; %s", self._ended, name, status, told)


class InVain(Stopper):
    """Ends a search that is in vain.

    Args:
        watcher: knows that.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return whether one trial is to end; never so."""
        return False

    def stop_all(self) -> bool:
        """Return whether all are to end."""
        return self._watcher.in_vain


def settle_ends(job: Job) -> None:
    """Note the end of trials that were trained to it when the driver was no more."""
    for trial in read_trials(job.out):
        if trial.status == "unfinished" and job.is_trained(trial.name):
            Record(job.folder(trial.name)).end("finished")
