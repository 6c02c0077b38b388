"""Each attack has the fault that it is named for, and otherwise dances as the truth does."""

import pytest
import torch
from torch import Tensor

from duet_rl.body.capsules import capsule_penetration
from duet_rl.body.contact import feet_above_floor, foot_slide, hold_distances
from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Duet
from duet_rl.body.skeleton import JOINT, LOWER, UP
from duet_rl.metrics.attacks import ATTACKS, DELAY, SHAKE, AttackInput
from tests.couple import BEAT_SECONDS, DISTANCE, FPS, beats, stepping_couple

SECONDS = 6.0
LEGS = [joint for joint in LOWER if joint]
BODY = slice(22)


def placed_couple() -> Duet:
    """The stepping couple somewhere in the room, turned."""
    return stepping_couple(SECONDS).turned(0.7).moved((1.0, 0.0, 2.0))


def parted_couple() -> Duet:
    """The stepping couple 15 cm apart: hands do not meet, and she is not his mirror image."""
    couple = stepping_couple(SECONDS)
    return Duet(couple.leader, couple.follower.moved((0.0, 0.0, 0.15)))


def given(duet: Duet | None = None, other: Duet | None = None, **changes: object) -> AttackInput:
    known = {"beats": beats(SECONDS)[0], "distance": DISTANCE, "seed": 0, **changes}
    return AttackInput(duet or placed_couple(), other, **known)


def follow(name: str, made_from: AttackInput | None = None) -> Tensor:
    joints = ATTACKS[name].follow(made_from or given())
    assert joints is not None
    return joints


def speed(joints: Tensor) -> Tensor:
    return torch.diff(joints, dim=0).norm(dim=-1) * FPS


def bones(joints: Tensor) -> Tensor:
    """Lengths that no rigid body changes: between the joints of one thigh and one upper arm."""
    pairs = (("left_hip", "left_knee"), ("right_shoulder", "right_elbow"))
    ends = [joints[:, JOINT[a]] - joints[:, JOINT[b]] for a, b in pairs]
    return torch.stack(ends, 1).norm(dim=-1)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_another_dance_of_the_same_length_and_finite(name):
    made_from = given(parted_couple(), other=stepping_couple(SECONDS, beat_seconds=1.0))
    truth = made_from.duet.follower.joints
    joints = follow(name, made_from)
    assert joints.shape == truth.shape and torch.isfinite(joints).all()
    assert (joints - truth).norm(dim=-1).mean() > 0.004


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_leaves_the_couple_alone_and_is_the_same_again(name):
    made_from = given(other=stepping_couple(SECONDS, beat_seconds=1.0))
    couples = (made_from.duet, made_from.other)
    assert made_from.other is not None
    motions = [motion for duet in couples for motion in (duet.leader, duet.follower)]  # type: ignore[union-attr]
    before = [(motion.joints.clone(), motion.rotations.clone()) for motion in motions]
    first, second = follow(name, made_from), follow(name, made_from)
    assert torch.equal(first, second)
    for motion, (joints, rotations) in zip(motions, before, strict=True):
        assert torch.equal(motion.joints, joints) and torch.equal(motion.rotations, rotations)


@pytest.mark.parametrize("name", [name for name in ATTACKS if "jitter" not in name])
def test_all_but_noise_keep_the_bones(name):
    made_from = given(other=stepping_couple(SECONDS, beat_seconds=1.0))
    length = bones(follow(name, made_from))
    torch.testing.assert_close(length, length[:1].expand_as(length), atol=1e-3, rtol=0)


def test_another_seed_is_other_noise_and_nothing_else():
    assert not torch.equal(follow("jitter_20mm"), follow("jitter_20mm", given(seed=1)))
    assert torch.equal(follow("mirror"), follow("mirror", given(seed=1)))


def test_attacks_stand_to_the_leader_alike_wherever_the_couple_dances():
    here, there = given(), given(placed_couple().turned(2.0).moved((3.0, 0.0, -1.0)))
    for name in ("carried", "gliding", "flipped", "mirror", "ape", "inside", "clinging"):
        near = (follow(name, there) - there.duet.leader.joints[:, :1]).norm(dim=-1)
        before = (follow(name, here) - here.duet.leader.joints[:, :1]).norm(dim=-1)
        torch.testing.assert_close(near, before, atol=2e-3, rtol=0)


