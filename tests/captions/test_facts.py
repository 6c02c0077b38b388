"""Facts of made figures: what they do is said, when they do it, and nothing else."""

import math

import pytest
import torch

from duet_rl.captions.detect import facts_of, holds, true_among
from duet_rl.captions.facts import Fact, Stated
from duet_rl.captions.runs import steady_runs, swings
from duet_rl.errors import InputError
from tests.captions.figures import (
    FOLDED,
    FPS,
    HANGING,
    UP,
    carried,
    keys,
    mirrored,
    other_side,
    reaching,
    still,
    turning,
)
from tests.couple import joints_of, standing_couple
from tests.posecodes.poses import wild

RAISES = Fact("transition", "left arm", "raises")
RAISED = Fact("state", "left arm", "raised")


def test_a_raised_arm_is_raised_and_then_up() -> None:
    joints = reaching(left_arm=(HANGING, UP))
    stated = {s.fact: s for s in facts_of(joints)}
    raises, raised = stated[RAISES], stated[RAISED]
    assert 1.4 * FPS <= raises.start < raises.stop <= 2.4 * FPS
    assert raised.start >= raises.start and raised.stop == len(joints)
    assert Fact("state", "left hand", "above head") in stated
    assert not [f for f in stated if f.subject.startswith("right") and f.kind == "transition"]


def test_an_arm_that_comes_down_is_lowered_and_not_raised() -> None:
    found = keys(reaching(left_arm=(UP, HANGING)))
    assert RAISED.key in found and "transition/left arm/lowers" in found
    assert RAISES.key not in found


def test_both_arms_at_once_are_said_of_both() -> None:
    right = tuple((-x, y, z) for x, y, z in (HANGING, UP))
    together = keys(reaching(left_arm=(HANGING, UP), right_arm=(right[0], right[1])))
    assert {"symmetric/both arms/raises", "symmetric/both arms/raised"} <= together
    one = keys(reaching(left_arm=(HANGING, UP)))
    assert not [key for key in one if key.startswith("symmetric") and "raise" in key]


def test_an_elbow_that_bends_is_bent() -> None:
    found = keys(reaching(left_arm=(HANGING, FOLDED)))
    assert {"transition/left arm/bends", "state/left arm/bent"} <= found
    assert "transition/left arm/straightens" not in found
    assert "transition/left arm/straightens" in keys(reaching(left_arm=(FOLDED, HANGING)))


def test_hands_that_meet_are_brought_together() -> None:
    ends = ((0.2, 0.0, 0.3), (-0.15, 0.0, 0.35))
    right = [(-x, y, z) for x, y, z in ends]
    joints = reaching(left_arm=ends, right_arm=(right[0], right[1]))
    assert "transition/both hands/brings together" in keys(joints)
    assert "state/both hands/together" in keys(joints)
    assert "transition/both hands/brings apart" in keys(joints.flip(0))


def test_a_lifted_foot_is_off_the_ground() -> None:
    found = keys(reaching(right_leg=((0.0, -0.78, 0.0), (0.0, -0.4, 0.3))))
    assert {"transition/right foot/lifts", "state/right foot/off ground"} <= found
    assert "transition/right knee/bends" in found and "transition/left foot/lifts" not in found


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"ahead": 1.0}, "steps forward"),
        ({"ahead": -1.0}, "steps back"),
        ({"left": 0.8}, "steps left"),
        ({"left": -0.8}, "steps right"),
    ],
)
@pytest.mark.parametrize("facing", [0.0, 100.0])
def test_steps_are_told_along_the_dancers_own_heading(
    way: dict[str, float], said: str, facing: float
) -> None:
    joints = turning(carried(still(), 1.0, 2.0, **way), -1.0, -0.5, facing)
    travelled = {s.fact.what for s in facts_of(joints) if s.fact.kind == "travel"}
    assert said in travelled
    assert {w for w in travelled if w.startswith("steps")} == {said}


def test_who_drifts_slowly_makes_no_step() -> None:
    assert "travel/dancer/steps forward" not in keys(carried(still(9), 0.0, 9.0, ahead=0.9))


@pytest.mark.parametrize(
    ("degrees", "said"),
    [
        (90, "left quarter"),
        (-180, "right half"),
        (270, "left three quarters"),
        (-360, "right full"),
    ],
)
def test_turns_are_told_by_side_and_amount(degrees: float, said: str) -> None:
    turns = [s for s in facts_of(turning(still(5), 1.0, 3.5, degrees)) if s.fact.kind == "turn"]
    assert [s.fact.what for s in turns] == [said]
    assert 0.8 * FPS <= turns[0].start < turns[0].stop <= 3.7 * FPS
    assert holds(Fact("turn", "dancer", said.split()[0]), turning(still(5), 1.0, 3.5, degrees))


def test_who_stands_still_is_said_to() -> None:
    assert {"pace/dancer/still", "travel/dancer/stays", "state/trunk/upright"} <= keys(still())
    assert not [k for k in keys(still()) if k.startswith(("transition", "turn", "couple"))]


