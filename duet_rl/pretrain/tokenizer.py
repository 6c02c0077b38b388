"""The tokenizer stages: poses of both dancers, and the follower's placement beside the leader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.pretrain.stage import Stage, StageConfig, StagePlan
from duet_rl.tokenizers.body_tokenizer import BodyTokenizer
from duet_rl.tokenizers.codec import build_codec
from duet_rl.tokenizers.codes_pose import CodesPoseTokenizer
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.part import ARCHITECTURE, DUET, POSE, TRANSLATION
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.solo_pose import SoloPoseTokenizer
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from duet_rl.tokenizers.tokenizer import DuetCodecConfig


class TokenizerStageConfig(StageConfig):
    """How a tokenizer is trained."""

    steps: int = Field(600, ge=1)
    lr: float = Field(3e-3, gt=0)  # three times the follower's: lower errors at equal steps
    betas: tuple[float, float] = (0.9, 0.99)
    # Learn from the mirror image of every dancer too; of couples' placement it is not asked.
    mirror: bool = False


class DuetRows(NamedTuple):
    """A couple frame by frame."""

    leader_joints: Float[Tensor, "*batch T 55 3"]
    leader_rotations: Float[Tensor, "*batch T 55 3 3"]
    follower_joints: Float[Tensor, "*batch T 55 3"]
    follower_rotations: Float[Tensor, "*batch T 55 3 3"]


@dataclass(frozen=True)
class PosePlan(StagePlan):
    """Train the pose tokenizer on both dancers."""

    name: ClassVar[str] = POSE
    codec: DuetCodecConfig = field(default_factory=DuetCodecConfig)

    def open(self) -> "PoseStage":
        """Read the data and build the tokenizer."""
        return PoseStage(DuetStore.open(self.data), self.config, build_codec(self.codec).pose)

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on."""
        return _settings(self.codec, "pose", "own")


@dataclass(frozen=True)
class TranslationPlan(StagePlan):
    """Train the placement tokenizer on couples."""

    name: ClassVar[str] = TRANSLATION
    codec: DuetCodecConfig = field(default_factory=DuetCodecConfig)

    def open(self) -> "TranslationStage":
        """Read the data and build the tokenizer."""
        return TranslationStage(DuetStore.open(self.data), self.config, self.codec)

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on."""
        return _settings(self.codec, "placement", "decoding")


class DancerStage(Stage):
    """Base of the stages that learn from single dancers, whoever they are."""

    def __init__(self, store: DuetStore, config: StageConfig) -> None:
        super().__init__(store)
        self.config = config
        frames = config.window_tokens * FRAMES_PER_TOKEN
        val = [rows_of(motion) for motion in dancers_of(store.clips("val"))]
        self.train = Windows([rows_of(motion) for motion in self.learnt()], frames, config.stride)
        self.val = windows_if_any(val, frames)

    def learnt(self) -> list[Motion]:
        """Return the dancers that it learns from."""
        dancers = dancers_of(self.store.clips("train"))
        if isinstance(self.config, TokenizerStageConfig) and self.config.mirror:
            dancers += [dancer.mirrored() for dancer in dancers]
        return dancers

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return windows of single dancers."""
        return (self.draw(step, rank, world),)

    def held_out(self) -> tuple[Any, ...] | None:
        """Return windows of held-out dancers."""
        if self.val is None:
            return None
        return (self.val.covering(self.config.validation_windows),)


class PoseStage(DancerStage):
    """Windows of single dancers for a pose tokenizer."""

    def __init__(
        self,
        store: DuetStore,
        config: StageConfig,
        tokenizer: BodyTokenizer | SoloPoseTokenizer,
    ) -> None:
        super().__init__(store, config)
        self.tokenizer = tokenizer

    @property
    def module(self) -> BodyTokenizer | SoloPoseTokenizer:
        """The tokenizer."""
        return self.tokenizer

    def settle(self, batch: tuple[Any, ...]) -> None:
        """Let the first batch fill the codebooks."""
        self.tokenizer.settle(*batch)

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the tokenizer; a readable one with the pose codes that it has seen."""
        if isinstance(self.tokenizer, CodesPoseTokenizer):
            self.tokenizer.remember([dancer.joints for dancer in self.learnt()])
        self.tokenizer.save(folder, meta)


class TranslationStage(Stage):
    """Windows of couples for the placement tokenizer, or of dancers whose leaders do not matter."""

    def __init__(self, store: DuetStore, config: StageConfig, codec: DuetCodecConfig) -> None:
        super().__init__(store)
        self.config, self.tokenizer = config, _placement_of(codec)
        frames = config.window_tokens * FRAMES_PER_TOKEN
        rows = _alone if codec.placement.relative_to == "start" else _couples
        self.train = Windows(rows(store.clips("train")), frames, config.stride)
        self.val = windows_if_any(rows(store.clips("val")), frames)

    @property
    def module(self) -> PlacementTokenizer:
        """The tokenizer."""
        return self.tokenizer

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return windows of leaders and of their followers."""
        return _both(self.draw(step, rank, world))

    def settle(self, batch: tuple[Any, ...]) -> None:
        """Let the first batch fill the codebooks."""
        self.tokenizer.settle(*batch)

    def held_out(self) -> tuple[Any, ...] | None:
        """Return windows of held-out couples."""
        if self.val is None:
            return None
        return _both(self.val.covering(self.config.validation_windows))

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the tokenizer."""
        self.tokenizer.save(folder, meta)


def dancers_of(clips: list[DuetClip]) -> list[Motion]:
    """Return everyone who dances, clip by clip: the leader where there is one, and the follower."""
    couples = [(clip.duet.leader, clip.duet.follower)[clip.solo :] for clip in clips]
    return [dancer for couple in couples for dancer in couple]


def rows_of(motion: Motion) -> MotionBatch:
    """Return a dancer frame by frame."""
    return MotionBatch(motion.joints, motion.rotations)


def _couples(clips: list[DuetClip]) -> list[DuetRows]:
    return [DuetRows(*rows_of(clip.duet.leader), *rows_of(clip.duet.follower)) for clip in clips]


def _alone(clips: list[DuetClip]) -> list[DuetRows]:
    """Return everyone who dances, beside themselves: nothing is looked at but how they move."""
    return [DuetRows(*rows_of(dancer), *rows_of(dancer)) for dancer in dancers_of(clips)]


def _placement_of(codec: DuetCodecConfig) -> PlacementTokenizer:
    built = build_codec(codec)
    assert isinstance(built, DuetCodec)
    return built.placement


def _settings(codec: DuetCodecConfig, *sections: str) -> dict[str, Any]:
    """Return the sections of a codec's settings that a stage depends on, and what it is if rare."""
    settings = codec.model_dump(mode="json", include={"frame", *sections})
    return settings if codec.architecture == DUET else settings | {ARCHITECTURE: codec.architecture}


def _both(rows: DuetRows) -> tuple[MotionBatch, MotionBatch]:
    return MotionBatch(*rows[:2]), MotionBatch(*rows[2:])
