"""The paper's rewards are the numbers of the original, and its inputs stay as they were."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.rewards.base import CREDITS, RewardInput, RewardMix, RewardMixConfig, RewardWeights
from duet_rl.rewards.consistency import forward_velocity
from duet_rl.rewards.duolando import half_agreement, root_consistency, slip_penalty
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "rewards.npz"
RELATIVE = 1e-4  # the tolerance that the golden set suggests
FPS = 30.0
FRAMES_PER_TOKEN = 4
PARTS = {  # their streams, and what each moves
    "up": "upper",
    "down": "lower",
    "lhand": "left_hand",
    "rhand": "right_hand",
    "transl": "placement",
}

pytestmark = needs(FILE)


@cache
def golden(name: str) -> Tensor:
    return torch.from_numpy(np.load(FILE, allow_pickle=False)[name])


def joints() -> Tensor:
    return golden("in/pose_follower").unflatten(-1, (NUM_JOINTS, 3))


def said() -> Tensor:
    return golden("in/predicted_vel") * FPS  # m a frame -> m/s


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=RELATIVE * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("name", ["reward3/down", "transl_lower_half_consistency"])
def test_root_consistency_is_the_originals(name: str) -> None:
    before = joints().clone()
    assert_same(root_consistency(joints(), said(), FPS), golden(name))
    assert torch.equal(joints(), before)


def test_the_velocity_of_the_root_is_what_the_original_left_in_its_input() -> None:
    velocity = forward_velocity(joints()[:, :, 0], FPS)
    assert_same(velocity / FPS, golden("reward3_pose_root_after_inplace"))


def test_the_slipping_penalty_is_the_originals() -> None:
    assert_same(slip_penalty(joints(), FPS), golden("slipping_penalty"))


def test_half_agreement_is_the_originals_even_in_its_slips() -> None:
    scores = half_agreement(joints(), "paper").amin(1)
    assert_same(scores, golden("up_down_half_consistency"))
    three = half_agreement(joints()[[0, 1, 0]], "paper").amin(1)
    # The middle one is a cross product of two equal rows: rounding noise, or NaN.
    assert_same(three[[0, 2]], golden("up_down_half_consistency_N3")[[0, 2]])


@pytest.mark.parametrize(
    ("name", "frames"), [("reward3", 1), ("reward3_token_min4", FRAMES_PER_TOKEN)]
)
def test_the_mix_gives_every_stream_the_reward_of_the_original(name: str, frames: int) -> None:
    weights = RewardWeights(**{**dict.fromkeys(CREDITS, 0.0), "duolando": 1.0})
    mix = RewardMix(RewardMixConfig(weights=weights, uncredited="one"))
    no_beats = torch.zeros(joints().shape[:2], dtype=torch.bool)
    terms = mix(RewardInput(joints(), joints(), no_beats, FPS, root_velocity=said()))
    streams = terms.per_stream(list(PARTS.values()), frames)
    for stream, part in enumerate(PARTS):
        assert_same(streams[..., stream], golden(f"{name}/{part}"))
