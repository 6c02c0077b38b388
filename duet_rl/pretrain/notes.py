"""What is seen of a stage of pretraining: its log, and wherever else the settings ask for."""

import time
from collections.abc import Mapping

from duet_rl.observe import lines
from duet_rl.observe.sinks import Origin, open_sinks
from duet_rl.pretrain.stage import StagePlan
from duet_rl.run_log import LEFT, LOGS, PROGRESS, RunLog

SECONDS = "seconds/step"  # tag: of one gradient step, with all that is done between steps


class StageNotes:
    """Notes the numbers of a stage with how far it is and how fast, on one worker of all.

    Args:
        plan: the stage.
        first: steps that are done already.
        total: steps in the end.

    Raises:
        InputError: a tracker does not take the stage.
    """

    def __init__(self, plan: StagePlan, first: int, total: int) -> None:
        folder = plan.out / LOGS / plan.name
        origin = Origin(plan.out.name, plan.name, folder, plan.config.model_dump(mode="json"))
        lines.this_is(run=origin.run, stage=origin.stage)
        self._sinks = open_sinks(plan.log, origin, first)
        self._log = RunLog(folder, first)
        self._total, self._first, self._noted = total, first, first
        self._begun = self._then = time.perf_counter()

    def write(self, done: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """Note the numbers of step `done` and return them with those of its pace."""
        numbers = {**metrics, PROGRESS: done / self._total, **self._pace(done)}
        self._log.write(done, numbers)
        self._sinks.write(done, numbers)
        return numbers

    def _pace(self, done: int) -> dict[str, float]:
        now = time.perf_counter()
        each = (now - self._begun) / max(1, done - self._first)
        seconds = (now - self._then) / max(1, done - self._noted)
        self._then, self._noted = now, done
        return {SECONDS: seconds, LEFT: each * (self._total - done)}

    def close(self) -> None:
        """Write what is still held back; the stage came to its end."""
        self._log.close()
        self._sinks.close(finished=True)
