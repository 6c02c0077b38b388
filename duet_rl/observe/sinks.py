"""Sinks: where the numbers of each step go beside the run's own log; none may end a training."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from duet_rl.errors import InputError
from duet_rl.observe.passwords import without_password
from duet_rl.observe.settings import LogConfig
from duet_rl.observe.sink import Origin, Sink

_MOST_FAILURES = 3  # in a row, after which a sink is given up: each may take seconds

logger = logging.getLogger(__name__)


class Sinks:
    """Several sinks as one; what fails is said once, tried a few times, and then left out.

    Args:
        sinks: opened ones.
    """

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self._failures = {sink: 0 for sink in sinks}

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Hand the numbers of one step to every sink that still takes them."""
        for sink in list(self._failures):
            with self._watched(sink):
                sink.write(step, numbers)
                self._failures[sink] = 0

    def close(self, finished: bool) -> None:
        """Close every sink that still takes numbers."""
        for sink in list(self._failures):
            with self._watched(sink):
                sink.close(finished)

    @contextmanager
    def _watched(self, sink: Sink) -> Iterator[None]:
        try:
            yield
        except sink.faults as error:
            self._failures[sink] += 1
            if self._failures[sink] == 1:
                why = without_password(" ".join(str(error).split()))
                logger.warning("%s takes no numbers (%s); the training goes on", sink.name, why)
            if self._failures[sink] == _MOST_FAILURES:
                logger.warning("%s is left out from here on", sink.name)
                del self._failures[sink]


def require_trackers(config: LogConfig) -> None:
    """Refuse trackers whose package is missing, before any work.

    Raises:
        InputError: names the package and how to get it.
    """
    wanted = {"wandb": config.wandb.project, "mlflow": config.mlflow.tracking_uri}
    for package, place in wanted.items():
        if place is not None and find_spec(package) is None:
            raise InputError(
                f"log.{package} is set and the package {package} is not installed; run: pip "
                f"install 'duet-rl[{package}]', or leave log.{package} out"
            )


def open_sinks(config: LogConfig, origin: Origin, done: int = 0) -> Sinks:
    """Return the sinks that the settings ask for.

    A tracker that cannot be reached is an error where a stage begins; where one goes on, it is
    said and left out.

    Args:
        config: which.
        origin: what the numbers will be of.
        done: steps that count already; above 0 a tracker's run is found again.

    Raises:
        InputError: a package is missing, or a tracker does not take a new run.
    """
    require_trackers(config)
    origin.folder.mkdir(parents=True, exist_ok=True)
    sinks: list[Sink] = []
    if config.prometheus and _ray_is_up():
        from duet_rl.observe.prometheus import Prometheus

        sinks.append(Prometheus(origin))
    for open_tracker in _trackers(config):
        try:
            sinks.append(open_tracker(origin, done))
        except InputError as error:
            if done == 0:
                raise
            logger.warning("%s; the training goes on without it", error)
    return Sinks(sinks)


def _trackers(config: LogConfig) -> Iterator[Any]:
    """Yield what opens each tracker that is wanted."""
    if config.wandb.project is not None:
        from duet_rl.observe.wandb_sink import Wandb

        yield lambda origin, done: Wandb(config.wandb, origin, done)
    if config.mlflow.tracking_uri is not None:
        from duet_rl.observe.mlflow_sink import Mlflow

        yield lambda origin, done: Mlflow(config.mlflow, origin, done)


def _ray_is_up() -> bool:
    """Return whether this process is part of a cluster, without loading Ray to see."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()
