"""BVH: out and in again, what other programs will find in it, and damaged files."""

import math

import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix, wrap_angle
from duet_rl.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import bvh_to_motion, read_bvh, write_bvh
from duet_rl.mocap.motion_file import read_motion
from tests.body.couples import dancer
from tests.mocap.cmu import cmu_text


def wild(frames: int = 30) -> Motion:
    """A dancer with rotations of every size, half turns and gimbal poles among them."""
    generator = torch.Generator().manual_seed(5)
    motion = dancer(frames)
    vectors = 2.0 * torch.randn(frames, NUM_JOINTS, 3, generator=generator)
    vectors[0] = torch.tensor([math.pi / 2, 0.0, 0.0])
    vectors[1] = torch.tensor([0.0, math.pi, 0.0])
    rotations = axis_angle_to_matrix(vectors)
    return Motion.from_rotations(motion.root, rotations, motion.skeleton, motion.fps)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_motion_comes_back_from_bvh_within_a_tenth_of_a_millimetre(tmp_path, scale):
    for motion in (dancer(fps=60), wild()):
        write_bvh(tmp_path / "take.bvh", motion, scale=scale)
        again = read_motion(tmp_path / "take.bvh", scale=scale, rate=None).motion
        assert again.fps == motion.fps and again.frames == motion.frames
        assert (again.joints - motion.joints).abs().max() < 1e-4
        assert (again.rotations - motion.rotations).abs().max() < 1e-4
        assert (again.skeleton.offsets - motion.skeleton.offsets).abs().max() < 1e-4


@pytest.mark.parametrize("yaw", [math.pi, -math.pi / 2, 3.0])
def test_a_dancer_who_faces_away_still_does_after_bvh(tmp_path, yaw):
    motion = dancer(yaw=yaw)
    write_bvh(tmp_path / "away.bvh", motion)
    again = read_motion(tmp_path / "away.bvh").motion
    turned = wrap_angle(facing_angle(again.joints) - facing_angle(motion.joints))
    assert turned.abs().max() < 1e-4
    left = JOINT["left_wrist"]
    torch.testing.assert_close(again.joints[:, left], motion.joints[:, left], atol=1e-4, rtol=0)


def test_what_we_write_is_plain_bvh(tmp_path):
    write_bvh(tmp_path / "take.bvh", dancer(frames=7), scale=0.01)
    words = (tmp_path / "take.bvh").read_text().split()
    assert words[:3] == ["HIERARCHY", "ROOT", "pelvis"]
    assert words.count("ROOT") == 1 and words.count("JOINT") == NUM_JOINTS - 1
    assert words.count("{") == words.count("}") == NUM_JOINTS + words.count("End")
    assert words.count("End") == 15, "toes, jaw, eyes and fingertips end"
    assert words.count("CHANNELS") == NUM_JOINTS
    motion = words[words.index("MOTION") :]
    assert motion[:3] == ["MOTION", "Frames:", "7"]
    assert len(motion) - 6 == 7 * (6 + 3 * (NUM_JOINTS - 1))
    assert float(motion[6 + 1]) == pytest.approx(93.0), "the pelvis is 93 cm up"


def test_angles_that_we_write_do_not_jump_by_a_whole_turn(tmp_path):
    spin = dancer(frames=60)
    turns = torch.linspace(0, 4 * math.pi, 60)
    joined = [spin.slice(k, k + 1).turned(float(turns[k])) for k in range(60)]
    motion = Motion(
        torch.cat([m.joints for m in joined]),
        torch.cat([m.rotations for m in joined]),
        spin.skeleton,
    )
    write_bvh(tmp_path / "spin.bvh", motion)
    rows = (tmp_path / "spin.bvh").read_text().partition("Frame Time:")[2].splitlines()[1:]
    angles = torch.tensor([[float(word) for word in row.split()[3:6]] for row in rows])
    assert angles.diff(dim=0).abs().max() < 60


def test_a_limb_that_passes_the_pole_does_not_whirl_round(tmp_path):
    kick = dancer(frames=60)
    rotations = kick.rotations.clone()
    vectors = torch.zeros(60, 3)
    vectors[:, 0] = torch.linspace(-0.5, -2.6, 60)  # a leg thrown up, past a quarter turn
    vectors[:, 1] = 0.3
    rotations[:, JOINT["left_hip"]] = axis_angle_to_matrix(vectors)
    motion = Motion.from_rotations(kick.root, rotations, kick.skeleton)
    write_bvh(tmp_path / "kick.bvh", motion)
    again = bvh_to_motion(read_bvh(tmp_path / "kick.bvh"))
    torch.testing.assert_close(again.joints, motion.joints, atol=1e-4, rtol=0)
    rows = (tmp_path / "kick.bvh").read_text().partition("Frame Time:")[2].splitlines()[1:]
    angles = torch.tensor([[float(word) for word in row.split()[3:]] for row in rows])
    assert angles.diff(dim=0).abs().max() < 60


