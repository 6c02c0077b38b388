"""Who of the runners is there: late, lost and impossible ones, none of them waited for."""

import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.rllib.utils.actor_manager import FaultAwareApply, FaultTolerantActorManager

from duet_rl.rl.attendance import Attendance, AttendanceError

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

NOWHERE = "a resource that no node has"
PATIENCE = 200.0  # s, on a busy machine
NOT_WAITED = 20.0  # s; RLlib would wait for 30


class Runner(FaultAwareApply):
    """As much of a runner as Ray and RLlib need to ask whether it is there."""

    def __init__(self, fails: bool = False) -> None:
        if fails:
            raise FileNotFoundError("no data on this node")


def runner(fails: bool = False, **options: Any) -> Any:
    return ray.remote(Runner).options(num_cpus=0.1, max_restarts=-1, **options).remote(fails)


def group_of(*runners: Any) -> Any:
    """Return what RLlib's group of runners is to `Attendance`, with numbers from 1."""
    manager = FaultTolerantActorManager(list(runners), 1, init_id=1)
    return SimpleNamespace(_worker_manager=manager)


def attend(group: Any) -> Attendance:
    """Return the attendance of a group whose spaces do not matter."""
    return Attendance(group, {})


def until(condition: Callable[[], Any]) -> Any:
    """Return what `condition` gives as soon as it is true."""
    begun = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.05)
    return found


def test_lost_runners_come_back_and_those_without_a_place_are_not_waited_for() -> None:
    first, second = runner(), runner()
    group = group_of(first, second, runner(resources={NOWHERE: 1}))
    manager, attendance = group._worker_manager, attend(group)
    attendance.wait_for(2, attendance.arrivals)
    assert manager.healthy_actor_ids() == [1, 2] and manager.total_num_restarts() == 0

    begun = time.monotonic()
    assert group.probe_unhealthy_env_runners() == [], "RLlib asks here, and the third is not there"
    assert time.monotonic() - begun < NOT_WAITED

    manager.foreach_actor(lambda _: os._exit(1), remote_actor_ids=[1])
    assert manager.healthy_actor_ids() == [2]
    assert until(group.probe_unhealthy_env_runners) == [1]
    assert manager.healthy_actor_ids() == [1, 2] and manager.total_num_restarts() == 1

    attendance.dismiss()
    assert manager.actor_ids() == [1, 2], "RLlib would wait for the third before it ends"
    manager.clear()


def test_a_runner_that_cannot_be_made_is_told_with_its_reason() -> None:
    group = group_of(runner(fails=True))
    attendance = attend(group)
    with pytest.raises(AttendanceError, match=r"(?s)env runner 1 could not be made.*no data on"):
        attendance.wait_for(1, attendance.arrivals)
