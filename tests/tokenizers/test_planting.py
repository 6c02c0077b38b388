"""Planting: feet that stand do not slide, and nothing else changes."""

import pytest
import torch

from duet_rl.body.kinematics import Posed, forward_kinematics
from duet_rl.body.skeleton import PARENTS, default_skeleton
from duet_rl.metrics.feet import slide_speed
from duet_rl.tokenizers.planting import PlantingConfig, plant_feet
from tests.couple import FPS, stepping_couple

CONFIG = PlantingConfig()
OFFSETS = default_skeleton().offsets


@pytest.fixture(scope="module")
def dancer():
    """The follower of the stepping couple: feet that stand do not slide."""
    motion = stepping_couple(4.0).follower
    pose = forward_kinematics(motion.rotations, motion.joints[:, 0], OFFSETS)
    return Posed(*(x[None] for x in (motion.rotations, *pose)))


def travel_of(posed: Posed) -> torch.Tensor:
    root = posed.joints[:, :, 0]
    return torch.diff(root, dim=1, prepend=root[:, :1]) * FPS


def swaying(posed: Posed, metres: float = 0.15, seconds: float = 1.0) -> Posed:
    """Return the dancer carried to and fro along z, as by a placement of its own."""
    time = torch.arange(posed.joints.shape[1]) / FPS
    sway = metres * torch.sin(2 * torch.pi * time / seconds)
    carried = torch.stack([sway * 0, sway * 0, sway], dim=-1)[None, :, None]
    return posed._replace(joints=posed.joints + carried)


@pytest.mark.parametrize(("causal", "left"), [(False, 0.25), (True, 0.4)])
def test_feet_that_stand_stop_sliding(dancer, causal, left):
    slid = swaying(dancer)
    planted = plant_feet(slid, travel_of(dancer), OFFSETS, FPS, CONFIG, causal)
    before, after = (float(slide_speed(x.joints, FPS)) for x in (slid, planted))
    assert before > 0.3
    assert after < left * before


def test_pieces_of_a_dance_are_planted_as_the_whole(dancer):
    slid, travel, cache = swaying(dancer), travel_of(dancer), {}
    whole = plant_feet(slid, travel, OFFSETS, FPS, CONFIG, causal=True)
    pieces = []
    for frames in torch.arange(slid.joints.shape[1]).split(4):
        piece = Posed(*(values[:, frames] for values in slid))
        planted = plant_feet(piece, travel[:, frames], OFFSETS, FPS, CONFIG, True, cache)
        pieces.append(planted.joints)
    assert (whole.joints - slid.joints).abs().max() > 0.05
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole.joints, atol=1e-4, rtol=0)


def test_a_dancer_who_does_not_slide_is_left_alone(dancer):
    planted = plant_feet(dancer, travel_of(dancer), OFFSETS, FPS, CONFIG)
    assert (planted.joints - dancer.joints).norm(dim=-1).mean() < 0.02


def test_feet_in_the_air_hold_nothing(dancer):
    jump = swaying(dancer)
    jump = jump._replace(joints=jump.joints + torch.tensor([0.0, 0.5, 0.0]))
    planted = plant_feet(jump, travel_of(dancer), OFFSETS, FPS, CONFIG)
    torch.testing.assert_close(planted.joints, jump.joints, atol=1e-3, rtol=0)


def test_the_body_finds_back_to_where_it_is_placed(dancer):
    """Feet that are carried steadily are held for a while, and no longer."""
    frames = torch.arange(dancer.joints.shape[1])
    carried = torch.stack([frames * 0, frames * 0, 0.3 * frames / FPS], dim=-1)[None, :, None]
    slid = dancer._replace(joints=dancer.joints + carried)
    planted = plant_feet(slid, travel_of(dancer), OFFSETS, FPS, CONFIG)
    apart = (planted.joints - slid.joints)[0, :, 0, 2]
    assert 0.02 < float(apart.abs().max()) < 0.3 * 2 * CONFIG.root_seconds


def test_bones_heights_and_the_upper_body_stay(dancer):
    planted = plant_feet(swaying(dancer), travel_of(dancer), OFFSETS, FPS, CONFIG)
    bones = (planted.joints[:, :, 1:] - planted.joints[:, :, list(PARENTS[1:])]).norm(dim=-1)
    torch.testing.assert_close(bones, OFFSETS[1:].norm(dim=-1).expand_as(bones), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        planted.joints[:, :, 0, 1], dancer.joints[:, :, 0, 1], atol=1e-5, rtol=0
    )
    again = forward_kinematics(planted.rotations, planted.joints[:, :, 0], OFFSETS)
    torch.testing.assert_close(again.joints, planted.joints, atol=1e-3, rtol=0)
    assert torch.equal(planted.rotations[:, :, 12:], dancer.rotations[:, :, 12:])


def test_clips_of_a_batch_do_not_touch_each_other(dancer):
    slid, travel = swaying(dancer), travel_of(dancer)
    two = Posed(*(torch.cat([a, b]) for a, b in zip(slid, dancer, strict=True)))
    both = plant_feet(two, travel.expand(2, -1, -1), OFFSETS, FPS, CONFIG)
    alone = plant_feet(slid, travel, OFFSETS, FPS, CONFIG)
    torch.testing.assert_close(both.joints[:1], alone.joints, atol=1e-5, rtol=0)


def test_each_clip_may_have_bones_of_its_own(dancer):
    longer = 1.1 * OFFSETS
    pose = forward_kinematics(dancer.rotations, dancer.joints[:, :, 0] * 1.1, longer)
    tall = swaying(Posed(dancer.rotations, *pose))
    travel = travel_of(dancer) * 1.1
    own = plant_feet(tall, travel, longer[None, None], FPS, CONFIG)
    torch.testing.assert_close(own.joints, plant_feet(tall, travel, longer, FPS, CONFIG).joints)
