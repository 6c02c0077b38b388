"""A memory dealt out to actors draws what one in the driver does, and survives their death."""

import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.rl.replay import Replay, ReplayConfig, RolloutGroup
from tests.rl.test_replay import group
from tests.rl.world import GPT, SETTINGS, algorithm_config, write_follower

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

RECENT = ReplayConfig(capacity=9, first=2, first_a_batch=1, past_a_batch=2)
PAPER = ReplayConfig(memory="duolando", capacity=None)
SHARDS = 3
STREAMS = len(GPT.classes)


@pytest.fixture
def sharded() -> Iterator[Replay]:
    """A memory in three actors."""
    replay = Replay(RECENT.model_copy(update={"shards": SHARDS}))
    yield replay
    replay.close()


def fill(replay: Replay, iterations: Sequence[int]) -> None:
    """Remember two groups an iteration."""
    for iteration in iterations:
        replay.add([group(2 * iteration), group(2 * iteration + 1)])


def one_pass(replay: Replay, seed: int = 0) -> list[list[RolloutGroup]]:
    fresh = [group(clip) for clip in (900, 901, 902)]
    return list(replay.batches(fresh, 2, np.random.default_rng(seed)))


def clips(steps: list[list[RolloutGroup]]) -> list[list[int]]:
    return [[one.clip for one in step] for step in steps]


def tensors_are_equal(left: Replay, right: Replay) -> bool:
    ours, theirs = left.tensors(), right.tensors()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize("config", [RECENT, PAPER], ids=["recent", "paper"])
def test_shards_draw_what_the_driver_would_and_come_back_from_a_checkpoint(
    config: ReplayConfig,
) -> None:
    sharded, plain = Replay(config.model_copy(update={"shards": SHARDS})), Replay(config)
    for replay in (sharded, plain):
        fill(replay, range(7))
    assert clips(one_pass(sharded)) == clips(one_pass(plain))
    old, same = one_pass(sharded)[0][-1], one_pass(plain)[0][-1]
    assert np.array_equal(old.tokens, same.tokens) and np.array_equal(old.rewards, same.rewards)
    assert tensors_are_equal(sharded, plain)
    restored = Replay(config.model_copy(update={"shards": 2}))
    restored.load_tensors(sharded.tensors())
    for replay in (restored, plain):
        fill(replay, range(7, 9))
    assert clips(one_pass(restored, seed=1)) == clips(one_pass(plain, seed=1))
    assert tensors_are_equal(restored, plain)
    for replay in (sharded, restored):
        replay.close()


def test_a_killed_shard_costs_its_groups_and_nothing_else(
    sharded: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sharded, range(4))
    assert len(sharded) == 8
    os.kill(sharded.shard_pids()[1], signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        steps = one_pass(sharded)
        fill(sharded, range(4, 5))
    assert sorted(clip for step in clips(steps) for clip in step if clip >= 900) == [900, 901, 902]
    lost = {1, 4, 7}
    assert not lost & {clip for step in clips(steps) for clip in step}
    said = [record.message for record in caplog.records if "replay shard" in record.message]
    assert len(said) == 1 and "replay shard 1 was lost with 3 groups" in said[0]
    numbers = sharded.numbers()
    assert (numbers["lost_shards"], numbers["lost_groups"], numbers["groups"]) == (1.0, 3.0, 7.0)
    fill(sharded, range(5, 8))
    held = {int(clip) for clip in sharded.tensors()["numbers"][:, 0]}
    # The latest nine of the past, some of them in the shard that took the place of the lost one.
    assert held == {0, 6, *range(8, 16)}
    assert len(set(sharded.shard_pids())) == SHARDS


def test_training_goes_on_without_what_a_killed_shard_held(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"replay": RECENT.model_copy(update={"shards": 2})})
    config = algorithm_config(write_follower(tmp_path / "follower"), settings)
    algorithm = config.build_algo()
    for _ in range(3):
        numbers = algorithm.numbers(algorithm.train())
    assert numbers["replay/groups"] == 6
    assert numbers["replay/steps"] == algorithm.token_steps
    assert numbers["replay/bytes"] == 10 * STREAMS * algorithm.token_steps
    assert numbers["replay/lost_shards"] == 0
    pids = algorithm.replay.shard_pids()
    os.kill(pids[0], signal.SIGKILL)
    for _ in range(3):
        numbers = algorithm.numbers(algorithm.train())
    assert algorithm.iterations_done == 6
    assert numbers["replay/lost_shards"] == 1
    assert 3 <= numbers["replay/lost_groups"] <= 4, "half of what was held when it died"
    algorithm.save_checkpoint(str(tmp_path / "state"))
    held = algorithm.replay.tensors()
    algorithm.load_checkpoint(str(tmp_path / "state"))
    assert torch.equal(algorithm.replay.tensors()["tokens"], held["tokens"])
    pids = algorithm.replay.shard_pids()
    algorithm.stop()
    assert are_gone(pids)


def test_a_closed_memory_leaves_no_process_behind() -> None:
    replay = Replay(RECENT.model_copy(update={"shards": 2}))
    pids = replay.shard_pids()
    replay.close()
    assert are_gone(pids)


def are_gone(pids: Sequence[int], seconds: float = 60.0) -> bool:
    """Return whether none of these processes runs after a while."""
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