def test_every_motion_has_a_pace_however_short() -> None:
    for joints in (still(1 / FPS), wild(3).joints, wild(60, seed=4).joints):
        assert any(s.fact.kind == "pace" for s in facts_of(joints))


def test_a_value_that_trembles_on_a_threshold_is_no_fact() -> None:
    generator = torch.Generator().manual_seed(0)
    level = torch.randn(300, generator=generator).numpy() * 0.02
    assert (level > 0).mean() > 0.3
    assert steady_runs(level > 0, level > 0.1, shortest=2) == []
    assert swings(level, 0.2) == []


def test_a_pose_counts_once_it_is_held_for_two_fifths_of_a_second() -> None:
    for seconds, counts in ((0.3, False), (0.6, True)):
        frames = round(seconds * FPS)
        joints = torch.cat([still(1), still(seconds, left_arm=UP), still(1)])
        found = [s for s in facts_of(joints) if s.fact == RAISED]
        assert bool(found) == counts
        assert all(abs(s.frames - frames) <= 2 for s in found)


def test_small_noise_changes_no_deed() -> None:
    joints = carried(reaching(left_arm=(HANGING, UP)), 2.5, 3.3, ahead=0.7)
    generator = torch.Generator().manual_seed(1)
    noisy = joints + 0.004 * torch.randn(joints.shape, generator=generator)
    deeds = [
        {k for k in keys(j) if k.startswith(("transition", "travel/dancer/steps", "turn"))}
        for j in (joints, noisy)
    ]
    assert deeds[0] == deeds[1] and deeds[0]
    trembling = still() + 0.004 * torch.randn(still().shape, generator=generator)
    assert {"pace/dancer/still", "travel/dancer/stays"} <= keys(trembling)


def test_facts_depend_on_no_place_heading_or_size() -> None:
    joints = carried(reaching(left_arm=(HANGING, UP)), 2.5, 3.3, ahead=0.7)
    elsewhere = turning(joints, -1, -0.5, 77) + torch.tensor([3.0, 0.0, -5.0])
    assert keys(elsewhere) == keys(joints)
    assert RAISES.key in keys(1.15 * joints)


def test_a_mirror_swaps_the_sides_of_all_facts() -> None:
    rough = wild(90, seed=3).joints.flatten(1).T[None]
    joints = torch.nn.functional.avg_pool1d(rough, 15, 1, 7)[0].T.unflatten(1, (55, 3))
    facts = [{s.fact for s in facts_of(j)} for j in (joints, mirrored(joints))]
    swapped = {other_side(fact) for fact in facts[0]}
    assert len(swapped ^ facts[1]) <= 0.1 * len(swapped)


def test_a_couple_that_holds_hands_and_faces_is_said_to() -> None:
    follower, leader = (joints[0] for joints in joints_of(standing_couple(2.0)))
    found = keys(follower, leader)
    assert "couple/dancer/faces partner" in found
    assert not [k for k in keys(follower) if k.startswith("couple")]
    away = torch.linspace(0, 1.2, len(leader))[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    away = away * torch.sign(leader[0, 0, 2] - follower[0, 0, 2])
    assert "couple/dancer/moves away" in keys(follower, leader + away)
    assert "couple/dancer/moves closer" in keys(follower, (leader + away).flip(0))


def test_hands_that_touch_hold_each_other() -> None:
    follower = still(2, right_arm=(0.0, -0.2, 0.4))
    leader = turning(still(2, left_arm=(0.0, -0.2, 0.4)), -1, -0.5, 180)
    reach = follower[0, 21] - leader[0, 20]
    leader = leader + torch.tensor([float(reach[0]), 0.0, float(reach[2])])
    found = keys(follower, leader)
    assert {
        "couple/right hand/holds partner's left hand",
        "couple/dancer/holds partner's left hand",
    } <= found
    assert "couple/right hand/holds partner's left hand" not in keys(follower, leader + 1.0)


def test_order_and_place_in_time_are_checked() -> None:
    first, second = Fact("state", "left arm", "raised"), Fact("turn", "dancer", "left half")
    stated = [Stated(first, 0, 40), Stated(second, 70, 100)]

    def true(fact: Fact, when: str, other: Fact | None = None) -> bool:
        placed = Fact(fact.kind, fact.subject, fact.what, when, other)  # type: ignore[arg-type]
        return true_among(placed, stated, 120)

    assert true(first, "first") and not true(first, "last")
    assert true(second, "last") and not true(second, "first")
    assert true(second, "then", first) and not true(first, "then", second)
    assert not true(second, "while", first)
    stated[1] = Stated(second, 10, 40)
    assert true(second, "while", first) and true(first, "while", second)


def test_a_fact_of_a_couple_needs_the_partner() -> None:
    assert not holds(Fact("couple", "dancer", "faces partner"), still())


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="55"):
        facts_of(still()[:, :22])
    with pytest.raises(InputError, match="NaN"):
        facts_of(still() * math.nan)
    with pytest.raises(InputError, match="cut both"):
        facts_of(still(), still(2))
