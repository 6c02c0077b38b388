"""What a pretraining stage is: a module, its batches, its loss, and the folder it ends in."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.config import Config
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows
from duet_rl.observe.settings import LogConfig

Metrics = dict[str, Tensor]
# Settings of how a step is computed and not of what it is: a run may go on with other ones.
_MEANS = frozenset({"accumulate", "checkpointing", "compile"})


class StageConfig(Config):
    """How a stage is trained; what is trained has a config of its own."""

    steps: int = Field(1000, ge=1)  # gradient steps
    epochs: float | None = Field(None, gt=0)  # passes over the training windows, instead of `steps`
    batch_size: int = Field(32, ge=1)  # windows, over all workers
    window_tokens: int = Field(16, ge=2)  # token steps a window
    # uniform: each window is as likely at each step | epochs: pass by pass, none twice in a pass
    sampler: Literal["uniform", "epochs"] = "uniform"
    # Between the starts of a clip's windows: frames, for a multi-stream follower token steps.
    stride: int = Field(1, ge=1)

    lr: float = Field(1e-3, gt=0)  # after the warm-up; what follows is `schedule`
    schedule: Literal["cosine", "milestones"] = "cosine"
    warmup: int = Field(20, ge=0)  # steps of linear rise
    final_lr: float = Field(0.05, ge=0, le=1)  # cosine: share of `lr` at the end
    milestones: tuple[float, ...] = (100, 200)  # passes after each of which `lr` falls
    decay: float = Field(0.1, gt=0, le=1)  # milestones: what `lr` is multiplied by at each
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)  # of AdamW
    grad_clip: float | None = Field(1.0, gt=0)  # largest norm of all gradients; None: any

    accumulate: int = Field(1, ge=1)  # micro batches that a worker's share of a step is cut into
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU
    checkpointing: bool = False  # forget what layers computed, and compute it again: less memory
    compile: bool = False  # torch.compile of the repeated layers

    validate_every: int = Field(200, ge=1)  # steps
    validation_windows: int = Field(64, ge=1)  # at most; spread over the held-out clips
    checkpoint_every: int = Field(500, ge=1)  # steps between states that can be resumed
    seed: int = Field(0, ge=0)


class ClusterConfig(Config):
    """The workers of a pretraining job."""

    # None: one a GPU where GPUs are used; else one a processor, up to four. Several workers with
    # one thread each are faster than one with several as soon as anything else runs beside.
    workers: int | None = Field(None, ge=1)
    # With how many the job goes on when nodes are lost; it grows to `workers` when there is room.
    # None: all of them are needed.
    min_workers: int | None = Field(None, ge=1)
    # Processors of a worker; None is a fair share of a node, or 1 where `min_workers` is set.
    cpus: int | None = Field(None, ge=1)
    # One GPU a worker, in bfloat16 unless a stage says otherwise; None: where the cluster has GPUs.
    use_gpu: bool | None = None
    max_failures: int = Field(2, ge=0)  # lost workers until the job gives up


@dataclass(frozen=True)
class StagePlan(ABC):
    """A stage before its data are read: small enough to be sent to a worker.

    Args:
        config: how to train.
        data: folder of the clip store.
        out: folder of the run; the stage ends in a sub-folder of its own.
        log: where its numbers go beside its own log.
    """

    name: ClassVar[str]
    config: StageConfig
    data: Path
    out: Path
    # Ray Train shows the `repr` of a plan to all who may look at the cluster; a tracker's URI may
    # hold a password.
    log: LogConfig = field(default=LogConfig(), kw_only=True, repr=False)

    @abstractmethod
    def open(self) -> "Stage":
        """Read the data and build the module."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return everything beside `config` that the result depends on, as plain values."""

    def require_fit(self) -> None:  # noqa: B027 - few stages need it
        """Raise `InputError` if the data are not what `config` is for; here all are.

        It asks for nothing that an earlier stage makes.
        """

    @property
    def folder(self) -> Path:
        """Where the finished stage lies."""
        return self.out / self.name

    def fingerprint(self, data_hash: str) -> str:
        """Return a hash of all that the result depends on."""
        config = self.config.model_dump(mode="json", exclude=set(_MEANS))
        facts = [self.name, config, self.settings(), data_hash]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def is_done(self) -> bool:
        """Return whether the folder holds what this plan would make."""
        if not checkpoint.is_checkpoint(self.folder, self.name):
            return False
        wanted = self.fingerprint(DuetStore.open(self.data).hash)
        return checkpoint.read_meta(self.folder).get("fingerprint") == wanted


class Stage(ABC):
    """An opened stage, with its settings and the windows that it is trained on.

    Args:
        store: the clips.
    """

    config: StageConfig
    train: Windows[Any]

    def __init__(self, store: DuetStore) -> None:
        self.store = store

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """What is trained; calling it with a batch returns the loss and what to log."""

    @abstractmethod
    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return the arguments of the module for one worker's share of a step."""

    def draw(self, step: int, rank: int, world: int) -> Any:
        """Return one worker's share of the windows of a step, as `config.sampler` draws them."""
        config, windows = self.config, self.train
        draw = windows.epoch_batch if config.sampler == "epochs" else windows.batch
        return draw(step, config.batch_size, config.seed, rank, world)

    def settle(self, batch: tuple[Any, ...]) -> None:  # noqa: B027 - few stages need it
        """Set what the first batch decides, before it is cut into micro batches; here nothing."""

    @abstractmethod
    def held_out(self) -> tuple[Any, ...] | None:
        """Return the module's arguments for clips kept for validation, if there are any."""

    def danced(self) -> dict[str, float]:
        """Return scores of whole dances, for stages whose module can dance; it is in eval mode."""
        return {}

    @abstractmethod
    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the trained stage as a checkpoint folder."""
