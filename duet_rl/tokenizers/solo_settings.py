"""Settings of the codec of a dancer who dances alone."""

from typing import Literal

from pydantic import Field

from duet_rl.config import Config
from duet_rl.tokenizers.frames import FrameConfig
from duet_rl.tokenizers.losses import MotionLossConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from duet_rl.tokenizers.vqvae import PartVQVAEConfig

FPS = 30  # frames per second of every motion


class SoloDecodingConfig(Config):
    """How the decoded dancer is put into the world."""

    joints: Literal["rotations", "positions"] = "rotations"  # which of the two the joints follow
    # integrated: the root rises and falls as its velocity says | feet: the lower foot stands on the
    # floor in every frame, so nothing drifts, and nobody jumps
    height: Literal["integrated", "feet"] = "feet"


class SoloCodecConfig(Config):
    """Everything about the motion tokens of a soloist (Bailando)."""

    architecture: Literal["solo"] = "solo"  # tells the codecs apart, see `tokenizers.codec`
    # Frames per second that the networks see; a token is eight of 60 or four of 30.
    fps: Literal[30, 60] = 60
    upper: PartVQVAEConfig = PartVQVAEConfig()
    lower: PartVQVAEConfig = PartVQVAEConfig()
    motion: MotionLossConfig = MotionLossConfig()  # of positions and rotations
    root_motion: MotionLossConfig = MotionLossConfig(acceleration=0)  # of the root's velocity
    scale: float = Field(5.0, gt=0)  # units of the networks a metre of position
    velocity: Literal["m/s", "m/frame"] = "m/s"  # unit of the networks, of the root's velocity
    rotations: bool = False  # a decoder of rotations too; without, they are fitted to the joints
    decoding: SoloDecodingConfig = SoloDecodingConfig()

    @property
    def frame(self) -> FrameConfig:
        """The frame of reference: world axes, with a look at what comes later."""
        return FrameConfig(kind="world")

    @property
    def frames_per_token(self) -> int:
        """Frames that the networks see of a token."""
        return FRAMES_PER_TOKEN * self.fps // FPS

    @property
    def halvings(self) -> int:
        """How often the networks halve the frames."""
        return self.frames_per_token.bit_length() - 1
