"""What is seen of a run of RL: lines, numbers, dances, and warnings of collapse."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av

from duet_rl.errors import InputError
from duet_rl.generate.media import SAMPLE_RATE
from duet_rl.observe import lines
from duet_rl.observe.settings import LogConfig
from duet_rl.observe.sinks import Origin, open_sinks
from duet_rl.rl.collapse import CollapseWatch, diversity
from duet_rl.rl.console import Console
from duet_rl.rl.settings import RLConfig
from duet_rl.rl.show import DanceShow
from duet_rl.rl.tags import ITERATION_SECONDS, LEFT, STEPS_PER_SECOND
from duet_rl.run_log import PROGRESS, RL, RunLog, read_metrics

logger = logging.getLogger(__name__)

_TAG = "dance"  # of the stills and of the music in TensorBoard


class Journal:
    """Notes every iteration: in the terminal, in TensorBoard, as a line of JSON, as a dance.

    None of it may end a training: what cannot be written is said, and left out.

    Args:
        work: the working folder.
        config: settings.
        algorithm: a `DuetRL`, from which the run begins or goes on.
        streams: name of each token stream.
        show: draws dances; None where none are wanted.
        progress: whether to show anything in the terminal.
        log: where the numbers go beside the run's own log.
    """

    def __init__(
        self,
        work: Path,
        config: RLConfig,
        algorithm: Any,
        streams: Sequence[str],
        show: DanceShow | None = None,
        progress: bool = True,
        log: LogConfig | None = None,
    ) -> None:
        self.config, self.algorithm, self.streams, self.show = config, algorithm, streams, show
        done = algorithm.iterations_done
        self._stack = ExitStack()
        origin = Origin(work.parent.name, RL, work, config.model_dump(mode="json"))
        lines.this_is(run=origin.run, stage=origin.stage)
        self._sinks = open_sinks(log or LogConfig(), origin, done)
        self._log = self._stack.enter_context(RunLog(work, done))
        self._watch = CollapseWatch(read_metrics(work))
        runners = algorithm.config.num_env_runners
        self._console = self._stack.enter_context(
            Console(done, config.iterations, config.line_every, runners, progress)
        )
        self._first, self._steps = done, algorithm.token_steps
        self._begun = self._noted = time.perf_counter()
        self._sounded, self._writes = False, True

    def note(self, results: dict[str, Any]) -> dict[str, float]:
        """Note the iteration that gave `results` and return its numbers by tag."""
        done = self.algorithm.iterations_done
        numbers = {**self.algorithm.numbers(results), **self._pace(done)}
        if self.algorithm.fresh:
            tokens = [group.tokens for group in self.algorithm.fresh]
            numbers |= diversity(tokens, self.streams)
        self._console.iteration(done, numbers)
        for line in self._watch.warnings(numbers):
            logger.warning("iteration %d: %s", done, line)
        self._write(done, numbers)
        self._sinks.write(done, numbers)
        if self.show is not None and self.config.show_every and not done % self.config.show_every:
            self._draw(self.show, done)
        return numbers

    def _pace(self, done: int) -> dict[str, float]:
        """Return how fast the run is; what drawing and saving take counts as well."""
        now, steps = time.perf_counter(), self.algorithm.token_steps
        spent, new = now - self._noted, steps - self._steps
        self._noted, self._steps = now, steps
        each = (now - self._begun) / max(1, done - self._first)
        return {
            ITERATION_SECONDS: spent,
            STEPS_PER_SECOND: new / spent,
            PROGRESS: done / self.config.iterations,
            LEFT: each * max(0, self.config.iterations - done),
        }

    def _write(self, done: int, numbers: Mapping[str, float]) -> None:
        try:
            self._log.write(done, dict(numbers))
        except OSError as error:
            if self._writes:  # a disk stays full for many iterations
                logger.warning(
                    "the numbers of iteration %d could not be written (%s); free space in %s: the "
                    "training goes on without them",
                    done,
                    error,
                    self._log.folder,
                )
            self._writes = False
        else:
            self._writes = True

    def _draw(self, show: DanceShow, done: int) -> None:
        """Draw a dance of the present weights."""
        try:
            shown = show.draw(self.algorithm.follower_tensors(), f"iteration_{done:05d}")
            self._log.picture(_TAG, done, shown.still)
            if shown.sound is not None and not self._sounded:  # it is the same every time
                self._log.sound(f"{_TAG}/music", done, shown.sound, SAMPLE_RATE)
                self._sounded = True
        except (OSError, av.FFmpegError, InputError) as error:
            logger.warning(
                "the dance of iteration %d could not be drawn (%s); mend that or set "
                "rl.show_every=null: the training goes on without it",
                done,
                error,
            )

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        done = self.algorithm.iterations_done
        self._sinks.close(finished=error[0] is None and done >= self.config.iterations)
        try:
            self._stack.close()
        except OSError as full:
            logger.warning("the last numbers could not be written (%s)", full)
