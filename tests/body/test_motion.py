"""Motion and Duet: cutting, resampling, turning, mirroring, and what they refuse."""

import math

import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import wrap_angle
from duet_rl.body.skeleton import JOINT, UP, default_skeleton
from duet_rl.errors import InputError
from tests.body.couples import couple, dancer


def assert_follows_its_skeleton(motion: Motion) -> None:
    pose = forward_kinematics(motion.rotations, motion.root, motion.skeleton.offsets)
    torch.testing.assert_close(pose.joints, motion.joints, atol=1e-5, rtol=0)


def test_a_slice_keeps_its_frames():
    motion = dancer(frames=40)
    part = motion.slice(10, 20)
    assert part.frames == 10 and part.seconds == pytest.approx(1 / 3)
    assert torch.equal(part.joints, motion.joints[10:20])
    assert torch.equal(part.rotations, motion.rotations[10:20])


def test_mirroring_twice_changes_nothing():
    motion = dancer()
    twice = motion.mirrored().mirrored()
    assert torch.equal(twice.joints, motion.joints)
    assert torch.equal(twice.rotations, motion.rotations)
    assert torch.equal(twice.skeleton.offsets, motion.skeleton.offsets)


def test_a_mirrored_dancer_moves_the_other_hand_and_follows_the_skeleton():
    motion = dancer()
    mirrored = motion.mirrored()
    assert_follows_its_skeleton(mirrored)
    left, right = JOINT["left_wrist"], JOINT["right_wrist"]
    flip = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(mirrored.joints[:, left], motion.joints[:, right] * flip)
    torch.testing.assert_close(
        wrap_angle(facing_angle(mirrored.joints) + facing_angle(motion.joints)),
        torch.zeros(motion.frames),
        atol=1e-5,
        rtol=0,
    )


def test_a_mirrored_lopsided_skeleton_still_fits_its_joints():
    offsets = default_skeleton().offsets.clone()
    offsets[JOINT["left_wrist"]] *= 1.5
    rest = dancer()
    lopsided = Motion.from_rotations(rest.root, rest.rotations, type(rest.skeleton)(offsets))
    assert_follows_its_skeleton(lopsided.mirrored())


def test_turning_and_moving_keep_the_skeleton_and_the_floor():
    motion = dancer()
    changed = motion.turned(2.0, about=(1.0, 0.0, -3.0)).moved((0.5, 0.0, 2.0))
    assert_follows_its_skeleton(changed)
    torch.testing.assert_close(changed.joints[..., UP], motion.joints[..., UP])


def test_turning_by_a_whole_turn_changes_nothing():
    motion = dancer()
    torch.testing.assert_close(
        motion.turned(2 * math.pi, about=(1.0, 2.0, 3.0)).joints, motion.joints, atol=1e-5, rtol=0
    )


def test_halving_the_frame_rate_keeps_every_second_frame_exactly():
    motion = dancer(frames=41, fps=60)
    half = motion.resample(30)
    assert half.frames == 21 and half.fps == 30
    assert torch.equal(half.rotations, motion.rotations[::2])
    torch.testing.assert_close(half.joints, motion.joints[::2])


def test_resampling_up_and_down_again_returns_the_motion():
    motion = dancer(frames=40, fps=30)
    again = motion.resample(120).resample(30)
    assert again.frames == motion.frames
    torch.testing.assert_close(again.joints, motion.joints, atol=1e-5, rtol=0)


@pytest.mark.parametrize("fps", [24, 25, 29.97, 50])
def test_resampling_keeps_the_duration_and_the_path(fps):
    motion = dancer(frames=91, fps=30)
    other = motion.resample(fps)
    assert 0 <= (90 / 30) - (other.frames - 1) / fps < 1 / fps
    time = torch.arange(other.frames) / fps
    torch.testing.assert_close(other.root[:, 0], time, atol=1e-4, rtol=0)  # walks at 1 m/s
    assert_follows_its_skeleton(other)


def test_resampling_a_single_frame_gives_that_frame():
    motion = dancer(frames=1)
    torch.testing.assert_close(motion.resample(60).joints, motion.joints)


def test_changes_leave_the_motion_as_it_was():
    motion = dancer()
    joints, rotations = motion.joints.clone(), motion.rotations.clone()
    motion.turned(1.0), motion.moved((1, 1, 1)), motion.mirrored(), motion.resample(24)
    assert torch.equal(motion.joints, joints) and torch.equal(motion.rotations, rotations)


def test_a_couple_turns_and_mirrors_as_one():
    duet = couple()
    for changed in (
        duet.turned(1.1, about=(3.0, 0.0, 0.0)).moved((1.0, 0.0, 2.0)),
        duet.mirrored(),
    ):
        before = (duet.follower.root - duet.leader.root).norm(dim=-1)
        after = (changed.follower.root - changed.leader.root).norm(dim=-1)
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert duet.swapped().leader is duet.follower


def test_a_couple_is_cut_and_resampled_together():
    duet = couple(frames=40).slice(4, 24).resample(15)
    assert duet.frames == duet.follower.frames == 10 and duet.fps == 15
    assert duet.seconds == pytest.approx(10 / 15)


def test_two_dancers_of_different_length_are_refused():
    with pytest.raises(InputError, match="40 frames and the follower 39; cut both"):
        Duet(dancer(40), dancer(39))


def test_two_dancers_at_different_rates_are_refused():
    with pytest.raises(InputError, match="30 frames per second and the follower 60; resample"):
        Duet(dancer(40), dancer(40, fps=60))


def test_nan_is_refused_with_the_frame_that_has_it():
    motion = dancer()
    joints = motion.joints.clone()
    joints[7, 3, 1] = float("nan")
    with pytest.raises(InputError, match="joints hold NaN or infinity, first in frame 7"):
        Motion(joints, motion.rotations, motion.skeleton)


@pytest.mark.parametrize(
    ("joints", "rotations"), [((40, 24, 3), (40, 55, 3, 3)), ((40, 55, 3), (39, 55, 3, 3))]
)
def test_shapes_that_do_not_fit_are_refused(joints, rotations, as_users_run):
    with pytest.raises(InputError, match="of shape"):
        Motion(torch.zeros(joints), torch.zeros(rotations), default_skeleton())


@pytest.mark.parametrize("fps", [0.0, -30.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_no_rate_is_refused(fps):
    motion = dancer(4)
    with pytest.raises(InputError, match="frames per second"):
        Motion(motion.joints, motion.rotations, motion.skeleton, fps)
    with pytest.raises(InputError, match="frames per second"):
        motion.resample(fps)


def test_a_motion_without_frames_is_refused():
    with pytest.raises(InputError, match="0 frames"):
        dancer(4).slice(2, 2)
