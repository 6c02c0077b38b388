"""Dances that are made while others are looked at."""

import threading
from queue import Empty, SimpleQueue
from typing import NamedTuple

from duet_rl.errors import InputError
from duet_rl.viewer.hall import Hall
from duet_rl.viewer.runs import Run
from duet_rl.viewer.takes import Couple, Take


class Finished(NamedTuple):
    """A dance that was asked for; with no couple, why there is none."""

    take: Take
    run: Run
    couple: Couple | None
    why: str = ""


class Dancing:
    """Has runs dance, one after the other, in a thread that nobody waits for.

    Args:
        hall: where they dance.
    """

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._wanted: SimpleQueue[tuple[Take, Run] | None] = SimpleQueue()
        self._finished: SimpleQueue[Finished | Exception] = SimpleQueue()
        self._take: Take | None = None
        self.busy = threading.Event()  # while somebody dances
        threading.Thread(target=self._work, name="dancing", daemon=True).start()

    def ask(self, take: Take) -> None:
        """Have all runs dance a take; what was asked for before and has not begun is left out."""
        self._take = take
        for run in self._hall.runs:
            self._wanted.put((take, run))

    def finished(self) -> list[Finished]:
        """Return what has been danced since the last time."""
        done: list[Finished] = []
        while True:
            try:
                one = self._finished.get_nowait()
            except Empty:
                return done
            if isinstance(one, Exception):
                raise one
            done.append(one)

    def stop(self) -> None:
        """Have nobody else dance."""
        self._take = None
        self._wanted.put(None)

    def _work(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            take, run = wanted
            if take is not self._take:
                continue
            self.busy.set()
            try:
                couple = self._hall.danced(take, run)
                why = "" if couple is not None else "has no dance of this clip"
                self._finished.put(Finished(take, run, couple, why))
            except InputError as error:
                self._finished.put(Finished(take, run, None, str(error)))
            except Exception as error:  # it is raised where the viewer runs
                self._finished.put(error)
            finally:
                self.busy.clear()
