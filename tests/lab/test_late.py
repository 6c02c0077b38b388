"""Rollouts are exactly as old as the lab says."""

from pathlib import Path
from typing import Any

import pytest

from duet_rl.lab.late import LateDuetRL, LateRLConfig
from duet_rl.rl.replay import ReplayConfig
from tests.rl.world import GPT, SETTINGS, env_settings, write_follower

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

STEPS = 11
NO_REPLAY = ReplayConfig(capacity=0, first=0, past_a_batch=0)


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_follower(tmp_path_factory.mktemp("late") / "follower")


def trained(follower: Path, staleness: int) -> list[dict[str, Any]]:
    """Return of every step what the learner reports, and the rollouts that it learned from."""
    settings = SETTINGS.model_copy(update={"iterations": STEPS, "replay": NO_REPLAY})
    config = LateRLConfig.of(settings, follower, GPT.model_dump(), env_settings(settings), 0)
    config.staleness = staleness
    algorithm = config.build_algo()
    assert isinstance(algorithm, LateDuetRL)
    steps = []
    try:
        for _ in range(STEPS):
            numbers = algorithm.numbers(algorithm.train())
            steps.append({"reported": numbers["staleness"], "groups": algorithm.fresh})
    finally:
        algorithm.stop()
    return steps


@pytest.fixture(scope="module")
def by_age(follower: Path) -> dict[int, list[dict[str, Any]]]:
    return {age: trained(follower, age) for age in (0, 1, 8)}


@pytest.mark.parametrize("age", [0, 1, 8])
def test_the_learner_reports_the_age_that_was_asked_for(by_age, age: int):
    """Before there are so many steps, the start has danced."""
    assert [step["reported"] for step in by_age[age]] == [min(n, age) for n in range(STEPS)]


@pytest.mark.parametrize("age", [0, 1, 8])
def test_each_step_learns_from_its_own_rollouts_once(by_age, age: int):
    versions = [{group.version for group in step["groups"]} for step in by_age[age]]
    assert versions == [{max(0, n - age)} for n in range(STEPS)]
    groups = [group for step in by_age[age] for group in step["groups"]]
    assert len({group.tokens.tobytes() for group in groups}) == len(groups)


def test_a_seed_dances_in_the_same_windows_at_any_age(by_age):
    windows = {
        age: [(group.clip, group.frame) for step in steps for group in step["groups"]]
        for age, steps in by_age.items()
    }
    assert windows[0] == windows[1] == windows[8]
    assert len(set(windows[0])) > STEPS  # and they differ from step to step


def test_the_same_training_twice_is_the_same(follower: Path, by_age):
    again = trained(follower, 1)[-1]["groups"]
    assert [g.tokens.tobytes() for g in again] == [
        g.tokens.tobytes() for g in by_age[1][-1]["groups"]
    ]
