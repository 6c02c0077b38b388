"""The quality guard: made-up looks, of which it keeps the best that lost nothing."""

import pytest
import torch

from duet_rl.choreograph.finetune import HELD_SEED
from duet_rl.choreograph.guard import Check, Guard, Look
from duet_rl.choreograph.rehearsal import DIVERSITY, REWARD
from duet_rl.choreograph.settings import GuardConfig
from duet_rl.choreograph.song import why_not_kept

CONFIG = GuardConfig(patience=2, least_gain=0.01)
BEFORE = Look(iteration=0, reward=0.5, kl=0.0, jerk=100.0, diversity=0.4, frozen=0.1, held=0.5)


def look(iteration: int, **seen: float | None) -> Look:
    """Return a look at a follower that is as it was before, but for what is said."""
    return BEFORE.model_copy(update={"iteration": iteration, **seen})


def test_the_best_look_that_lost_nothing_is_kept() -> None:
    guard = Guard(CONFIG, BEFORE)
    for iteration, reward in enumerate((0.6, 0.55, 0.7, 0.65), start=1):
        guard.judge(look(iteration, reward=reward))
    assert guard.best.iteration == 3


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ({"kl": 1.01 * CONFIG.most_kl}, "kl"),
        ({"jerk": 101.0 * CONFIG.most_jerk}, "jerk"),
        ({"diversity": 0.39 * CONFIG.least_diversity}, "diversity"),
        ({"frozen": 0.11 + CONFIG.most_frozen}, "frozen share"),
        ({"held": 0.49 * CONFIG.least_held}, "held share"),
        ({"jerk": None}, "jerk is no number"),
        ({"kl": None}, "kl is no number"),
        ({"diversity": None}, "diversity is no number"),
        ({"reward": None}, "reward is no number"),
    ],
)
def test_reward_that_is_paid_for_with_quality_is_refused(
    lost: dict[str, float | None], named: str
) -> None:
    guard = Guard(CONFIG, BEFORE)
    check = guard.judge(look(1, **{"reward": 0.9, **lost}))
    assert not check.better and guard.best.iteration == 0
    (fault,) = check.faults
    assert named in fault and named in check.verdict
    assert not guard.enough, "one look more may be better"
    guard.judge(look(2, **{"reward": 0.9, **lost}))
    assert guard.enough.startswith("refused 2 times") and named in guard.enough


def test_what_is_just_within_the_limits_is_kept() -> None:
    guard = Guard(CONFIG, BEFORE)
    check = guard.judge(
        look(
            1,
            reward=0.6,
            kl=CONFIG.most_kl,
            jerk=100.0 * CONFIG.most_jerk,
            diversity=0.4 * CONFIG.least_diversity,
            frozen=0.1 + CONFIG.most_frozen,
        )
    )
    assert check.better and not check.faults


def test_it_ends_when_nothing_gets_better() -> None:
    guard = Guard(CONFIG, BEFORE)
    guard.judge(look(1, reward=0.6))
    guard.judge(look(2, reward=0.605))  # less than chance makes
    assert not guard.enough
    guard.judge(look(3, reward=0.59))
    assert guard.enough == "no better in 2 looks"
    assert guard.best.iteration == 1


def test_a_better_look_gives_new_patience() -> None:
    guard = Guard(CONFIG, BEFORE)
    for iteration, reward in enumerate((0.4, 0.6, 0.5), start=1):
        guard.judge(look(iteration, reward=reward))
        assert not guard.enough
    assert guard.best.iteration == 2


def test_nothing_worse_than_before_is_ever_kept() -> None:
    guard = Guard(CONFIG, BEFORE)
    for iteration in range(1, 6):
        guard.judge(look(iteration, reward=0.5 - 0.01 * iteration))
    assert guard.best.iteration == 0 and guard.best.reward == BEFORE.reward


def test_dances_that_could_not_differ_need_not() -> None:
    still = BEFORE.model_copy(update={"diversity": 0.0})
    check = Guard(CONFIG, still).judge(look(1, reward=0.6, diversity=0.0))
    assert check.better


def test_nobody_need_hold_a_leader_who_is_not_there() -> None:
    alone = BEFORE.model_copy(update={"held": None})
    assert Guard(CONFIG, alone).judge(look(1, reward=0.6, held=None)).better


def test_a_guard_goes_on_from_its_record() -> None:
    guard = Guard(CONFIG, BEFORE)
    for iteration, reward in enumerate((0.6, 0.5), start=1):
        guard.judge(look(iteration, reward=reward))
    again = Guard(CONFIG, BEFORE, guard.checks[1:])
    assert again.best == guard.best
    for one in (guard, again):
        one.judge(look(3, reward=0.4))
    assert again.enough == guard.enough == "no better in 2 looks"


def test_the_guards_dances_are_drawn_otherwise_than_those_of_any_usual_seed() -> None:
    def drawn(seed: int) -> float:
        return float(torch.rand((), generator=torch.Generator().manual_seed(seed)))

    assert drawn(HELD_SEED) not in {drawn(seed) for seed in range(100)}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, ""),
        ({REWARD: 0.5}, "no better with other seeds"),
        ({DIVERSITY: 0.39 * CONFIG.least_diversity}, "diversity 0.273 below 0.28"),
        ({"jerk": 101.0 * CONFIG.most_jerk}, "jerk"),
        ({"frozen_share": 0.11 + CONFIG.most_frozen}, "frozen share"),
    ],
)
def test_the_limits_hold_for_the_dances_that_are_written(seen: dict[str, float], why: str) -> None:
    def scores(**values: float) -> dict[str, torch.Tensor]:
        usual = {REWARD: 0.5, "jerk": 100.0, DIVERSITY: 0.4, "frozen_share": 0.1}
        return {name: torch.full((3,), value) for name, value in {**usual, **values}.items()}

    best = Check(**look(2, reward=0.9, kl=0.1).model_dump(), better=True)
    found = why_not_kept(CONFIG, scores(), scores(**{REWARD: 0.6, **seen}), best)
    assert why in found if why else not found
