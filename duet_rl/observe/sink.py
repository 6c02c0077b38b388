"""One sink: what takes the numbers of a run to one place."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple


class Origin(NamedTuple):
    """What the numbers are of."""

    run: str  # name of the run's folder
    stage: str  # pose, translation, follower or rl
    folder: Path  # of the stage's log; what finds a tracker's run again is kept in it
    settings: Mapping[str, Any] = {}  # of the stage


class Sink(ABC):
    """Takes the numbers of each step to one place."""

    name: ClassVar[str]
    faults: tuple[type[Exception], ...] = (OSError,)  # of that place, and not of this program

    @abstractmethod
    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Hand over the numbers of one step, by TensorBoard tag."""

    @abstractmethod
    def close(self, finished: bool) -> None:
        """Hand over what is held back.

        Args:
            finished: whether the stage came to its end.
        """
