"""Codes of one body: poses say what they show, wherever they stand, and however tall."""

import pytest
import torch
from torch.nn.functional import one_hot

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT, Skeleton
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import (
    BODY_CODES,
    CATALOGUES,
    PGR2M392,
    PGR2M392_UNFLIPPED,
    Catalogue,
)
from duet_rl.posecodes.operators import angle_between
from duet_rl.posecodes.points import BODY_JOINTS, POINT, body_points, body_size
from tests.posecodes.poses import SKELETON, differing, posed, wild, words

ROUNDING = 1e-3  # share of codes whose values lie so near a threshold that rounding decides
BODIES = {name: c for name, c in CATALOGUES.items() if not c.of_couple}
of_each_body = pytest.mark.parametrize("catalogue", BODIES.values(), ids=BODIES)


def test_a_t_pose_is_read() -> None:
    assert words(posed()) >= {
        *("left elbow at over 170 degrees", "right elbow at over 170 degrees"),
        *("left upper arm horizontal", "right forearm horizontal", "trunk vertical"),
        *("left hand level with left shoulder", "left hand above left hip"),
        *("left hand left of left shoulder", "right hand right of right shoulder"),
        *("left hand at over 0.9 m from right hand", "left thigh vertical", "right calf vertical"),
        *("left foot on the ground", "right foot on the ground", "left knee off the ground"),
        *("left hip above left knee", "left ankle below neck"),
    }


def test_a_raised_arm_is_read() -> None:
    raised = words(posed(left_arm=(0.0, 0.514, 0.0)))
    assert raised >= {"left hand above head", "left hand above right hand"}
    assert raised >= {"left upper arm vertical", "left wrist above neck", "left forearm vertical"}


def test_hands_before_and_behind_the_body_are_read() -> None:
    pose = words(posed(left_arm=(0.0, -0.2, 0.4), right_arm=(0.0, -0.25, -0.4)))
    assert pose >= {"left hand in front of torso", "right hand behind torso"}
    assert "left hand in front of right hand" in pose


def test_crossed_arms_are_read() -> None:
    pose = words(posed(left_arm=(-0.45, 0.0, 0.15), right_arm=(0.4, 0.0, 0.25)))
    assert "left hand right of right hand" in pose


def test_a_bent_elbow_is_read_in_degrees_and_in_plain_words() -> None:
    upper, fore = 0.27, 0.245  # m, the bones of `default_skeleton`
    joints = posed(left_arm=(0.0, -((upper**2 + fore**2) ** 0.5), 0.0))  # a right angle between
    group = BODY_CODES.code("left elbow at 80 to 90 degrees").group
    assert BODY_CODES.values(joints)[0, group] == pytest.approx(90, abs=0.01)
    category = int(BODY_CODES.codes(joints)[0, group])
    assert BODY_CODES.plain_names[BODY_CODES.offsets[group] + category] == (
        "left elbow bent at a right angle"
    )


def test_a_lifted_knee_is_read() -> None:
    pose = words(posed(right_leg=(0.0, -0.35, 0.4)))
    assert pose >= {"left foot on the ground", "right foot off the ground"}
    assert "left knee below right knee" in words(posed(right_leg=(0.0, -0.3, 0.15)))


def test_turning_and_moving_a_dancer_leaves_the_codes_alone() -> None:
    motion = wild()
    codes = BODY_CODES.codes(motion.joints)
    elsewhere = motion.turned(2.3, about=(1.0, 0.0, 0.5)).moved((30.0, 0.7, -20.0))
    assert differing(codes, BODY_CODES.codes(elsewhere.joints)) < ROUNDING


def test_the_published_codes_change_as_a_dancer_turns() -> None:
    joints = wild().joints
    turned = wild().turned(2.3).joints
    apart = PGR2M392.codes(joints) != PGR2M392.codes(turned)
    sides = [row.operator in ("left", "forward") for row in PGR2M392.rows]
    assert apart[..., torch.tensor(sides)].float().mean() > 0.3
    assert apart[..., ~torch.tensor(sides)].float().mean() < ROUNDING


@pytest.mark.parametrize("joints_given", [22, 55])
def test_a_taller_dancer_has_the_same_codes(joints_given: int) -> None:
    joints = wild().joints[:, :joints_given]
    codes = BODY_CODES.codes(joints)
    assert differing(codes, BODY_CODES.codes(1.3 * joints)) < ROUNDING
    assert differing(codes, BODY_CODES.codes(0.6 * joints)) < ROUNDING
    assert differing(PGR2M392.codes(joints), PGR2M392.codes(1.3 * joints)) > 0.1


def test_a_body_is_as_large_as_its_hips_are_high_in_any_pose() -> None:
    taller = Skeleton(1.2 * SKELETON.offsets)
    motion = wild()
    sizes = body_size(Motion.from_rotations(motion.root, motion.rotations, taller).joints)
    torch.testing.assert_close(sizes, sizes[:1].expand_as(sizes))
    assert float(sizes[0]) == pytest.approx(1.2 * SKELETON.hip_height / 0.92, rel=0.03)


@of_each_body
def test_a_mirror_swaps_left_and_right(catalogue: Catalogue) -> None:
    motion = wild()
    codes, mirrored = catalogue.codes(motion.joints), catalogue.codes(motion.mirrored().joints)
    assert differing(catalogue.mirrored(codes), mirrored) < ROUNDING
    assert differing(codes, mirrored) > 0.1
    assert torch.equal(catalogue.mirrored(catalogue.mirrored(codes)), codes)


