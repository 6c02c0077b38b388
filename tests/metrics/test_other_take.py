"""The other take's follower stands to this leader as it stood to its own."""

import pytest
import torch

from duet_rl.body.motion import Duet, Motion
from duet_rl.errors import InputError
from duet_rl.metrics.other_take import placed_to
from tests.couple import stepping_couple


def follower_joints(leader: Motion, other: Duet) -> torch.Tensor:
    """Return the joints, after making sure that the rotations make them."""
    placed = placed_to(leader, other)
    again = Motion.from_rotations(placed.root, placed.rotations, placed.skeleton, placed.fps)
    torch.testing.assert_close(placed.joints, again.joints, atol=1e-4, rtol=0)
    return placed.joints


def test_the_same_dance_elsewhere_and_turned_gives_the_true_follower():
    here = stepping_couple(2.0)
    there = here.turned(2.3).moved((3.0, 0.0, -1.0))
    joints = follower_joints(here.leader, Duet(there.leader, there.follower))
    torch.testing.assert_close(joints, here.follower.joints, atol=1e-4, rtol=0)


def test_what_the_other_take_has_more_is_left_out():
    here = stepping_couple(2.0)
    joints = follower_joints(here.leader, stepping_couple(3.0).turned(-1.0))
    torch.testing.assert_close(joints, here.follower.joints, atol=1e-4, rtol=0)


def test_the_floor_stays_the_floor():
    here, there = stepping_couple(2.0), stepping_couple(2.0)
    low = Duet(there.leader.moved((0.0, -0.3, 0.0)), there.follower)
    joints = follower_joints(here.leader, low)
    torch.testing.assert_close(joints[..., 1], there.follower.joints[..., 1])


def test_a_shorter_take_is_refused():
    with pytest.raises(InputError, match=r"30 frames .* the leader 60"):
        placed_to(stepping_couple(2.0).leader, stepping_couple(1.0))
