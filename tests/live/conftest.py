"""Small untrained followers for live dances, and a leader who steps."""

import pytest
import torch

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.skeleton import UP, default_skeleton
from duet_rl.generate.follower import Follower
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import POSITION_SCALE, TURN_SCALE
from duet_rl.tokenizers.tokenizer import DecodingConfig
from tests.couple import stepping_couple
from tests.tokenizers.conftest import small_config

SECONDS = 4.0


def make_follower(
    causal: bool = True, look_ahead: int = 4, decoding: DecodingConfig | None = None
) -> Follower:
    """A follower that was never trained, with codes that differ."""
    torch.manual_seed(0)
    config = small_config(causal=causal)
    if decoding is not None:
        config = config.model_copy(update={"decoding": decoding})
    codec = DuetCodec(config)
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):
            codebook.normal_()
    conditions = (
        ConditionConfig(name="music", channels=MUSIC_DIMS, look_ahead=look_ahead),
        ConditionConfig(name="leader", channels=codec.leader_channels, look_ahead=look_ahead),
    )
    config = MultiStreamGPTConfig(
        classes=codec.spec.classes, conditions=conditions, width=8, layers=1, heads=2
    )
    return Follower(codec.eval(), MultiStreamGPT(config).eval(), {})


def opposite(
    metres: float, decoding: DecodingConfig | None = None, causal: bool = True
) -> Follower:
    """A follower so far before the leader, arms stretched out, whatever its tokens say."""
    follower = make_follower(causal, decoding=decoding)
    codec = follower.codec
    assert isinstance(codec, DuetCodec)
    height = float(default_skeleton().rest_joints()[0, UP])
    place = torch.tensor([0.0, height, metres]) * POSITION_SCALE
    upright = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    with torch.no_grad():
        for name, weights in codec.named_parameters():
            if "decoders" in name:
                weights.zero_()
        for name, mean in codec.named_buffers():
            if name.endswith("placement.mean"):
                mean[:, 0] = torch.cat([place, torch.tensor([-TURN_SCALE, 0.0])])
            elif name.endswith("rotations.mean"):
                mean[:, 0] = upright.repeat(len(mean) // 6)
    return follower


@pytest.fixture(scope="session")
def follower() -> Follower:
    return make_follower()


@pytest.fixture(scope="session")
def leader() -> torch.Tensor:
    """(120, 55, 3), a leader who steps."""
    return stepping_couple(SECONDS).leader.joints


@pytest.fixture(scope="session")
def music(leader: torch.Tensor) -> torch.Tensor:
    return torch.randn(len(leader), MUSIC_DIMS, generator=torch.Generator().manual_seed(1))
