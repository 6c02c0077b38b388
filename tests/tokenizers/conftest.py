"""A synthetic couple, and codecs of a few channels that have seen it."""

import math
from collections.abc import Callable

import pytest
import torch

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.stage import put_on_stage
from duet_rl.datasets.synthetic import SyntheticConfig, synthesize
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import FrameConfig, MotionBatch
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.tokenizer import (
    DuetCodecConfig,
    HandVQVAEConfig,
    PlacementConfig,
    PlacementVQVAEConfig,
    PoseConfig,
    Tokenizer,
)
from duet_rl.tokenizers.vqvae import PartVQVAEConfig

FRAMES = 96
LEVELS = 3  # residual ones, of a readable codec


def as_batch(motion: Motion) -> MotionBatch:
    """A dancer as a batch of one clip."""
    return MotionBatch(motion.joints[None], motion.rotations[None])


def batch_of(duet: Duet) -> tuple[MotionBatch, MotionBatch]:
    """Leader and follower as batches of one clip."""
    return as_batch(duet.leader), as_batch(duet.follower)


def windows(batch: MotionBatch, frames: int) -> MotionBatch:
    """The clip of a batch of one, cut into windows."""
    return MotionBatch(*(x[0].unflatten(0, (-1, frames)) for x in batch))


def train(tokenizer: Tokenizer, batch: tuple[MotionBatch, ...], steps: int) -> None:
    """Train on one batch, again and again."""
    optimiser = torch.optim.Adam(tokenizer.parameters(), lr=5e-3)
    tokenizer.train()
    for _ in range(steps):
        optimiser.zero_grad()
        tokenizer(*batch)[0].backward()
        optimiser.step()


def small_config(**frame: object) -> DuetCodecConfig:
    part = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}
    return DuetCodecConfig(
        frame=FrameConfig(**frame),
        pose=PoseConfig(
            upper=PartVQVAEConfig(**part),
            lower=PartVQVAEConfig(**part),
            hand=HandVQVAEConfig(**part),
        ),
        placement=PlacementConfig(vqvae=PlacementVQVAEConfig(**part)),
    )


def readable_config(
    relative_to: str = "leader", causal: bool = False, **body: object
) -> ReadableCodecConfig:
    part = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}
    values = {
        "frame": {"causal": causal},
        "pose": {
            "body": {**part, "width": 32, "code_width": 16, "levels": LEVELS, **body},
            "hand": part,
        },
        "placement": {"vqvae": part, "relative_to": relative_to},
        "decoding": {"planting": None, "holding": None},
    }
    return ReadableCodecConfig.model_validate(values)


@pytest.fixture(scope="session")
def duet() -> Duet:
    """Three seconds of salsa, with turns of the couple."""
    made = synthesize(2, SyntheticConfig(seconds=4.0)).duet
    return made.turned(1.0).slice(0, FRAMES)


@pytest.fixture(scope="session")
def dancer(duet: Duet) -> Motion:
    """The follower alone on the stage."""
    return put_on_stage(duet.follower)


@pytest.fixture(scope="session")
def couple(duet) -> tuple[MotionBatch, MotionBatch]:
    return batch_of(duet)


@pytest.fixture(scope="session")
def moved_couple(duet) -> tuple[MotionBatch, MotionBatch]:
    """The same dance at another place of the room, facing elsewhere."""
    return batch_of(duet.turned(2.0 * math.pi / 3 + 0.1).moved((3.0, 0.0, -2.0)))


@pytest.fixture(scope="session")
def codec_of(couple) -> Callable[..., DuetCodec]:
    """Make a codec that a few training steps have given codebooks."""
    made: dict[tuple, DuetCodec] = {}

    def make(**frame: object) -> DuetCodec:
        key = tuple(sorted(frame.items()))
        if key not in made:
            torch.manual_seed(0)
            codec = DuetCodec(small_config(**frame)).train()
            leader, follower = (windows(dancer, 32) for dancer in couple)
            train(codec.pose, (follower,), steps=10)
            train(codec.placement, (leader, follower), steps=10)
            made[key] = codec.eval()
        return made[key]

    return make
