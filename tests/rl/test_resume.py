"""A run that goes on from a saved state ends as the unbroken one, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duet_rl import checkpoint
from duet_rl.rl.algorithm import STATE
from duet_rl.rl.replay import ReplayConfig, RolloutGroup
from duet_rl.rl.settings import CollectConfig, RLConfig
from tests.rl.world import GPT, SETTINGS, algorithm_config, make_pair

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

SAVED, END = 2, 4  # iterations
SYNCHRONOUS = CollectConfig(synchronous=True)
CREATED = "created"  # the one fact about a state that differs
RUNS: dict[str, dict[str, Any]] = {
    "recent": {
        "dropout": True,
        "normalise_rewards": "running",
        "milestones": (1, 3),
        "new_groups": 4,  # two rollouts of the one runner with the same weights
        "replay": ReplayConfig(first=2, first_a_batch=1, past_a_batch=2, capacity=6),
    },
    "uniform": {
        "loss": "ppo",
        "passes": 2,
        "dropout": True,
        "replay": ReplayConfig(memory="uniform", past_a_batch=2),
    },
    "duolando": {
        "loss": "duolando",
        "greedy": True,
        "dropout": True,
        "replay": ReplayConfig(memory="duolando", capacity=None),
    },
}


def states(follower: Path, folder: Path, settings: RLConfig, runners: int) -> tuple[Path, Path]:
    """Return the last states of an unbroken run, and of one that went on from its state."""
    unbroken = algorithm_config(follower, settings, runners).build_algo()
    for done in range(1, END + 1):
        unbroken.train()
        if done == SAVED:
            unbroken.save_checkpoint(str(folder / "saved"))
    unbroken.save_checkpoint(str(folder / "unbroken"))
    unbroken.stop()
    resumed = algorithm_config(follower, settings, runners).build_algo()
    resumed.load_checkpoint(str(folder / "saved"))
    for _ in range(END - SAVED):
        resumed.train()
    resumed.save_checkpoint(str(folder / "resumed"))
    resumed.stop()
    return folder / "unbroken", folder / "resumed"


def assert_same_state(left: Path, right: Path) -> None:
    ours, theirs = checkpoint.load(left, STATE), checkpoint.load(right, STATE)
    assert ours.tensors.keys() == theirs.tensors.keys()
    different = [k for k, v in ours.tensors.items() if not torch.equal(v, theirs.tensors[k])]
    assert not different
    assert {**ours.meta, CREATED: ""} == {**theirs.meta, CREATED: ""}


def run_settings(name: str) -> RLConfig:
    return SETTINGS.model_copy(update={"collect": SYNCHRONOUS, **RUNS[name]})


@pytest.mark.parametrize(
    "name",
    [
        "recent",
        pytest.param("duolando", marks=pytest.mark.slow),
        pytest.param("uniform", marks=pytest.mark.nightly),
    ],
)
def test_a_resumed_run_with_a_runner_is_the_unbroken_one(
    follower: Path, tmp_path: Path, name: str
) -> None:
    assert GPT.dropout > 0, "else nothing is dropped"
    assert_same_state(*states(follower, tmp_path, run_settings(name), runners=1))


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_in_one_process_is_the_unbroken_one(
    follower: Path, tmp_path: Path, name: str
) -> None:
    assert_same_state(*states(follower, tmp_path, run_settings(name), runners=0))


def test_what_was_skipped_and_came_too_late_stays_counted(follower: Path, tmp_path: Path) -> None:
    first = algorithm_config(follower, SETTINGS).build_algo()
    collect = first.collector.collect

    def spoiled() -> list[RolloutGroup]:
        groups = collect()
        groups[0].rewards[0, 0, 0] = np.nan
        return groups

    first.collector.collect = spoiled
    first.train()
    first.collector.dropped = 3
    first.save_checkpoint(str(tmp_path / "state"))
    first.stop()
    second = algorithm_config(follower, SETTINGS).build_algo()
    second.load_checkpoint(str(tmp_path / "state"))
    assert second.skips == (1, 1) and second.collector.dropped == 3
    results = second.numbers(second.train())
    assert results["skipped_updates"] == 1 and results["dropped_groups"] == 3
    second.stop()


def test_rollouts_do_not_drop_what_the_learner_drops(follower: Path) -> None:
    dropping = make_pair(follower, SETTINGS.model_copy(update={"dropout": True}))
    plain = make_pair(follower, SETTINGS)
    for ours, theirs in zip(dropping.runner.sample(), plain.runner.sample(), strict=True):
        assert np.array_equal(ours.tokens, theirs.tokens)
        assert np.array_equal(ours.log_probs, theirs.log_probs)
