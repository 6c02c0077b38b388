"""Frozen and shaking bodies are told from dancing ones."""

import pytest
import torch

from duet_rl.body.activity import (
    frozen_share,
    jitter_share,
    recent_body_speed,
    recent_foot_reach,
    recent_jerk,
    seconds_aloft,
)
from duet_rl.body.skeleton import UP
from tests.couple import STEP, slide, stepping_couple

FPS = 30.0


@pytest.fixture(scope="module")
def dancing() -> torch.Tensor:
    """Two seconds of a stepping follower, `(1, 60, 55, 3)`."""
    return stepping_couple(2.0).follower.joints[None]


def test_a_dance_is_neither_frozen_nor_shaking(dancing):
    assert frozen_share(dancing, FPS) < 0.5
    assert jitter_share(dancing, FPS) == 0


def test_a_body_that_stands_is_frozen_for_as_long_as_it_stands(dancing):
    stands = dancing.clone()
    stands[:, 30:] = stands[:, 30:31]
    assert frozen_share(stands, FPS) >= 0.49
    assert frozen_share(dancing[:, :1].expand(2, 20, -1, -1), FPS).tolist() == [1, 1]


def test_centimetres_to_and_fro_each_frame_are_jitter(dancing):
    shaken = dancing.clone()
    shaken[:, ::2] += 0.01
    assert jitter_share(shaken, FPS) > 0.9
    assert frozen_share(shaken, FPS) == 0


def test_a_single_frame_tells_nothing(dancing):
    one = dancing[:, :1]
    assert frozen_share(one, FPS) == jitter_share(one, FPS) == 0


def test_the_recent_speed_is_that_of_the_fastest_frame_in_reach(dancing):
    still = dancing[:, :1].expand(1, 60, -1, -1).clone()
    still[:, 20:, :, UP] += 0.1  # 3 m/s between two frames
    speed = recent_body_speed(still, FPS, 0.5)[0]
    assert speed[:15].isinf().all()
    torch.testing.assert_close(speed[20:35], torch.full((15,), 3.0))
    assert speed[15:20].max() == 0 and speed[35:].max() < 1e-3


def test_the_reach_of_feet_is_the_step_that_they_made(dancing):
    reach = recent_foot_reach(dancing, FPS, 1.0)[0]
    assert reach[:30].isinf().all()
    assert STEP < reach[30:].min() and reach[30:].max() < 1.2 * STEP
    standing = dancing[:, :1].expand(1, 60, -1, -1)
    assert recent_foot_reach(standing, FPS, 1.0)[0, 30:].max() == 0
    gliding = recent_foot_reach(slide(standing, 0.5), FPS, 1.0)[0, 30:]
    torch.testing.assert_close(gliding, torch.full((30,), 0.5), rtol=1e-3, atol=0)


def test_the_recent_jerk_of_a_cubic_is_its_third_derivative():
    time = torch.arange(60) / FPS
    joints = torch.zeros(1, 60, 55, 3)
    joints[..., 0] = (time**3)[None, :, None]
    jerk = recent_jerk(joints.double(), FPS, 0.25)[0]
    torch.testing.assert_close(jerk[12:].float(), torch.full((48,), 6.0), rtol=1e-2, atol=0)
    assert (jerk[:12] <= 6.01).all()


def test_time_aloft_counts_from_the_last_foot_on_the_floor(dancing):
    jumping = dancing.clone()
    jumping[:, 20:35, :, UP] += 0.3
    aloft = seconds_aloft(jumping, FPS)[0]
    torch.testing.assert_close(aloft[20:35], (torch.arange(15) + 1) / FPS)
    assert aloft[:20].max() == aloft[35:].max() == 0


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_what_was_recently_is_known_of_few_frames_too(dancing, frames):
    few = dancing[:, :frames]
    assert recent_body_speed(few, FPS, 2.0).isinf().all()
    assert recent_foot_reach(few, FPS, 2.0).isinf().all()
    assert recent_jerk(few, FPS, 0.25).shape == seconds_aloft(few, FPS).shape == (1, frames)
