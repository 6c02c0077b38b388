"""Env runners that come and go with the cluster: each works while it is there, none is waited for.

Ray keeps an actor that found no room, or whose node was lost, in its queue, where an autoscaler
sees it; so all that is left to do is to notice who has come up, without waiting for the others.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from duet_rl.errors import InputError

logger = logging.getLogger(__name__)

_PING = "ping"  # what a runner answers as soon as it is up, and the tag of the question
_POLL = 1.0  # s between looks at who has come up, before the run begins
_REMIND = 30.0  # s between lines about waiting for runners


class AttendanceError(InputError):
    """A runner could not be made."""


class Attendance:
    """Keeps count of which runners of a group are there.

    RLlib asks lost runners, too, but waits for their answers, which those that have never been up
    do not give before there is a place for them. Nor does the first of them tell what it sees and
    does, which RLlib asks it alone, whoever else is there.

    Args:
        group: RLlib's `EnvRunnerGroup` with all runners that there may be; it asks this object
            from now on who is back.
        spaces: what any runner would tell of its spaces, so that none is asked.
    """

    def __init__(self, group: Any, spaces: Mapping[str, Any]) -> None:
        self._manager = group._worker_manager
        self._awaited = {runner: self._ask(runner) for runner in self._manager.actor_ids()}
        for runner in self._awaited:
            self._manager.set_actor_state(runner, healthy=False)
        group.probe_unhealthy_env_runners = self.arrivals
        group.get_spaces = lambda: dict(spaces)

    def wait_for(self, least: int, bring_in: Callable[[], Any]) -> None:
        """Return when `least` runners are there.

        Args:
            least: how many.
            bring_in: asks for `arrivals` and puts them to work.

        Raises:
            AttendanceError: a runner could not be made.
        """
        reminded = time.monotonic()
        while self._manager.num_healthy_actors() < least:
            if not bring_in():
                time.sleep(_POLL)
            if time.monotonic() - reminded > _REMIND:
                reminded = time.monotonic()
                there = self._manager.num_healthy_actors()
                logger.warning("%d of at least %d env runners have found room", there, least)

    def arrivals(self) -> list[int]:
        """Count the runners that have come up (again) as there and return their numbers.

        Raises:
            AttendanceError: a runner could not be made.
        """
        return self._first_arrivals() + self._returns()

    def dismiss(self) -> None:
        """Give up all who are not there, whom RLlib would wait for before it ends."""
        for runner in self._absent():
            ray.kill(self._manager.remove_actor(runner))
        self._awaited = {}

    def _absent(self) -> list[int]:
        manager = self._manager
        return [one for one in manager.actor_ids() if not manager.is_actor_healthy(one)]

    def _ask(self, runner: int) -> ray.ObjectRef:
        return self._manager.actors()[runner].ping.remote()

    def _first_arrivals(self) -> list[int]:
        """Return who has come up for the first time."""
        questions = list(self._awaited.values())
        if not questions:
            return []
        ready, _ = ray.wait(questions, num_returns=len(questions), timeout=0)
        came = [runner for runner, question in self._awaited.items() if question in ready]
        for runner in list(came):
            try:
                ray.get(self._awaited.pop(runner))
                self._manager.set_actor_state(runner, healthy=True)
            except RayError as error:  # its node went while it began; Ray makes it again elsewhere
                _require_mendable(runner, error)
                came.remove(runner)
                self._awaited[runner] = self._ask(runner)
        return came

    def _returns(self) -> list[int]:
        """Return who was lost and is back; RLlib counts these."""
        lost = [runner for runner in self._absent() if runner not in self._awaited]
        if lost:
            self._manager.foreach_actor_async(
                _PING, tag=_PING, healthy_only=False, remote_actor_ids=lost
            )
        answers = list(self._manager.fetch_ready_async_reqs(tags=_PING, mark_healthy=True))
        for answer in answers:
            if not answer.ok:
                _require_mendable(answer.actor_id, answer.get())
        return [answer.actor_id for answer in answers if answer.ok]


def _require_mendable(runner: int, error: Exception) -> None:
    """Refuse an error in making a runner, after which Ray does not make it again."""
    if isinstance(error, RayActorError) and error.actor_init_failed:
        raise AttendanceError(f"env runner {runner} could not be made: {error}") from error
