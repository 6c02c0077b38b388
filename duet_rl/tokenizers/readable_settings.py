"""Settings of the readable codec."""

from typing import Literal

from pydantic import Field, model_validator

from duet_rl.tokenizers.codes_vq import CodesVQConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from duet_rl.tokenizers.tokenizer import DuetCodecConfig, HandVQVAEConfig, PoseLossConfig


class BodyCodesConfig(CodesVQConfig):
    """The tokenizer of a body: what pose codes leave over of it, level by level."""

    width: int = Field(96, gt=0)  # channels of the hidden layers
    depth: int = Field(2, ge=0)  # residual blocks a stage
    codes: int = Field(128, gt=1)  # of each level
    code_width: int = Field(64, gt=0)  # length of a code, and of a pose
    decay: float = Field(0.95, ge=0, lt=1)  # of the moving averages, per training step
    # Bodies of pose codes alone are what edits make: they want to be trained often.
    residual_dropout: float = Field(0.3, ge=0, le=1)
    # On held-out salsa takes, beside `difference`: nearer, and edits are followed more often.
    rest: Literal["difference", "latents"] = "latents"


class CodesPoseConfig(PoseLossConfig):
    """The readable pose tokenizer: body, fingers, and the weights of its losses."""

    body: BodyCodesConfig = BodyCodesConfig()
    hand: HandVQVAEConfig = HandVQVAEConfig()  # each hand has its own
    # In training, pose codes are of values blurred by this much of their scale's jitter, by one
    # offset for all frames of a window.
    jitter: float = Field(0.0, ge=0)


class ReadableCodecConfig(DuetCodecConfig):
    """Everything about motion tokens that a person can read."""

    architecture: Literal["readable"] = "readable"  # type: ignore[assignment]
    pose: CodesPoseConfig = CodesPoseConfig()  # type: ignore[assignment]

    @model_validator(mode="after")
    def _check_readable(self) -> "ReadableCodecConfig":
        if self.frame.kind != "heading":
            raise ValueError(
                f"frame.kind is {self.frame.kind}; a readable codec wants heading, as its pose "
                "codes are measured along the heading"
            )
        frames = 2**self.pose.body.halvings
        if frames != FRAMES_PER_TOKEN:
            raise ValueError(
                f"pose.body.halvings makes tokens of {frames} frames; wanted {FRAMES_PER_TOKEN}: "
                "leave it out"
            )
        return self
