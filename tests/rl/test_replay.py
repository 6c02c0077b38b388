"""The replay keeps the first, forgets the oldest, and comes back from a checkpoint."""

import numpy as np

from duet_rl.rl.replay import Replay, ReplayConfig, RolloutGroup

CONFIG = ReplayConfig(capacity=4, first=2, first_a_batch=1, past_a_batch=2)


def group(clip: int) -> RolloutGroup:
    rng = np.random.default_rng(clip)
    shape = (3, 8, 5)  # rollouts, steps, streams
    return RolloutGroup(
        clip=clip,
        frame=2 * clip,
        version=10 + clip,
        tokens=rng.integers(0, 500, shape).astype(np.int16),
        log_probs=rng.normal(size=shape).astype(np.float32),
        rewards=rng.random(shape).astype(np.float32),
    )


def filled(count: int) -> Replay:
    replay = Replay(CONFIG)
    for clip in range(count):
        replay.add([group(clip)])
    return replay


def clips_seen(replay: Replay) -> set[int]:
    rng = np.random.default_rng(0)
    return {old.clip for _ in range(200) for old in replay.remembered(rng)}


def test_the_first_rollouts_stay_and_the_oldest_past_ones_leave() -> None:
    replay = filled(20)
    assert len(replay) == CONFIG.first + CONFIG.capacity
    assert clips_seen(replay) == {0, 1, 16, 17, 18, 19}


def test_a_draw_mixes_first_and_past_without_repeats() -> None:
    drawn = [old.clip for old in filled(20).remembered(np.random.default_rng(1))]
    assert len(set(drawn)) == 3 and sum(clip < 2 for clip in drawn) == 1


def test_an_empty_or_short_memory_gives_what_it_has() -> None:
    assert filled(0).remembered(np.random.default_rng(0)) == []
    assert [old.clip for old in filled(1).remembered(np.random.default_rng(0))] == [0]


def test_a_restored_replay_goes_on_as_the_old_one_would() -> None:
    replay, restored = filled(9), Replay(CONFIG)
    restored.load_tensors(replay.tensors())
    for memory in (replay, restored):
        memory.add([group(30)])
    pairs = zip(
        replay.remembered(np.random.default_rng(5)),
        restored.remembered(np.random.default_rng(5)),
        strict=True,
    )
    for old, new in pairs:
        assert (old.clip, old.frame, old.version) == (new.clip, new.frame, new.version)
        for name in ("tokens", "log_probs", "rewards"):
            left, right = getattr(old, name), getattr(new, name)
            assert left.dtype == right.dtype and np.array_equal(left, right)


def test_an_empty_replay_restores_as_empty() -> None:
    restored = filled(3)
    restored.load_tensors(Replay(CONFIG).tensors())
    assert len(restored) == 0


def test_a_group_counts_its_token_steps_and_stays_small() -> None:
    one = group(0)
    assert len(one) == 3 * 8
    assert sum(getattr(one, name).nbytes for name in ("tokens", "log_probs", "rewards")) == 1200
