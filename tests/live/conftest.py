"""Small untrained followers for live dances, and a leader who steps."""

import pytest
import torch

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.generate.follower import Follower
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.tokenizers.duet import DuetCodec
from tests.couple import stepping_couple
from tests.tokenizers.conftest import small_config

SECONDS = 4.0


def make_follower(causal: bool = True, look_ahead: int = 4) -> Follower:
    """A follower that was never trained, with codes that differ."""
    torch.manual_seed(0)
    codec = DuetCodec(small_config(causal=causal))
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