def test_the_frozen_ones_hold_one_pose():
    truth = given().duet.follower.joints
    assert speed(follow("frozen")).max() == 0
    for name in ("carried", "gliding"):
        joints = follow(name)
        apart = (joints[:, 5] - joints[:, 20]).norm(dim=-1)
        torch.testing.assert_close(apart, apart[:1].expand_as(apart))
        assert speed(joints).mean() > 0.03
    torch.testing.assert_close(follow("gliding")[:, 0, [0, 2]], truth[:, 0, [0, 2]])


def test_sliding_legs_do_not_move_while_the_rest_dances_on():
    truth, joints = given().duet.follower.joints, follow("sliding")
    above = [joint for joint in range(22) if joint not in LEGS]
    torch.testing.assert_close(joints[:, above], truth[:, above], atol=1e-4, rtol=0)
    hanging = joints[:, LEGS] - joints[:, :1]
    torch.testing.assert_close(hanging, hanging[:1].expand_as(hanging), atol=1e-4, rtol=0)
    assert foot_slide(joints[None], FPS).mean() > 5 * foot_slide(truth[None], FPS).mean()


def test_noise_has_the_size_that_it_says_and_spares_the_legs_if_it_says_so():
    truth = given().duet.follower.joints
    everywhere, above = follow("jitter_20mm") - truth, follow("jitter_above") - truth
    assert everywhere.std().item() == pytest.approx(SHAKE, rel=0.02)
    assert above[:, [0, *LEGS]].abs().max() == 0
    assert above[:, 15].std().item() == pytest.approx(SHAKE, rel=0.1)


def test_floating_feet_never_touch_the_floor():
    assert feet_above_floor(follow("floating_10cm")).min() > 0.05
    truth = given().duet.follower.joints
    torch.testing.assert_close(speed(follow("floating_20cm")), speed(truth), atol=1e-3, rtol=0)


def test_the_flipped_one_raises_the_other_hand_at_the_same_place():
    couple = stepping_couple(SECONDS)
    truth, joints = couple.follower.joints, follow("flipped", given(couple))
    torch.testing.assert_close(joints[:, 0], truth[:, 0], atol=1e-4, rtol=0)
    turn = facing_angle(joints) - facing_angle(truth)
    assert (turn.cos() > 0.999).all()
    left, right = JOINT["left_ankle"], JOINT["right_ankle"]
    torch.testing.assert_close(joints[:, left, UP], truth[:, right, UP], atol=1e-4, rtol=0)


def test_late_ones_dance_what_was_danced_before():
    made_from = given()
    truth, shift = made_from.duet.follower.joints, round(DELAY * FPS)
    assert torch.equal(follow("late_half_second", made_from)[shift:], truth[:-shift])
    beat = round(BEAT_SECONDS * FPS)
    assert torch.equal(follow("late_beat", made_from)[beat:], truth[:-beat])
    assert speed(follow("late_half_beat"))[:, BODY].max() <= speed(truth)[:, BODY].max() + 1e-4


def test_music_without_beats_has_no_beat_to_be_late_by():
    silent = given(beats=torch.zeros(round(SECONDS * FPS), dtype=torch.bool))
    assert ATTACKS["late_beat"].follow(silent) is None


def test_the_stranger_needs_another_couple_and_stands_to_this_leader_as_to_her_own():
    assert ATTACKS["stranger"].follow(given()) is None
    other = stepping_couple(SECONDS, beat_seconds=1.0).turned(-1.0)
    joints = follow("stranger", given(other=other))
    apart = (joints[0, 0] - given().duet.leader.root[0]).norm()
    assert apart.item() == pytest.approx(DISTANCE, abs=0.02)
    torch.testing.assert_close(speed(joints), speed(other.follower.joints), atol=1e-3, rtol=0)


def test_the_ape_steps_as_the_leader_does_and_faces_him():
    leader, joints = given().duet.leader, follow("ape")
    torch.testing.assert_close(speed(joints), speed(leader.joints), atol=1e-3, rtol=0)
    assert (facing_angle(joints) - facing_angle(leader.joints)).cos().max() < -0.99
    assert (joints[0, 0] - leader.root[0]).norm().item() == pytest.approx(DISTANCE, abs=0.05)


def test_the_one_inside_overlaps_the_leader():
    leader = given().duet.leader.joints[None]
    assert capsule_penetration(follow("inside")[None], leader).min() > 0.1


def test_clinging_hands_are_at_the_leaders_hands_even_where_the_truth_lets_go():
    parted = parted_couple()
    near = hold_distances(follow("clinging", given(parted)), parted.leader.joints)
    assert (
        hold_distances(parted.follower.joints, parted.leader.joints).flatten(1).amin(-1).min()
        > 0.12
    )
    assert near[..., :2].flatten(1).amin(-1).max() < 0.12
