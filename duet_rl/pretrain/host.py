"""Where a stage is trained: in a worker of a Ray Train job, or alone in this process."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint

from duet_rl.files import atomic_path, settle

Watch = Callable[[int, Mapping[str, float]], None]  # step, its numbers by tag


class Host(ABC):
    """What the training loop needs from outside: its share of the work, and a place for states."""

    rank: int
    world: int  # workers of the stage
    device: torch.device

    @abstractmethod
    def kept(self) -> AbstractContextManager[Path | None]:
        """Return a context with the folder of the last state that was kept, if there is one."""

    @abstractmethod
    def keep(self, step: int, write: Callable[[Path], None]) -> None:
        """Keep the state after `step`; `write` puts it into a folder, which the first one does."""

    def note(self, step: int, numbers: Mapping[str, float]) -> None:  # noqa: B027 - few listen
        """Hear what the log of the first worker says of a step; here nobody listens."""


class TrainWorker(Host):
    """A worker of a Ray Train job, which keeps the states."""

    def __init__(self) -> None:
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()

    @contextmanager
    def kept(self) -> Iterator[Path | None]:
        """Yield the last state that Ray Train kept."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            yield None
            return
        with checkpoint.as_directory() as folder:
            yield Path(folder)

    def keep(self, step: int, write: Callable[[Path], None]) -> None:
        """Hand the state to Ray Train, which keeps it for a restart."""
        if self.rank != 0:
            ray.train.report({"step": step})
            return
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            ray.train.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))


class Alone(Host):
    """This process, without others.

    Args:
        states: a folder that is this training's own; the last state lies in it.
        device: where the stage is trained.
        watch: is called with every line of the log.
    """

    rank, world = 0, 1

    def __init__(
        self, states: Path, device: torch.device | str = "cpu", watch: Watch | None = None
    ) -> None:
        self.device = torch.device(device)
        self._state, self._watch = states / "state", watch
        settle(self._state)

    @contextmanager
    def kept(self) -> Iterator[Path | None]:
        """Yield the last state."""
        yield self._state if self._state.is_dir() else None

    def keep(self, step: int, write: Callable[[Path], None]) -> None:
        """Put the state in the place of the last one."""
        with atomic_path(self._state) as temporary:
            temporary.mkdir()
            write(temporary)

    def note(self, step: int, numbers: Mapping[str, float]) -> None:
        """Tell who watches."""
        if self._watch is not None:
            self._watch(step, numbers)
