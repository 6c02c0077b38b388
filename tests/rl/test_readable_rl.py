"""RL refines a follower of readable tokens, beside a leader and alone, as any other."""

from pathlib import Path

import pytest
import torch

from duet_rl import checkpoint
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.rewards.base import RewardMixConfig, RewardWeights
from duet_rl.rl.algorithm import DuetRLConfig
from duet_rl.rl.settings import RLConfig
from duet_rl.tokenizers.readable import ReadableCodec
from tests.envs.dancers import walking_couple
from tests.rl.world import SETTINGS, Pair, pair_of
from tests.tokenizers.conftest import readable_config

WAYS = {"leader": "envs:DuetDance-v0", "start": "envs:SoloDance-v0"}


def settings_of(relative_to: str) -> RLConfig:
    """A short iteration; nobody holds or tracks who dances alone."""
    weights = RewardWeights(contact=0, tracking=0) if relative_to == "start" else RewardWeights()
    changes = {
        "env": WAYS[relative_to],
        "rewards": RewardMixConfig(weights=weights),
        "rollouts": 2,
        "seconds": 1.6,
    }
    return SETTINGS.model_copy(update=changes)


@pytest.mark.parametrize("relative_to", WAYS)
def test_an_iteration_moves_the_follower_and_keeps_to_its_streams(
    tmp_path: Path, relative_to: str
) -> None:
    torch.manual_seed(0)
    codec = ReadableCodec(readable_config(relative_to)).eval()
    conditions = [ConditionConfig(name="music", channels=54, look_ahead=2, look_back=2)]
    if relative_to == "leader":
        channels = codec.leader_channels
        told = ConditionConfig(name="leader", channels=channels, look_ahead=2, look_back=2)
        conditions.append(told)
    gpt = MultiStreamGPTConfig(
        classes=codec.spec.classes,
        conditions=tuple(conditions),
        width=16,
        layers=1,
        heads=2,
        context=8,
        heads_see="earlier",
        head_blocks=(codec.groups, 2, 2),
    )
    model = MultiStreamGPT(gpt)
    folder = checkpoint.save(
        tmp_path / "follower", kind="follower", tensors=model.state_dict(), config=gpt, meta={}
    )
    settings = settings_of(relative_to)
    env = {
        "data": [walking_couple(name, 72, seed) for seed, name in enumerate("abc")],
        "codec": codec,
        "rewards": settings.rewards.model_dump(),
        "dance": {"seconds": settings.seconds, "group_size": settings.rollouts},
    }
    pair = pair_of(DuetRLConfig.of(settings, folder, gpt.model_dump(), env, 0))
    groups = pair.runner.sample()
    assert all(0 <= group.means["total"] <= 1 for group in groups)
    before = _weights(pair)
    pair.learner.update(episodes=groups)
    after = _weights(pair)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(bool(torch.isfinite(value).all()) for value in after.values())


def _weights(pair: Pair) -> dict[str, torch.Tensor]:
    (module,) = pair.learner.module.values()
    return {name: value.detach().clone() for name, value in module.named_parameters()}
