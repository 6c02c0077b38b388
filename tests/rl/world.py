"""A follower, its leaders and RL settings that are small enough to learn in seconds."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from duet_rl import checkpoint
from duet_rl.audio.provenance import AUTHORS, META_KEY
from duet_rl.datasets.store import DuetStore
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.rl.algorithm import DuetRLConfig
from duet_rl.rl.env_runner import FollowerEnvRunner
from duet_rl.rl.learner import FollowerLearner
from duet_rl.rl.settings import RLConfig
from tests.envs.dancers import SidestepCodec, small_codec, walking_couple

GPT = MultiStreamGPTConfig(
    classes=SidestepCodec.spec.classes,
    conditions=(
        ConditionConfig(name="music", channels=54, look_ahead=2, look_back=2),
        ConditionConfig(name="leader", channels=SidestepCodec.channels, look_ahead=2, look_back=2),
    ),
    width=16,
    layers=1,
    heads=2,
    context=8,
)
SETTINGS = RLConfig(
    leaders=2,
    rollouts=8,
    seconds=1.6,
    lr=1e-2,
    value_lr=1e-2,
    new_groups=2,
    batch_groups=2,
    checkpoint_every=2,
    wait_seconds=240,
)


def write_follower(folder: Path) -> Path:
    """Write a follower that knows nothing yet and return its folder."""
    torch.manual_seed(0)
    tensors = MultiStreamGPT(GPT).state_dict()
    return checkpoint.save(folder, kind="follower", tensors=tensors, config=GPT, meta={})


def write_dancer(folder: Path, data: DuetStore) -> Path:
    """Write a follower that knows nothing yet, with a codec of its own, and return its folder."""
    codec = small_codec(causal=False)
    conditions = [
        condition.model_copy(update={"channels": codec.leader_channels})
        if condition.name == "leader"
        else condition
        for condition in GPT.conditions
    ]
    gpt = GPT.model_copy(update={"classes": codec.spec.classes, "conditions": tuple(conditions)})
    torch.manual_seed(0)
    start = checkpoint.save(
        folder,
        kind="follower",
        tensors=MultiStreamGPT(gpt).state_dict(),
        config=gpt,
        meta={"data_hash": data.hash, META_KEY: AUTHORS},
    )
    codec.save(start, {})
    return start


def env_settings(settings: RLConfig) -> dict[str, Any]:
    """Return the keyword arguments of the environment."""
    return {
        "data": [walking_couple(name, 72, seed) for seed, name in enumerate("abc")],
        "codec": SidestepCodec(),
        "rewards": settings.rewards.model_dump(),
        "dance": {"seconds": settings.seconds, "group_size": settings.rollouts},
    }


def algorithm_config(folder: Path, settings: RLConfig, runners: int = 0) -> DuetRLConfig:
    """Return the configuration of RL that starts from the follower in `folder`."""
    return DuetRLConfig.of(settings, folder, GPT.model_dump(), env_settings(settings), runners)


class Pair(NamedTuple):
    """A runner and a learner as an algorithm has them, without the algorithm."""

    runner: FollowerEnvRunner
    learner: FollowerLearner

    def send_weights(self) -> None:
        """Give the runner the learner's weights and their version."""
        self.runner.set_state(self.learner.get_state("rl_module", inference_only=True))


def make_pair(folder: Path, settings: RLConfig, seed: int = 0) -> Pair:
    """Return a runner and a learner that start from the follower in `folder`."""
    return pair_of(algorithm_config(folder, settings.model_copy(update={"seed": seed})))


def pair_of(config: DuetRLConfig) -> Pair:
    """Return a runner and a learner with this configuration."""
    config.validate()
    runner = FollowerEnvRunner(config=config, worker_index=None)
    spec = config.get_multi_rl_module_spec(spaces=runner.get_spaces(), inference_only=False)
    learner = FollowerLearner(config=config, module_spec=spec)
    learner.build()
    pair = Pair(runner, learner)
    pair.send_weights()
    return pair
