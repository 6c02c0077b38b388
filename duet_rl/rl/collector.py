"""Fresh rollouts from the runners, or a clear word about why there are none."""

import logging
import time
from typing import Any

import ray
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS

from duet_rl.errors import InputError
from duet_rl.rl.env_runner import RunnerFailure
from duet_rl.rl.replay import RolloutGroup

logger = logging.getLogger(__name__)

_SAMPLE = "sample_get_state_and_metrics"  # what a runner is asked to do
_POLL = 0.2  # s that one look for finished rollouts may take


class RolloutError(InputError):
    """Rollouts do not come: the runners fail, are lost, or take too long."""


class Collector:
    """Keeps every runner of an algorithm busy and gathers what they send.

    RLlib alone would wait for ever, or report training without data, where runners fail.

    Args:
        algorithm: an RLlib `Algorithm`; its runners, metrics and way to restore runners are used.
    """

    def __init__(self, algorithm: Any) -> None:
        self.algorithm = algorithm
        self.settings = algorithm.config.settings
        self._least = self.settings.min_env_runners or 1
        self._forgiven = 0  # restarts that are not held against the runners
        self.dropped = 0  # groups that came too late, since the start

    def collect(self) -> list[RolloutGroup]:
        """Return at least `new_groups` fresh groups.

        Raises:
            RolloutError: a runner reports a Python error, none is left alive, they are lost again
                and again, or nothing comes for `wait_seconds`.
        """
        fresh: list[RolloutGroup] = []
        deadline = time.monotonic() + self.settings.wait_seconds
        while len(fresh) < self.settings.new_groups:
            groups = self._not_stale(self._poll())
            fresh += groups
            if groups:
                deadline = time.monotonic() + self.settings.wait_seconds
            elif time.monotonic() > deadline:
                raise RolloutError(self._explain_silence())
        return fresh

    def _poll(self) -> list[RolloutGroup]:
        """Return the groups that are ready, after a short wait at most."""
        runners = self.algorithm.env_runner_group
        wanted = runners.num_remote_env_runners()
        if wanted == 0:
            groups: list[RolloutGroup] = self.algorithm.env_runner.sample()
            self._count(self.algorithm.env_runner.get_metrics())
            return groups
        if runners.num_healthy_remote_env_runners() < wanted:
            self._revive()
        if runners.num_healthy_remote_env_runners() < self._least:
            time.sleep(_POLL)
            return []
        if self.settings.collect.synchronous:
            answers = runners.foreach_env_runner(
                func=_SAMPLE, local_env_runner=False, timeout_seconds=self.settings.wait_seconds
            )
        else:
            answers = runners.foreach_env_runner_async_fetch_ready(
                func=_SAMPLE, tag="sample", timeout_seconds=_POLL
            )
        groups = [group for answer in answers for group in self._open(answer)]
        if groups and self.settings.min_env_runners is not None:
            self._forgiven = runners.num_remote_worker_restarts()
        return groups

    def _not_stale(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """Return the groups that are not older than the settings allow."""
        bound = self.settings.collect.max_staleness
        if bound is None or self.settings.collect.stale != "drop":
            return groups
        oldest = self.algorithm.updates_done - bound
        kept = [group for group in groups if group.version >= oldest]
        self.dropped += len(groups) - len(kept)
        return kept

    def _open(self, answer: Any) -> list[RolloutGroup]:
        """Return the groups in a runner's answer; none if the runner died holding them."""
        if isinstance(answer, RunnerFailure):
            raise RolloutError(f"env runner {answer.runner} failed:\n{answer.report}")
        reference, _, metrics = answer
        try:
            groups: list[RolloutGroup] = ray.get(reference)
        except ray.exceptions.ObjectLostError:  # its owner died, too
            logger.warning("rollouts were lost with their env runner; going on without them")
            return []
        self._count(metrics)
        return groups

    def _count(self, metrics: Any) -> None:
        self.algorithm.metrics.aggregate([metrics], key=ENV_RUNNER_RESULTS)

    def _revive(self) -> None:
        """Bring lost and late runners to work with the present weights.

        Raises:
            RolloutError: they were lost too often.
        """
        runners = self.algorithm.env_runner_group
        restarts = runners.num_remote_worker_restarts() - self._forgiven
        if restarts > self.settings.max_restarts:
            raise RolloutError(
                f"env runners were lost {restarts} times; look for what kills them (memory?), or "
                "raise rl.max_restarts"
            )
        restored = self.algorithm.restore_env_runners(runners)
        if restored:
            logger.warning("env runners %s have come up", restored)

    def _explain_silence(self) -> str:
        runners = self.algorithm.env_runner_group
        healthy, wanted = runners.num_healthy_remote_env_runners(), runners.num_remote_env_runners()
        seconds = self.settings.wait_seconds
        if healthy == 0:
            return (
                f"no env runner of {wanted} is alive, {seconds:g} s after the last rollout; see "
                "the logs of Ray, and run the same command again to resume"
            )
        if healthy < self._least:
            return (
                f"of at least {self._least} env runners {healthy} lived for {seconds:g} s; lower "
                "rl.min_env_runners, raise rl.wait_seconds, or run the same command again when the "
                "cluster has room, which resumes"
            )
        late = f" ({self.dropped} came too late)" if self.dropped else ""
        return (
            f"no rollouts came for {seconds:g} s from {healthy} live env runners of {wanted}"
            f"{late}; "
            "raise rl.wait_seconds or rl.collect.max_staleness, or roll out less at once "
            "(rl.leaders, rl.rollouts)"
        )