@pytest.mark.parametrize(
    ("written", "fps"),
    [
        *(("0.0083333", 120), ("0.008342", 119.88), ("0.00834168", 119.88), ("0.0083", 120)),
        *(("0.0333333", 30), ("0.033367", 29.97), ("0.0334", 29.97), ("0.033", 30)),
        *(("0.016683", 59.94), ("0.0167", 60), ("0.0166", 60), ("0.017", 60), ("1e-2", 100)),
        *(("0.04", 25), ("0.04170838", 23.976), ("0.0666667", 15), ("0.008", 125), ("0.0325", 1)),
    ],
)
def test_a_rounded_frame_time_means_the_rate_that_it_is_a_rounding_of(tmp_path, written, fps):
    text = GOOD.replace("0.008333", written)
    (tmp_path / "take.bvh").write_text(text)
    wanted = fps if fps > 1 else 1 / 0.0325  # no rate that anybody captures at: as it is written
    assert read_bvh(tmp_path / "take.bvh").fps == pytest.approx(wanted, abs=1e-9)


def test_joints_may_have_names_of_several_words(tmp_path):
    text = GOOD.replace("JOINT chest", "JOINT Bip01 the chest").replace("lShin", "LOCO_MOTION")
    (tmp_path / "take.bvh").write_text(text.replace("Xrotation", "XRotation"))
    taken = read_bvh(tmp_path / "take.bvh")
    assert {"Bip01 the chest", "LOCO_MOTION"} <= set(taken.names)
    (tmp_path / "plain.bvh").write_text(GOOD)
    assert torch.equal(taken.rotations, read_bvh(tmp_path / "plain.bvh").rotations)


def test_the_header_may_be_overruled(tmp_path):
    (tmp_path / "take.bvh").write_text(cmu_text())
    honest = read_bvh(tmp_path / "take.bvh")
    told = read_bvh(tmp_path / "take.bvh", fps=60, scale=1.5)
    assert honest.fps == 120 and told.fps == 60
    torch.testing.assert_close(told.root, honest.root * 1.5)
    torch.testing.assert_close(told.offsets, honest.offsets * 1.5)


def test_channels_are_read_in_the_order_that_the_file_states(tmp_path):
    (tmp_path / "two.bvh").write_text(
        "HIERARCHY ROOT a { OFFSET 9 9 9 CHANNELS 6 Zrotation Xrotation Yrotation Zposition "
        "Xposition Yposition JOINT b { OFFSET 0 1 0 CHANNELS 3 Yrotation Xrotation Zrotation "
        "End Site { OFFSET 0 1 0 } } } MOTION Frames: 1 Frame Time: 0.0333333 "
        "90 0 0 3 1 2 0 90 0"
    )
    bvh = read_bvh(tmp_path / "two.bvh")
    joints, turned = bvh.pose()
    torch.testing.assert_close(joints[0], torch.tensor([[1.0, 2, 3], [0, 2, 3]]))
    tip = joints[0, 1] + turned[0, 1] @ bvh.end_sites["b"]  # +Y: about x to +Z, kept by z
    torch.testing.assert_close(tip, torch.tensor([0.0, 2, 4]), atol=1e-6, rtol=0)
    assert bvh.fps == 30 and bvh.parents == (-1, 0)


def test_joints_that_hang_elsewhere_are_refused(tmp_path):
    write_bvh(tmp_path / "take.bvh", dancer(frames=2))
    text = (tmp_path / "take.bvh").read_text()
    swapped = text.replace("JOINT left_knee", "JOINT x").replace(
        "JOINT left_ankle", "JOINT left_knee"
    )
    (tmp_path / "take.bvh").write_text(swapped.replace("JOINT x", "JOINT left_ankle"))
    with pytest.raises(InputError, match="hangs from"):
        bvh_to_motion(read_bvh(tmp_path / "take.bvh"))


