"""A follower on disk, and the runner and the learner of RL without a cluster."""

from pathlib import Path

import pytest

from duet_rl.rl.env_runner import FollowerEnvRunner
from duet_rl.rl.learner import FollowerLearner
from tests.rl.world import SETTINGS, Pair, make_pair, write_follower


@pytest.fixture(scope="session")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a follower that knows nothing yet."""
    return write_follower(tmp_path_factory.mktemp("rl") / "follower")


@pytest.fixture
def pair(follower: Path) -> Pair:
    """A runner and a learner with the same weights."""
    return make_pair(follower, SETTINGS)


@pytest.fixture
def runner(pair: Pair) -> FollowerEnvRunner:
    return pair.runner


@pytest.fixture
def learner(pair: Pair) -> FollowerLearner:
    return pair.learner
