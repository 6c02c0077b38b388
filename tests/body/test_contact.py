"""Palms, holds, feet and capsules, against hand arithmetic."""

from itertools import pairwise

import pytest
import torch

from duet_rl.body.capsules import CAPSULE, capsule_penetration, segment_distance, surface_distance
from duet_rl.body.contact import (
    foot_landings,
    foot_slide,
    hold_distances,
    hold_due,
    palms,
    planted_feet,
    support_speed,
)
from duet_rl.body.skeleton import JOINT
from tests.couple import (
    BEAT_SECONDS,
    FPS,
    joints_of,
    moved,
    shake,
    slide,
    standing_couple,
    stepping_couple,
    turned,
)

ALL_JOINED = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)


def random_segments(seed: int, count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    ends = torch.randn(2, 50, count, 3, generator=torch.Generator().manual_seed(seed))
    return ends[0], ends[1]


def searched_distance(segments: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Distance between segments by trying many points of the one against the other."""
    start_a, end_a, start_b, end_b = segments
    part = torch.linspace(0, 1, 101)[:, None]
    points_a = torch.lerp(start_a[..., None, :], end_a[..., None, :], part)
    points_b = torch.lerp(start_b[..., None, :], end_b[..., None, :], part)
    apart = (points_a[:, :, None, :, None] - points_b[:, None, :, None, :]).norm(dim=-1)
    return apart.amin((-1, -2))


def test_segment_distance_is_the_least_distance_of_their_points():
    segments = *random_segments(0), *random_segments(1)
    distance = segment_distance(*segments)
    searched = searched_distance(tuple(segment[:5] for segment in segments))
    torch.testing.assert_close(distance[:5], searched, atol=2e-2, rtol=0)
    assert (distance[:5] <= searched + 1e-4).all()


def test_parallel_and_pointlike_segments_have_a_distance():
    start = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    end = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    beside = torch.tensor([0.0, 0.3, 0.4])
    distance = segment_distance(start, end, start + beside, end + beside)
    torch.testing.assert_close(distance, torch.full((2, 2), 0.5))


def test_bodies_apart_do_not_penetrate_and_nearer_bodies_do_more():
    follower, leader = joints_of(stepping_couple(1.0))
    depths = [
        capsule_penetration(moved(follower, z=-nearer), leader).mean()
        for nearer in (0.0, 0.4, 0.5, 0.6)
    ]
    assert depths[0] == 0
    assert all(less < more for less, more in pairwise(depths))


def test_penetration_does_not_depend_on_who_is_asked_or_where_they_stand():
    follower, leader = joints_of(stepping_couple(1.0))
    follower = moved(follower, z=-0.55)
    depth = capsule_penetration(follower, leader)
    torch.testing.assert_close(capsule_penetration(leader, follower), depth, atol=1e-3, rtol=0)
    elsewhere = [moved(turned(body, 2.0), x=30.0, z=-20.0) for body in (follower, leader)]
    torch.testing.assert_close(capsule_penetration(*elsewhere), depth, atol=1e-3, rtol=0)


def test_a_body_within_itself_is_as_deep_as_its_thickest_capsule():
    _, leader = joints_of(stepping_couple(1.0))
    thickest = 2 * max(capsule.radius for capsule in CAPSULE.values())
    torch.testing.assert_close(
        capsule_penetration(leader, leader), torch.full((1, FPS), thickest), atol=1e-3, rtol=0
    )


def test_a_point_is_as_far_from_a_capsule_as_from_its_surface():
    joints = torch.zeros(55, 3)
    trunk = CAPSULE["trunk"]
    joints[trunk.end] = torch.tensor([0.0, 0.5, 0.0])
    points = torch.tensor([[0.31, 0.2, 0.0], [0.0, 0.7, 0.0], [0.05, 0.1, 0.0]])
    distance = surface_distance(points, joints, trunk)
    torch.testing.assert_close(distance, torch.tensor([0.2, 0.09, 0.0]))


def test_palms_lie_between_wrist_and_knuckles():
    joints = torch.zeros(55, 3)
    joints[JOINT["right_middle1"]] = torch.tensor([0.0, 0.1, 0.0])
    torch.testing.assert_close(palms(joints)[1], torch.tensor([0.0, 0.05, 0.0]))


def test_joined_hands_are_at_no_distance_and_due():
    follower, leader = joints_of(stepping_couple())
    distance = hold_distances(follower, leader)
    assert distance[0, :, ALL_JOINED].max() < 0.02
    assert torch.equal(hold_due(leader, follower, FPS), ALL_JOINED.expand(1, 120, 2, 4))


def test_a_hand_on_the_shoulder_or_the_waist_is_a_hold():
    follower, leader = joints_of(stepping_couple(1.0))
    for target, joint in (("shoulder", "left_shoulder"), ("waist", "spine1")):
        aside = torch.tensor([0.0, 0.0, 0.1])
        reach = leader[:, :, JOINT[joint]] + aside - palms(follower)[:, :, 1]
        held = hold_due(leader, follower + reach[:, :, None], FPS)
        wanted = 2 if target == "shoulder" else 3
        assert held[:, :, 1].float().mean((0, 1)).argmax() == wanted


def test_a_flicker_neither_opens_nor_closes_a_hold():
    follower, leader = joints_of(stepping_couple())
    away = moved(follower, z=2.0)
    brief = torch.zeros(120, dtype=torch.bool)
    brief[40:45] = True
    brief = brief[None, :, None, None]
    opened = hold_due(leader, torch.where(brief, away, follower), FPS)
    closed = hold_due(leader, torch.where(brief, follower, away), FPS)
    assert torch.equal(opened, ALL_JOINED.expand(1, 120, 2, 4)) and not closed.any()


def test_a_long_hold_begins_and_ends_where_it_does():
    follower, leader = joints_of(stepping_couple())
    away = moved(follower, z=2.0)
    wanted = torch.zeros(120, dtype=torch.bool)
    wanted[30:75] = True
    held = hold_due(leader, torch.where(wanted[None, :, None, None], follower, away), FPS)
    assert torch.equal(held[0, :, 0, 1], wanted)


def test_standing_feet_are_planted_and_lifted_feet_are_not():
    follower, _ = joints_of(standing_couple(1.0))
    assert planted_feet(follower).all()
    assert not planted_feet(moved(follower, y=0.2)).any()


def test_a_foot_that_turns_on_its_ball_does_not_slide():
    follower, _ = joints_of(standing_couple(1.0))
    pivoting = follower.clone()
    ankle, toes = JOINT["left_ankle"], JOINT["left_foot"]
    angle = torch.arange(FPS) / FPS
    around = torch.stack([angle.sin(), angle * 0, angle.cos()], dim=-1) * 0.14
    pivoting[0, :, ankle] = follower[0, :1, toes] + around
    assert foot_slide(pivoting, FPS)[..., 0].max() < 1e-3


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_sliding_has_the_same_speed_at_every_frame_rate(fps: int):
    follower, _ = joints_of(standing_couple(1.0, fps))
    dragged = slide(follower, 1.5, fps)
    torch.testing.assert_close(foot_slide(dragged, fps)[:, 1:], torch.full((1, fps - 1, 2), 1.5))
    torch.testing.assert_close(support_speed(dragged, fps)[:, 1:], torch.full((1, fps - 1), 1.5))


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_a_foot_lands_where_its_step_ends(fps: int):
    follower, _ = joints_of(stepping_couple(4.0, fps))
    frames = foot_landings(follower, fps)[0].any(-1).nonzero()[:, 0]
    beats = torch.arange(1, 8) * BEAT_SECONDS
    torch.testing.assert_close(frames / fps, beats, atol=0.05, rtol=0)


def test_the_feet_land_in_turn():
    follower, _ = joints_of(stepping_couple())
    left, right = foot_landings(follower, FPS)[0].sum(0).tolist()
    assert (left, right) == (3, 4)


def test_trembling_and_standing_feet_never_land():
    follower, _ = joints_of(standing_couple(4.0))
    assert not foot_landings(follower, FPS).any()
    assert not foot_landings(shake(follower, 0.02), FPS).any()
