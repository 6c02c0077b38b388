"""How far a pretraining is: a bar a stage, read off the log of its first worker."""

import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from duet_rl.observe import lines
from duet_rl.pretrain.stage import StagePlan
from duet_rl.run_log import LOGS, METRICS, PROGRESS, STEP

_POLL_SECONDS = 0.5
_SAY_SECONDS = 30.0  # between lines about a stage, where no terminal shows the bar

logger = logging.getLogger(__name__)


class LogEnd:
    """Follows a log of numbers that another process writes, and reads of it what is new.

    Args:
        folder: of the log, which need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / METRICS
        self._inode, self._read = 0, 0  # the file that was read, and how far (bytes)
        self._row: dict[str, float] | None = None

    def row(self, since: float) -> dict[str, float] | None:
        """Return the last line that is whole; None if nothing was written after `since` (s)."""
        try:
            stream = self._file.open("rb")
        except FileNotFoundError:
            return None
        with stream:
            facts = os.fstat(stream.fileno())
            if facts.st_ino != self._inode or facts.st_size < self._read:  # a run begins or goes on
                self._inode, self._read, self._row = facts.st_ino, 0, None
            stream.seek(self._read)
            whole, newline, _ = stream.read().rpartition(b"\n")
        if newline:
            self._read += len(whole) + 1
            self._row = json.loads(whole.rpartition(b"\n")[2])
        return self._row if facts.st_mtime > since else None


@contextmanager
def shown(plans: Sequence[StagePlan], progress: bool) -> Iterator[None]:
    """Show a bar a stage while the block runs.

    Args:
        plans: the stages, in the order in which they are trained.
        progress: whether to.
    """
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(plans, done), daemon=True)
    if progress:
        watcher.start()
    try:
        yield
    finally:
        done.set()
        if progress:
            watcher.join()


def _watch(plans: Sequence[StagePlan], done: threading.Event) -> None:
    began = time.time()
    for plan in plans:
        log = LogEnd(plan.out / LOGS / plan.name)
        # A length in passes over the data is known to the workers alone, who read them.
        total = plan.config.steps if plan.config.epochs is None else None
        title, said = f"pretrain {plan.name}", time.monotonic()
        plain = lines.are_wanted() or not sys.stderr.isatty()  # in a file a bar is many lines
        with tqdm(total=total, desc=title, unit="step", disable=plain) as bar:
            while True:
                last = done.wait(_POLL_SECONDS)
                row = log.row(began)
                if row is not None:
                    bar.n = int(row[STEP])
                    bar.total = round(bar.n / row[PROGRESS])
                    loss = f"{row.get('loss', math.nan):.3f}"
                    bar.set_postfix(loss=loss)
                    if plain and (bar.n == bar.total or time.monotonic() > said + _SAY_SECONDS):
                        logger.info("%s: step %d of %d, loss %s", title, bar.n, bar.total, loss)
                        said = time.monotonic()
                if last or bar.n == bar.total:
                    break
