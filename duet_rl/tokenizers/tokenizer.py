"""Settings of the tokenizers, and what the two trainable ones share: folders and codebooks."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from duet_rl.config import Config
from duet_rl.tokenizers.frames import Frame, FrameConfig, HeadingFrame
from duet_rl.tokenizers.holding import HoldingConfig
from duet_rl.tokenizers.losses import KinematicLossConfig, MotionLossConfig
from duet_rl.tokenizers.part import DUET, CodecPart
from duet_rl.tokenizers.planting import PlantingConfig
from duet_rl.tokenizers.quantizers import perplexity, usage
from duet_rl.tokenizers.spec import Stream
from duet_rl.tokenizers.vqvae import PartVQVAE, PartVQVAEConfig, VQVAEOutput
from duet_rl.tokenizers.world import WorldFrame


class HandVQVAEConfig(PartVQVAEConfig):
    """The VQ-VAE of a hand; most hands move little."""

    width: int = Field(32, gt=0)  # channels of the hidden layers
    depth: int = Field(1, ge=0)  # residual blocks a stage
    codes: int = Field(32, gt=1)


class PlacementVQVAEConfig(PartVQVAEConfig):
    """The VQ-VAE of the placement, the bottleneck of a follower: coarse, then fine."""

    levels: int = Field(2, ge=1)  # residual codebooks


class PoseLossConfig(Config):
    """The weights of the losses of decoded poses."""

    motion: MotionLossConfig = MotionLossConfig()
    root_motion: MotionLossConfig | None = None  # of the velocity head; None: as `motion`
    kinematics: KinematicLossConfig = KinematicLossConfig()  # heading frame only
    positions: float = Field(0.3, ge=0)  # weight of the positions head
    rotations: float = Field(1.0, ge=0)  # weight of the rotations head
    velocity: float = Field(1.0, ge=0)  # weight of the root velocity head


class PoseConfig(PoseLossConfig):
    """The pose tokenizer: one VQ-VAE a part, and the weights of its losses."""

    upper: PartVQVAEConfig = PartVQVAEConfig()
    lower: PartVQVAEConfig = PartVQVAEConfig()
    hand: HandVQVAEConfig = HandVQVAEConfig()  # each hand has its own
    zero_first_joints: bool = False  # encode without each part's first joint (Duolando's quirk)


class PlacementConfig(Config):
    """The placement tokenizer."""

    # leader: where the follower is, seen from the leader | start: how a dancer moves and turns, by
    # himself, from where the leader (of a dancer alone the stage) begins; heading frame only
    relative_to: Literal["leader", "start"] = "leader"
    vqvae: PlacementVQVAEConfig = PlacementVQVAEConfig()
    motion: MotionLossConfig = MotionLossConfig()
    shift: float = Field(0.15, ge=0)  # m; spread of a random shift over the floor in training
    turn: float = Field(0.2, ge=0)  # rad; spread of a random turn in training, heading kind


class DecodingConfig(Config):
    """How the decoded follower is put into the world."""

    path_sigma: float = Field(4.0, ge=0)  # frames; low-pass of the decoded root path
    heading_sigma: float = Field(2.0, ge=0)  # frames; of the decoded heading, unless causal
    legs: bool = True  # the legs' root velocity gives what the low-passed path lacks
    joints: Literal["rotations", "positions"] = "rotations"  # the head that the joints follow
    # Feet that stand do not slide; None, and with the positions head: feet are as decoded.
    planting: PlantingConfig | None = PlantingConfig()
    # Palms that are near the leader's take them; None: arms are as decoded.
    holding: HoldingConfig | None = HoldingConfig()


class DuetCodecConfig(Config):
    """Everything about the motion tokens of a follower beside a leader."""

    architecture: Literal["duet"] = "duet"  # tells the codecs apart, see `tokenizers.codec`
    frame: FrameConfig = FrameConfig()
    pose: PoseConfig = PoseConfig()
    placement: PlacementConfig = PlacementConfig()
    decoding: DecodingConfig = DecodingConfig()

    @model_validator(mode="after")
    def _check_placement(self) -> "DuetCodecConfig":
        if self.placement.relative_to == "start" and self.frame.kind != "heading":
            raise ValueError("placement.relative_to: start is for frame.kind: heading; change one")
        return self


class Tokenizer(CodecPart):
    """Base of the pose and the placement tokenizer of a duet: both know its frame of reference."""

    architecture: ClassVar[str] = DUET
    config_class: ClassVar[type[Config]] = DuetCodecConfig
    config: DuetCodecConfig

    def __init__(self, config: DuetCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.frame: Frame = frame_of(config.frame)


def frame_of(config: FrameConfig) -> Frame:
    """Return the frame of reference that `config` names."""
    return HeadingFrame(config) if config.kind == "heading" else WorldFrame(config)


@torch.no_grad()
def codebook_metrics(
    vqvaes: Mapping[str, PartVQVAE], outputs: Mapping[str, VQVAEOutput]
) -> dict[str, Tensor]:
    """Return perplexity and usage of each codebook in one batch, by stream name."""
    metrics = {}
    for name, out in outputs.items():
        codes = vqvaes[name].config.codes
        for level in range(out.tokens.shape[-1]):
            counts = torch.bincount(out.tokens[..., level].flatten(), minlength=codes).float()
            stream = stream_name(name, level)
            metrics[f"tokens/perplexity_{stream}"] = perplexity(counts)
            metrics[f"tokens/usage_{stream}"] = usage(counts)
    return metrics


def stream_name(part: str, level: int) -> str:
    """Return the name of a part's stream: `placement`, `placement_fine`, `placement_fine2`."""
    return part if level == 0 else f"{part}_fine" + (str(level) if level > 1 else "")


def streams_of(sizes: Mapping[str, PartVQVAEConfig]) -> tuple[Stream, ...]:
    """Return one stream for each level of each part."""
    return tuple(
        Stream(stream_name(part, level), size.codes, part, level=level)
        for part, size in sizes.items()
        for level in range(size.levels)
    )
