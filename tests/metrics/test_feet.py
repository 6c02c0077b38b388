"""Feet: what slides, what floats, and what moves while the body is thrown about."""

import pytest
import torch

from duet_rl.body.skeleton import FEET, default_skeleton
from duet_rl.metrics.feet import (
    floating_share,
    mean_floor_error,
    physical_foot_contact,
    slide_speed,
)
from tests.couple import FPS, joints_of, moved, slide, stepping_couple, turned


def standing(frames: int = 60) -> torch.Tensor:
    return default_skeleton().rest_joints().expand(1, frames, 55, 3).clone()


def pushed(speeds: tuple[float, float], up: float = 0.0, fps: float = FPS) -> torch.Tensor:
    """Return two seconds of a root that accelerates by 1 m/s^2 along x, and by `up`.

    The left and the right foot go along z at their `speeds`, m/s.
    """
    time = torch.arange(round(2 * fps), dtype=torch.float64) / fps
    joints = torch.zeros(1, len(time), 55, 3, dtype=torch.float64)
    joints[0, :, 0, 0] = time.square() / 2
    joints[0, :, 0, 1] = up * time.square() / 2
    for foot, speed in zip(FEET, speeds * 2, strict=True):
        joints[0, :, foot, 2] = speed * time
    return joints


def test_more_sliding_scores_worse():
    speeds = [slide_speed(slide(standing(), speed), FPS).item() for speed in (0.0, 0.2, 1.0)]
    assert speeds == pytest.approx([0.0, 0.2, 1.0], rel=1e-3)


def test_a_dancer_in_the_air_does_not_slide_and_is_seen_to_float():
    joints = slide(standing(), 1.0)
    flying = moved(joints, y=0.4)
    assert slide_speed(flying, FPS).isnan()
    assert floating_share(flying) == 1 and floating_share(joints) == 0
    jump = torch.where(torch.arange(60)[:, None, None] < 15, flying, joints)
    assert floating_share(jump).item() == pytest.approx(0.25)


def test_the_floor_error_is_the_height_above_or_the_depth_below_the_floor():
    assert mean_floor_error(standing()).item() == pytest.approx(0, abs=1e-6)
    high, higher, sunk = (
        mean_floor_error(moved(standing(), y=y)).item() for y in (0.2, 0.3, -0.12)
    )
    assert higher - high == pytest.approx(0.1, abs=1e-5)
    assert sunk == pytest.approx(0.1, abs=1e-5)  # joints of feet rest 0.02 above the floor


def test_pfc_of_a_steady_push_is_the_product_of_the_feet_in_cm_a_frame():
    assert physical_foot_contact(pushed((0.6, 0.9)), 30).item() == pytest.approx(2.0 * 3.0)
    assert physical_foot_contact(pushed((0.0, 0.9)), 30).item() == 0  # one foot at rest is enough


def test_pfc_does_not_depend_on_the_frame_rate_nor_on_where_the_couple_faces():
    at_30, at_120 = (physical_foot_contact(pushed((0.6, 0.9), fps=fps), fps) for fps in (30, 120))
    torch.testing.assert_close(at_30, at_120)
    follower, _ = joints_of(stepping_couple())
    follower = slide(follower, 0.5)
    here, there = (physical_foot_contact(x, FPS) for x in (follower, turned(follower, 1.0)))
    torch.testing.assert_close(here, there, rtol=1e-3, atol=0)


def test_falling_pushes_nothing_but_rising_does():
    falling = pushed((0.6, 0.9), up=-9.8)
    falling[0, 30:, 0] = falling[0, 29, 0]  # and one hard push at the landing
    rising = falling * torch.tensor([1.0, -1.0, 1.0])
    for joints in (falling, rising):
        joints[:, 30:, 0, 0] += 1.0
    assert physical_foot_contact(falling, 30) < physical_foot_contact(rising, 30)


def test_pfc_takes_the_slower_of_ankle_and_toes():
    joints = pushed((0.6, 0.9))
    joints[:, :, FEET[2:], 2] *= 5  # the toes turn about the heels
    assert physical_foot_contact(joints, 30).item() == pytest.approx(6.0)


def test_pfc_means_nothing_without_a_push_and_for_two_frames():
    assert physical_foot_contact(slide(standing(), 1.0), FPS).isnan()
    assert physical_foot_contact(standing(), FPS).isnan()
    assert physical_foot_contact(pushed((0.6, 0.9))[:, :2], 30).isnan()