def test_the_mirror_of_a_raised_left_arm_is_a_raised_right_arm() -> None:
    codes = BODY_CODES.mirrored(BODY_CODES.codes(posed(left_arm=(0.0, 0.514, 0.0))))
    assert {"right hand above head", "left hand below right hand"} <= set(BODY_CODES.read(codes[0]))


def test_flipped_codes_are_told_as_they_are_and_not_as_they_are_numbered() -> None:
    joints = posed(left_arm=(0.0, -0.2, 0.4))
    flipped, unflipped = PGR2M392.codes(joints), PGR2M392_UNFLIPPED.codes(joints)
    group = PGR2M392.code("left hand in front of torso").group
    assert (int(flipped[0, group]), int(unflipped[0, group])) == (0, 2)
    assert PGR2M392.read(flipped[0]) == PGR2M392_UNFLIPPED.read(unflipped[0])


def test_a_folded_knee_is_folded_where_the_published_cosine_is_rounded_beyond_one() -> None:
    generator = torch.Generator().manual_seed(0)
    joints = posed().repeat(1000, 1, 1)
    thighs = 0.4 * torch.randn(1000, 3, generator=generator)
    joints[:, JOINT["left_knee"]] = joints[:, JOINT["left_hip"]] + thighs
    joints[:, JOINT["left_ankle"]] = joints[:, JOINT["left_hip"]] + 0.1 * thighs
    folded, straight = (
        BODY_CODES.code(f"left knee at {told} degrees") for told in ("up to 10", "over 170")
    )
    published = PGR2M392.codes(joints)[:, folded.group]
    assert (published == straight.category).any()
    assert (BODY_CODES.codes(joints)[:, folded.group] == folded.category).all()


def test_lines_without_a_direction_say_nothing() -> None:
    nowhere, up = torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 0.0]])
    assert float(angle_between(nowhere, up)) == 90
    joints = posed()
    joints[:, JOINT["right_foot"]] = joints[:, JOINT["left_foot"]]
    assert "line between the feet slanted" in words(joints)


def test_a_frame_has_the_same_codes_in_any_cut_and_any_batch() -> None:
    joints = wild(40).joints
    whole = BODY_CODES.codes(joints)
    assert torch.equal(BODY_CODES.codes(joints[17:23]), whole[17:23])
    stacked = joints.unflatten(0, (2, 2, 10))
    assert torch.equal(BODY_CODES.codes(stacked).flatten(0, 2), whole)


def test_hands_are_where_the_knuckles_are_and_else_beyond_the_forearm() -> None:
    joints = posed()
    knuckle = joints[0, JOINT["left_middle1"]]
    wrist = joints[0, JOINT["left_wrist"]]
    known, guessed = (body_points(x)[0, POINT["left_hand"]] for x in (joints, joints[:, :22]))
    size = float(body_size(joints)[0])
    pelvis = joints[0, 0]
    torch.testing.assert_close(known, ((knuckle + wrist) / 2 - pelvis) / size)
    along = (joints[0, JOINT["left_wrist"]] - joints[0, JOINT["left_elbow"]]) / 0.245
    reached = (wrist - pelvis) / size + 0.1367 / 2 * along
    torch.testing.assert_close(guessed, reached, atol=1e-4, rtol=0)


def test_measuring_writes_nothing() -> None:
    joints = wild(5).joints
    before = joints.clone()
    for catalogue in BODIES.values():
        catalogue.codes(joints)
    assert torch.equal(joints, before)


@of_each_body
def test_bits_and_codes_are_the_same(catalogue: Catalogue) -> None:
    codes = catalogue.codes(wild(20).joints)
    bits = catalogue.k_hot(codes)
    parts = zip(codes.unbind(-1), catalogue.classes, strict=True)
    assert torch.equal(bits, torch.cat([one_hot(c, n) for c, n in parts], -1).bool())
    assert torch.equal(catalogue.from_k_hot(bits), codes)


def test_bits_that_are_no_codes_are_refused() -> None:
    bits = BODY_CODES.k_hot(BODY_CODES.codes(wild(2).joints))
    with pytest.raises(InputError, match="397 bits, wanted the 398"):
        BODY_CODES.from_k_hot(bits[:, :-1])
    bits[1, 0] = bits[1, 1] = True
    with pytest.raises(InputError, match="angle-left_hip-left_knee-left_ankle wants one bit"):
        BODY_CODES.from_k_hot(bits)


def test_a_clip_is_blurred_as_one() -> None:
    generator = torch.Generator().manual_seed(0)
    joints = posed().repeat(8, 30, 1, 1)
    jitter = BODY_CODES.draw_jitter(8, generator)
    blurred = BODY_CODES.codes(joints, jitter=jitter)
    assert (blurred == blurred[:, :1]).all()  # nothing flickers
    assert (blurred != BODY_CODES.codes(joints)).any()
    widest = torch.tensor([row.scale.jitter for row in BODY_CODES.rows])
    assert (jitter.abs() <= widest).all()


@pytest.mark.parametrize(
    ("joints", "complaint"),
    [
        (torch.zeros(4, 24, 3), "24 joints; wanted 22"),
        (torch.zeros(0, 55, 3), "0 frames"),
        (torch.full((4, BODY_JOINTS, 3), torch.nan), "NaN"),
    ],
)
def test_joints_that_cannot_be_read_are_refused(joints: torch.Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        BODY_CODES.codes(joints)
