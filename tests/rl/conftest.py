"""A follower on disk, and the runner and the learner of RL without a cluster."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.rllib.connectors import connector_v2

from duet_rl.rl.env_runner import FollowerEnvRunner
from duet_rl.rl.learner import FollowerLearner
from tests.rl.world import SETTINGS, Pair, make_pair, write_follower


@pytest.fixture(scope="session", autouse=True)
def quick_connectors() -> Iterator[None]:
    """Let RLlib's connectors look at the frame that made them without all others.

    Of each of pytest's seventy it would find the source, a second for a runner and a learner.
    """

    def stack() -> list[SimpleNamespace]:
        here = sys._getframe(1)
        return [SimpleNamespace(frame=frame) for frame in (here, here.f_back)]

    with pytest.MonkeyPatch.context() as patch:
        quick = SimpleNamespace(stack=stack, getargvalues=inspect.getargvalues)
        patch.setattr(connector_v2, "inspect", quick)
        yield


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
