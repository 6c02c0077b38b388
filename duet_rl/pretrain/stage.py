"""What a pretraining stage is: a module, its batches, its loss, and the folder it ends in."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.config import Config
from duet_rl.datasets.store import DuetStore

Metrics = dict[str, Tensor]


class StageConfig(Config):
    """How a stage is trained; what is trained has a config of its own."""

    steps: int = Field(1000, ge=1)  # gradient steps
    batch_size: int = Field(32, ge=1)  # windows, over all workers
    window_tokens: int = Field(16, ge=2)  # token steps a window
    lr: float = Field(1e-3, gt=0)  # after the warm-up; then it falls as a cosine to `final_lr`
    final_lr: float = Field(0.05, ge=0, le=1)  # share of `lr` at the end
    warmup: int = Field(20, ge=0)  # steps of linear rise
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)  # of AdamW
    grad_clip: float = Field(1.0, gt=0)  # largest norm of all gradients together
    validate_every: int = Field(200, ge=1)  # steps
    validation_windows: int = Field(64, ge=1)  # at most; spread over the held-out clips
    checkpoint_every: int = Field(500, ge=1)  # steps between states that can be resumed
    seed: int = Field(0, ge=0)


class ClusterConfig(Config):
    """The workers of a pretraining job."""

    # None: one a GPU with `use_gpu`; else one a processor, up to four. Several workers with one
    # thread each are faster than one with several threads as soon as anything else runs beside.
    workers: int | None = Field(None, ge=1)
    cpus: int | None = Field(None, ge=1)  # a worker; None is a fair share of a node
    use_gpu: bool = False  # one GPU a worker; trains in bfloat16
    max_failures: int = Field(2, ge=0)  # lost workers until the job gives up


@dataclass(frozen=True)
class StagePlan(ABC):
    """A stage before its data are read: small enough to be sent to a worker.

    Args:
        config: how to train.
        data: folder of the clip store.
        out: folder of the run; the stage ends in a sub-folder of its own.
    """

    name: ClassVar[str]
    config: StageConfig
    data: Path
    out: Path

    @abstractmethod
    def open(self) -> "Stage":
        """Read the data and build the module."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return everything beside `config` that the result depends on, as plain values."""

    @property
    def folder(self) -> Path:
        """Where the finished stage lies."""
        return self.out / self.name

    def fingerprint(self, data_hash: str) -> str:
        """Return a hash of all that the result depends on."""
        facts = [self.name, self.config.model_dump(mode="json"), self.settings(), data_hash]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def is_done(self) -> bool:
        """Return whether the folder holds what this plan would make."""
        if not checkpoint.is_checkpoint(self.folder, self.name):
            return False
        wanted = self.fingerprint(DuetStore.open(self.data).hash)
        return checkpoint.read_meta(self.folder).get("fingerprint") == wanted


class Stage(ABC):
    """An opened stage.

    Args:
        store: the clips.
    """

    def __init__(self, store: DuetStore) -> None:
        self.store = store

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """What is trained; calling it with a batch returns the loss and what to log."""

    @abstractmethod
    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return the arguments of the module for one worker's share of a step."""

    @abstractmethod
    def held_out(self) -> tuple[Any, ...] | None:
        """Return the module's arguments for clips kept for validation, if there are any."""

    def danced(self) -> dict[str, float]:
        """Return scores of whole dances, for stages whose module can dance; it is in eval mode."""
        return {}

    @abstractmethod
    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the trained stage as a checkpoint folder."""
