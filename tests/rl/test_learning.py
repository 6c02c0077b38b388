"""RL learns: rewards rise far above where they began, for every loss."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from duet_rl.rewards.base import RewardMixConfig, RewardWeights
from duet_rl.rl.losses import ActorCriticConfig, DuolandoLossConfig, LossName
from duet_rl.rl.replay import Replay, ReplayConfig
from duet_rl.rl.settings import RLConfig
from tests.rl.world import SETTINGS, make_pair

# The true follower of the small world is two steps beside the leader: placement 2, lift 0.
TRACKING = RewardMixConfig(
    weights=RewardWeights(contact=0, foot=0, beat=0, consistency=0, tracking=1)
)
WORLD = SETTINGS.model_copy(
    update={
        "rewards": TRACKING,
        "actor_critic": ActorCriticConfig(kl_weight=0.01),
        "duolando": DuolandoLossConfig(alpha=20, centre=0.9),
    }
)


def rewards_of(follower: Path, settings: RLConfig, iterations: int) -> list[float]:
    """Return the mean reward of each iteration, one old group joining each."""
    pair = make_pair(follower, settings)
    replay = Replay(ReplayConfig(past_a_batch=1))
    rewards = []
    for iteration in range(iterations):
        fresh = pair.runner.sample()
        remembered = replay.remembered(np.random.default_rng(iteration))
        pair.learner.update(episodes=fresh + remembered)
        pair.send_weights()
        replay.add(fresh)
        rewards.append(float(np.mean([group.means["total"] for group in fresh])))
    return rewards


@pytest.mark.parametrize("loss", [name for name in get_args(LossName) if name != "own"])
def test_the_follower_learns_where_to_dance(follower: Path, loss: str) -> None:
    iterations = 40 if loss == "bailando" else 25  # which learns more slowly
    rewards = rewards_of(follower, WORLD.model_copy(update={"loss": loss}), iterations)
    assert rewards[0] < 0.8
    assert np.mean(rewards[-5:]) > 0.9


@pytest.mark.parametrize("by", ["batch", "running"])
def test_it_learns_from_normalised_rewards(follower: Path, by: str) -> None:
    rewards = rewards_of(follower, WORLD.model_copy(update={"normalise_rewards": by}), 30)
    assert np.mean(rewards[-5:]) > max(0.9, rewards[0])
