"""The tokenizer stages of a soloist: the poses, and then how the root moves with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import UP
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.pretrain.stage import StageConfig, StagePlan
from duet_rl.pretrain.tokenizer import DancerStage, PoseStage, dancers_of
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.solo import require_same_sizes
from duet_rl.tokenizers.solo_pose import SoloPoseTokenizer
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from duet_rl.tokenizers.solo_translation import SoloTranslation


@dataclass(frozen=True)
class SoloPosePlan(StagePlan):
    """Train the poses on every dancer."""

    name: ClassVar[str] = SoloPoseTokenizer.kind
    codec: SoloCodecConfig = field(default_factory=SoloCodecConfig)

    def open(self) -> PoseStage:
        """Read the data and build the tokenizer."""
        return PoseStage(DuetStore.open(self.data), self.config, SoloPoseTokenizer(self.codec))

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on."""
        apart = {"velocity", "root_motion", "rotations", "decoding"}
        return self.codec.model_dump(mode="json", exclude=apart)


@dataclass(frozen=True)
class SoloTranslationPlan(StagePlan):
    """Train the decoders that hang on the run's finished poses; those stay as they are."""

    name: ClassVar[str] = SoloTranslation.kind
    codec: SoloCodecConfig = field(default_factory=SoloCodecConfig)

    @property
    def pose_folder(self) -> Path:
        """Where the poses are."""
        return self.out / SoloPosePlan.name

    def open(self) -> "SoloTranslationStage":
        """Read the data and the poses, and build the decoders."""
        pose = SoloPoseTokenizer.load(self.pose_folder)
        return SoloTranslationStage(DuetStore.open(self.data), self.config, self.codec, pose)

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on.

        Raises:
            InputError: the poses are not finished.
        """
        if not checkpoint.is_checkpoint(self.pose_folder, SoloPosePlan.name):
            raise InputError(
                f"{self.out} has no finished {SoloPosePlan.name} tokenizer, and a soloist's "
                f"{self.name} hangs on it; run `duet-rl pretrain {SoloPosePlan.name}` first"
            )
        weights = sha256_of(self.pose_folder / checkpoint.WEIGHTS)
        return {**self.codec.model_dump(mode="json"), SoloPosePlan.name: weights}


class TranslationLoss(nn.Module):
    """The decoders of a `SoloTranslation`, whose call gives their loss on windows of motion."""

    def __init__(self, translation: SoloTranslation, pose: SoloPoseTokenizer) -> None:
        super().__init__()
        self.translation = translation
        # Finished, so neither trained nor part of the training's state: hidden from torch.
        self._pose = (pose.eval(),)

    def forward(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the decoders on the tokens of `motion`, and what to log."""
        device = motion.joints.device
        pose = self._pose[0].to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            codes = pose.codes(pose.encode(motion))
        return self.translation(codes, motion)


class SoloTranslationStage(DancerStage):
    """Windows of single dancers for the decoders that hang on their poses."""

    def __init__(
        self,
        store: DuetStore,
        config: StageConfig,
        codec: SoloCodecConfig,
        pose: SoloPoseTokenizer,
    ) -> None:
        super().__init__(store, config)
        require_same_sizes(pose.config, codec, str(store.path))
        translation = SoloTranslation(codec)
        _remember(translation, dancers_of(store.clips("train")))
        self._module = TranslationLoss(translation, pose)

    @property
    def module(self) -> TranslationLoss:
        """The decoders with their loss."""
        return self._module

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the decoders."""
        self._module.translation.save(folder, meta)


def _remember(translation: SoloTranslation, dancers: list[Motion]) -> None:
    """Keep the mean bones of the dancers, and how high their roots are when they begin."""
    bones = [motion.skeleton.offsets for motion in dancers]
    translation.offsets.copy_(torch.stack(bones).mean(0))
    heights = torch.stack([motion.root[0, UP] for motion in dancers])
    translation.start_height.copy_(heights.mean())
