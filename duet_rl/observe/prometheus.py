"""The numbers of a run as metrics of a Ray node, for Prometheus to fetch."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ray.util.metrics import Gauge

from duet_rl.observe.measures import ITERATION, Measure, reading_of
from duet_rl.observe.sink import Origin, Sink


class Prometheus(Sink):
    """Sets gauges, which the agent of this node shows at its metrics port.

    Without the agent (`pip install 'ray[default]'` has it) setting them does nothing.

    Args:
        origin: run and stage, which label every metric.
    """

    name = "Prometheus"

    def __init__(self, origin: Origin) -> None:
        self._labels = {"run": origin.run, "stage": origin.stage}

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._set(ITERATION, "", step)
        for tag, number in numbers.items():
            reading = reading_of(tag)
            self._set(reading.measure, reading.value, number)

    def _set(self, measure: Measure, value: str, number: float) -> None:
        own = {measure.label: value} if measure.label else {}
        gauge_of(measure).set(float(number), tags={**self._labels, **own})

    def close(self, finished: bool) -> None:
        """Nothing is held back."""


@cache
def gauge_of(measure: Measure) -> Any:
    """Return the gauge of a metric; Ray wants one alone in a process."""
    return Gauge(measure.full_name, description=measure.about, tag_keys=measure.labels)
