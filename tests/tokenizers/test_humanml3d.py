"""HumanML3D's features come back as joints, wherever a dancer begins and however far she turns."""

import math

import pytest
import torch
from torch import Tensor

from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.stage import stage
from duet_rl.errors import InputError
from duet_rl.mocap import humanml3d
from duet_rl.mocap.humanml3d import joints_of
from duet_rl.tokenizers.humanml3d import Quirks, canonical, features_of

FRAMES = 60
METRES = 1e-9  # in double precision
CURED = Quirks(swapped_hips=False)


@pytest.fixture
def standing() -> Tensor:
    return stage(FRAMES).joints[:, : humanml3d.JOINTS].double()


@pytest.fixture
def turning(standing: Tensor) -> Tensor:
    """A dancer who turns once around while stepping sideways."""
    turned = rotate_yaw(standing, torch.linspace(0, 2 * math.pi, FRAMES).double()[:, None])
    return canonical(turned + torch.linspace(0, 1, FRAMES).double()[:, None, None])


@pytest.mark.parametrize("quirks", [Quirks(), CURED])
def test_a_whole_turn_comes_back(turning, quirks):
    back = joints_of(features_of(turning, quirks))
    assert (back - turning[:-1]).abs().max() < METRES


def test_the_defect_loses_a_dancer_who_turns(turning):
    back = joints_of(features_of(turning, Quirks(swapped_hips=False, lost_turns=True)))
    assert (back - turning[:-1]).abs().max() > 0.1


def test_a_clip_on_the_floor_does_not_tell_where_it_was(standing):
    there = rotate_yaw(standing, torch.tensor(2.0).double()) + torch.tensor([3.0, 0.5, -1.0])
    assert (canonical(there) - canonical(standing)).abs().max() < METRES
    assert canonical(standing)[..., 1].min().abs() < METRES


def test_feet_that_stand_are_told_from_feet_that_walk(standing):
    moved = torch.arange(FRAMES)[:, None, None] * torch.tensor([0.05, 0.0, 0.0]).double()
    assert features_of(standing)[:, humanml3d.CONTACTS].all()
    assert not features_of(standing + moved)[:, humanml3d.CONTACTS].any()


def test_a_batch_is_its_clips(turning, standing):
    together = features_of(torch.stack([turning, canonical(standing)]))
    assert torch.equal(together[0], features_of(turning))
    assert torch.equal(joints_of(together)[1], joints_of(features_of(canonical(standing))))


def test_a_single_frame_is_refused(standing):
    with pytest.raises(InputError, match="1 frames are given"):
        features_of(standing[:1])
