"""The followers that learn nothing: the mirror image, and the memory."""

import math

import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import JOINT
from duet_rl.errors import InputError
from duet_rl.metrics.baselines import mirror_leader, typical_distance
from duet_rl.metrics.retrieval import RetrievalFollower
from tests.couple import DISTANCE, stepping_couple


def travelling_couple(seconds: float, speed: float, turn: float) -> Duet:
    """Return a couple that walks forward at `speed` m/s after turning to the yaw `turn`."""
    couple = stepping_couple(seconds)
    drift = torch.arange(couple.frames) * speed / couple.fps

    def walk(motion: Motion) -> Motion:
        root = motion.root + torch.stack([drift * 0, drift * 0, drift], dim=-1)
        return Motion.from_rotations(root, motion.rotations, motion.skeleton, motion.fps)

    return Duet(walk(couple.leader), walk(couple.follower)).turned(turn)


def assert_same_motion(motion: Motion, wanted: Motion, atol: float) -> None:
    torch.testing.assert_close(motion.joints, wanted.joints, atol=atol, rtol=0)


def test_the_typical_distance_is_that_of_the_couples():
    assert typical_distance([stepping_couple(2.0)]) == pytest.approx(DISTANCE)


def test_the_mirror_image_faces_the_leader_at_the_distance():
    leader = travelling_couple(4.0, speed=0.5, turn=1.0).leader
    image = mirror_leader(leader, DISTANCE)
    between = (image.root - leader.root)[:, [0, 2]]
    assert between.norm(dim=-1).mean().item() == pytest.approx(DISTANCE, abs=0.05)
    opposite = facing_angle(image.joints) - facing_angle(leader.joints)
    assert (opposite.cos() < -0.99).all()


def test_the_mirror_image_raises_the_hand_that_is_across():
    couple = stepping_couple(2.0)
    leader = couple.leader
    raised = leader.rotations.clone()
    angle = torch.tensor(-1.0)
    raised[:, JOINT["left_shoulder"]] = torch.tensor(
        [[angle.cos(), 0.0, angle.sin()], [0.0, 1.0, 0.0], [-angle.sin(), 0.0, angle.cos()]]
    )
    leader = Motion.from_rotations(leader.root, raised, leader.skeleton, leader.fps)
    image = mirror_leader(leader, DISTANCE)
    across = leader.joints[:, JOINT["left_wrist"]] * torch.tensor([1.0, 1.0, -1.0])
    across = across + torch.tensor([0.0, 0.0, DISTANCE])
    torch.testing.assert_close(image.joints[:, JOINT["right_wrist"]], across, atol=0.02, rtol=0)


def test_the_mirror_image_of_a_turned_leader_is_the_turned_mirror_image():
    leader = travelling_couple(3.0, speed=0.4, turn=0.3).leader
    wanted = mirror_leader(leader, DISTANCE).turned(2.0).moved((1.0, 0.0, 2.0))
    image = mirror_leader(leader.turned(2.0).moved((1.0, 0.0, 2.0)), DISTANCE)
    assert_same_motion(image, wanted, atol=1e-4)


def test_the_mirror_image_is_a_body():
    image = mirror_leader(travelling_couple(2.0, speed=0.5, turn=1.0).leader, DISTANCE)
    pose = forward_kinematics(image.rotations, image.root, image.skeleton.offsets)
    torch.testing.assert_close(pose.joints, image.joints, atol=1e-4, rtol=0)


def test_memory_gives_back_a_dance_that_it_knows_wherever_it_is_danced():
    library = [travelling_couple(6.0, speed, turn=0.0) for speed in (0.0, 0.5, 1.0)]
    memory = RetrievalFollower(library)
    asked = library[1].turned(1.2).moved((2.0, 0.0, -1.0))
    assert_same_motion(memory.follow(asked.leader), asked.follower, atol=0.02)


def test_memory_picks_the_dance_that_is_most_alike():
    library = [travelling_couple(6.0, speed, turn=0.0) for speed in (-1.0, 1.0)]
    asked = travelling_couple(4.0, speed=0.9, turn=math.pi / 2)
    follower = RetrievalFollower(library).follow(asked.leader)
    assert follower.frames == asked.frames
    assert (follower.root - asked.follower.root).norm(dim=-1).max() < 0.15


@pytest.mark.parametrize("frames", [30, 31, 45, 101])
def test_memory_follows_a_leader_of_any_length(frames: int):
    memory = RetrievalFollower([stepping_couple(6.0)])
    asked = stepping_couple(5.0).slice(7, 7 + frames)
    follower = memory.follow(asked.leader)
    assert follower.frames == frames
    torch.testing.assert_close(follower.root, asked.follower.root, atol=0.1, rtol=0)


def test_memory_refuses_what_it_cannot_use():
    memory = RetrievalFollower([stepping_couple(4.0)])
    with pytest.raises(InputError, match="12 frames"):
        memory.follow(stepping_couple(4.0).leader.slice(0, 12))
    with pytest.raises(InputError, match="60 fps"):
        memory.follow(stepping_couple(4.0, fps=60).leader)
    with pytest.raises(InputError, match="longest duet"):
        RetrievalFollower([stepping_couple(1.0)])
    with pytest.raises(InputError, match="library of 0 duets"):
        RetrievalFollower([])
