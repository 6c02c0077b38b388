"""The replay keeps the first, forgets the oldest, and comes back from a checkpoint."""

import numpy as np
import pytest

from duet_rl.errors import InputError
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


def in_order(replay: Replay, fresh: list[int], seed: int = 0) -> list[list[int]]:
    """Return the clips of each gradient step."""
    batches = replay.batches([group(clip) for clip in fresh], 2, np.random.default_rng(seed))
    return [[old.clip for old in batch] for batch in batches]


def test_every_step_sees_its_share_of_the_fresh_and_of_the_past() -> None:
    steps = in_order(filled(9), [30, 31, 32])
    assert sorted(clip for step in steps for clip in step if clip >= 30) == [30, 31, 32]
    assert [len(step) for step in steps] == [2 + 3, 1 + 3]


def by_the_papers_rule(iterations: int, capacity: int | None = None) -> Replay:
    """Return the memory after iterations of two groups each, of clips 0, 1; 10, 11; 20, 21 ..."""
    replay = Replay(ReplayConfig(memory="duolando", capacity=capacity, first=1))
    for iteration in range(iterations):
        replay.add([group(10 * iteration), group(10 * iteration + 1)])
    return replay


@pytest.mark.parametrize(("iteration", "past"), [(0, 0), (1, 0), (2, 2), (3, 4), (12, 20)])
def test_by_the_papers_rule_all_first_groups_and_up_to_five_past_ones_each_join(
    iteration: int, past: int
) -> None:
    fresh = [900, 901]
    seen = [clip for step in in_order(by_the_papers_rule(iteration), fresh) for clip in step]
    assert sorted(clip for clip in seen if clip >= 900) == fresh
    assert sorted(clip for clip in seen if clip < 10) == ([0, 1] if iteration else [])
    assert len([clip for clip in seen if 10 <= clip < 900]) == past


def test_by_the_papers_rule_past_groups_are_drawn_with_replacement_from_all_of_the_past() -> None:
    replay = by_the_papers_rule(4)
    draws = [
        [clip for step in in_order(replay, [900, 901], seed) for clip in step if 10 <= clip < 900]
        for seed in range(50)
    ]
    assert any(len(set(draw)) < len(draw) for draw in draws)
    assert {clip for draw in draws for clip in draw} == {10, 11, 20, 21, 30, 31}


def test_the_papers_rule_fills_whole_steps_in_random_order() -> None:
    steps = in_order(by_the_papers_rule(4), [900, 901])
    assert [len(step) for step in steps] == [2] * 5
    assert steps != in_order(by_the_papers_rule(4), [900, 901], seed=1)


def test_a_memory_without_bound_forgets_nothing_and_a_bounded_one_the_oldest() -> None:
    assert len(by_the_papers_rule(200)) == 400
    bounded = by_the_papers_rule(200, capacity=4)
    seen = {c for s in range(30) for step in in_order(bounded, [], s) for c in step}
    assert seen == {0, 1, 1980, 1981, 1990, 1991}


def test_a_memory_by_the_papers_rule_comes_back_whole() -> None:
    replay = by_the_papers_rule(5)
    restored = by_the_papers_rule(0)
    restored.load_tensors(replay.tensors())
    assert in_order(restored, [900, 901]) == in_order(replay, [900, 901])


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


def by_uniform(count: int, **settings: int) -> Replay:
    """Return a memory without first ones of as many groups, one an iteration."""
    replay = Replay(ReplayConfig(memory="uniform", **settings))
    for clip in range(count):
        replay.add([group(clip)])
    return replay


def test_a_uniform_memory_sets_no_group_apart() -> None:
    replay = by_uniform(20, capacity=6, first=4)
    assert len(replay) == 6
    assert clips_seen(replay) == {14, 15, 16, 17, 18, 19}


def test_a_uniform_pass_draws_no_group_twice_and_all_equally_often() -> None:
    replay = by_uniform(8, past_a_batch=2)
    drawn = []
    for seed in range(150):
        steps = in_order(replay, [900, 901, 902, 903], seed)
        assert [len(step) for step in steps] == [2 + 2] * 2
        old = [clip for step in steps for clip in step if clip < 900]
        assert len(set(old)) == 4
        drawn += old
    counts = np.bincount(drawn, minlength=8)
    assert counts.min() > 0.75 * 75 and counts.max() < 1.25 * 75


def test_a_uniform_pass_spreads_a_short_memory_over_its_steps() -> None:
    steps = in_order(by_uniform(3, past_a_batch=2), [900, 901, 902, 903])
    assert sorted(len(step) for step in steps) == [2 + 1, 2 + 2]


STEPS, BYTES = 3 * 8, 3 * 8 * 5 * 10  # of one group


@pytest.mark.parametrize(
    "bound",
    [{"max_steps": 6 * STEPS}, {"max_bytes": 6 * BYTES + 1}, {"max_steps": 7 * STEPS - 1}],
    ids=["steps", "bytes", "not quite"],
)
def test_bounds_count_the_first_and_make_the_oldest_past_ones_leave(bound: dict[str, int]) -> None:
    replay = Replay(CONFIG.model_copy(update={"capacity": None, **bound}))
    for clip in range(20):
        replay.add([group(clip)])
    assert clips_seen(replay) == {0, 1, 16, 17, 18, 19}
    numbers = replay.numbers()
    assert numbers == {"groups": 6.0, "steps": 6.0 * STEPS, "bytes": 6.0 * BYTES}
    assert (replay.steps, replay.nbytes) == (6 * STEPS, 6 * BYTES)


@pytest.mark.parametrize("bound", [{"max_steps": 2 * STEPS}, {"max_bytes": BYTES}])
def test_bounds_without_room_for_the_past_are_refused(bound: dict[str, int]) -> None:
    replay = Replay(CONFIG.model_copy(update=bound))
    with pytest.raises(InputError, match=r"raise them, or keep fewer first ones"):
        for clip in range(4):
            replay.add([group(clip)])


def test_what_is_remembered_does_not_hold_on_to_where_it_came_from() -> None:
    """Groups from Ray are views of its object store, and those of a checkpoint of one big array."""
    replay = filled(3)
    restored = Replay(CONFIG)
    restored.load_tensors(replay.tensors())
    kept = restored.remembered(np.random.default_rng(0))
    assert kept and all(old.tokens.base is None and old.rewards.base is None for old in kept)


@pytest.mark.parametrize("streams", [5, 6])
def test_a_hundred_thousand_token_steps_take_less_than_100_megabytes(streams: int) -> None:
    shape = (8, 64, streams)
    replay = Replay(ReplayConfig(capacity=None))
    zeros = {name: np.zeros(shape, np.float32) for name in ("log_probs", "rewards")}
    replay.add([RolloutGroup(0, 0, 0, tokens=np.zeros(shape, np.int16), **zeros)] * 4)
    bytes_a_step = replay.nbytes / replay.steps
    assert bytes_a_step == 10 * streams
    assert 100_000 * bytes_a_step < 100e6 / 10, "and that leaves room for what Python adds"


def test_a_group_counts_its_token_steps_and_stays_small() -> None:
    one = group(0)
    assert len(one) == 3 * 8
    assert one.nbytes == sum(a.nbytes for a in (one.tokens, one.log_probs, one.rewards)) == 1200
