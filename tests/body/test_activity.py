"""Frozen and shaking bodies are told from dancing ones."""

import pytest
import torch

from duet_rl.body.activity import frozen_share, jitter_share
from tests.couple import stepping_couple

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
