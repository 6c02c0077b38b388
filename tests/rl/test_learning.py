"""RL learns: rewards rise far above where they began, for both losses."""

from pathlib import Path

import numpy as np
import pytest

from duet_rl.rewards.base import RewardMixConfig, RewardWeights
from duet_rl.rl.losses import ActorCriticConfig, DuolandoLossConfig
from duet_rl.rl.replay import Replay, ReplayConfig
from tests.rl.world import SETTINGS, make_pair

# The true follower of the small world is two steps beside the leader: placement 2, lift 0.
TRACKING = RewardMixConfig(
    weights=RewardWeights(contact=0, foot=0, beat=0, consistency=0, tracking=1)
)


@pytest.mark.parametrize("loss", ["actor_critic", "duolando"])
def test_the_follower_learns_where_to_dance(follower: Path, loss: str) -> None:
    settings = SETTINGS.model_copy(
        update={
            "rewards": TRACKING,
            "loss": loss,
            "actor_critic": ActorCriticConfig(kl_weight=0.01),
            "duolando": DuolandoLossConfig(alpha=20, centre=0.9),
        }
    )
    pair = make_pair(follower, settings)
    replay = Replay(ReplayConfig(past_a_batch=1))
    rewards = []
    for iteration in range(40):
        fresh = pair.runner.sample()
        remembered = replay.remembered(np.random.default_rng(iteration))
        pair.learner.update(episodes=fresh + remembered)
        pair.send_weights()
        replay.add(fresh)
        rewards.append(np.mean([group.means["total"] for group in fresh]))
    assert rewards[0] < 0.8
    assert np.mean(rewards[-5:]) > 0.9