GOOD = cmu_text(frames=4)
DAMAGED = {
    "cut in the motion": (GOOD[: int(len(GOOD) * 0.9)], "promises 4 frames of 132 numbers"),
    "cut in the hierarchy": (GOOD[:900], "no MOTION section"),
    "cut between frames": ("\n".join(GOOD.splitlines()[:-1]), "found 3.0 frames"),
    "braces": (GOOD.replace("}\nMOTION", "\nMOTION"), "braces do not close"),
    "nan": (GOOD.replace("0.660000", "nan"), "NaN or infinity in frame 0"),
    "a word": (GOOD.replace("0.660000", "0.66x"), "'0.66x' among the numbers"),
    "frame count": (GOOD.replace("Frames: 4", "Frames: four"), "Frames: <count>"),
    "frame count of no digits": (GOOD.replace("Frames: 4", "Frames: \u00b2"), "Frames: <count>"),
    "no frames": (GOOD.replace("Frames: 4", "Frames: 0"), "promises 0 frames"),
    "frame time": (GOOD.replace("0.008333", "0"), "frame time of 0.0"),
    "offset": (GOOD.replace("OFFSET 0.0 0.162", "OFFSET 0.0 y"), "'y' where a number"),
    "channels": (
        GOOD.replace("Zrotation Xrotation Yrotation", "Zrotation Xrotation", 1),
        "in the hierarchy",
    ),
    "channel names": (GOOD.replace("Xrotation", "Xscale"), "channels"),
    "same name": (GOOD.replace("rShin", "lShin"), "lShin appears twice"),
    "two roots": (GOOD.replace("JOINT abdomen", "ROOT abdomen"), "one ROOT"),
    "a joint on an end site": (
        GOOD.replace("End Site lToe", "End Site").replace("OFFSET 0.01 0 0", "JOINT x { }"),
        "JOINT inside an end site",
    ),
    "no brace": (GOOD.replace("JOINT chest\n", "JOINT the chest }\n"), "no brace after JOINT the"),
    "another format": ("# Blender v4\no Cube", "begin with HIERARCHY"),
    "empty": ("", "begin with HIERARCHY"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_gives_one_line_that_names_it(tmp_path, case):
    text, message = DAMAGED[case]
    (tmp_path / "bad.bvh").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_bvh(tmp_path / "bad.bvh")
    assert "bad.bvh" in str(caught.value) and "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "bad.bvh").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(InputError, match="HIERARCHY"):
        read_bvh(tmp_path / "bad.bvh")


def two_joints(place: str) -> str:
    """A root and a joint one unit above it, whose position channels say `place` in two frames."""
    return (
        "HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 3 Zrotation Xrotation Yrotation JOINT b { OFFSET "
        "0 1 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation } } MOTION "
        f"Frames: 2 Frame Time: 0.04 {place}"
    )


@pytest.mark.parametrize(
    ("first", "second", "heights"),
    [
        ("0 1 0", "0 1 0", [1.0, 1.0]),  # the offset again
        ("0 0 0", "0 0 0", [1.0, 1.0]),  # what is added to it
        ("0 1.2 0", "0 1.2 0", [1.2, 1.2]),  # another bone
        ("0 1.2 0", "0 0.9 0", [1.2, 0.9]),  # a bone that stretches
        ("0 0.2 0", "0 -0.1 0", [1.2, 0.9]),  # the same, added
    ],
)
def test_position_channels_of_a_joint_say_where_it_is(tmp_path, first, second, heights):
    rows = " ".join(f"90 0 0 {place} 0 0 0" for place in (first, second))
    (tmp_path / "two.bvh").write_text(two_joints(rows))
    joints, _ = read_bvh(tmp_path / "two.bvh").pose()
    expected = torch.tensor([[-height, 0.0, 0.0] for height in heights])  # turned about z
    torch.testing.assert_close(joints[:, 1], expected)


def test_of_several_persons_one_is_chosen(tmp_path):
    person = (
        "ROOT {} {{ OFFSET 0 0 0 CHANNELS 3 Xposition Yposition Zposition JOINT top {{ OFFSET 0 1 "
        "0 CHANNELS 1 Zrotation End Site {{ OFFSET 0 1 0 }} }} }} "
    )
    text = "HIERARCHY " + person.format("ann") + person.format("bob")
    text += "MOTION Frames: 1 Frame Time: 0.04 1 2 3 0 4 5 6 90"
    (tmp_path / "two.bvh").write_text(text)
    roots = {who: read_bvh(tmp_path / "two.bvh", person=who) for who in (None, 1, "ann", 2, "bob")}
    assert [roots[who].root[0, 0] for who in roots] == [1, 1, 1, 4, 4]
    torch.testing.assert_close(roots[2].rotations[0, 1, :2, 0], torch.tensor([0.0, 1.0]))
    with pytest.raises(InputError, match="no person 3; it has 2: ann, bob"):
        read_bvh(tmp_path / "two.bvh", person=3)


@pytest.mark.parametrize("setting", [{"fps": 0.0}, {"fps": -60.0}, {"scale": 0.0}])
def test_a_rate_or_scale_that_is_none_is_refused(tmp_path, setting):
    (tmp_path / "take.bvh").write_text(GOOD)
    with pytest.raises(InputError, match="wanted a number above 0"):
        read_bvh(tmp_path / "take.bvh", **setting)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_bvh(tmp_path / "none.bvh")


def test_names_of_the_written_joints_are_ours(tmp_path):
    write_bvh(tmp_path / "take.bvh", dancer(frames=1))
    assert sorted(read_bvh(tmp_path / "take.bvh").names) == sorted(JOINT_NAMES)
