"""Bailando's rewards are the numbers of the original; the mix gives them for our own dances."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.audio.beat_matching import nearest_beat
from duet_rl.audio.beats import published_motion_beats
from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.rewards.bailando import (
    FRAMES_PER_TOKEN,
    SMPL_JOINTS,
    BailandoConfig,
    BailandoForm,
    as_published,
    bailando_reward,
    halves_agree,
    token_reward,
)
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "bailando" / "rewards.npz"
FORMS = pytest.mark.parametrize("form", ["released", "paper"])

pytestmark = needs(FILE)


@cache
def golden(name: str) -> Tensor:
    return torch.from_numpy(np.load(FILE, allow_pickle=False)[name])


def pose(name: str = "pose") -> Tensor:
    return golden(name).unflatten(-1, (len(SMPL_JOINTS), 3))


def beats() -> Tensor:
    return golden("beats") > 0


def in_world(poses: Tensor) -> Tensor:
    """The 55 joints of a dance whose root goes as its channel says; those beyond SMPL are 0."""
    steps = poses[:, :, :1]
    root = torch.cat([torch.zeros_like(steps[:, :1]), steps[:, :-1].cumsum(1)], dim=1)
    joints = torch.zeros(*poses.shape[:2], NUM_JOINTS, 3)
    joints[:, :, SMPL_JOINTS] = root + torch.cat([torch.zeros_like(steps), poses[:, :, 1:]], 2)
    return joints


def test_the_beats_of_the_dance_are_the_originals() -> None:
    found = published_motion_beats(pose())[0].nonzero()[:, 0]
    assert torch.equal(found, golden("motion_beat_frames_0"))
    for name, wanted in (("pose", "dance_beat_tokens"), ("long_pose", "long_dance_beat_tokens")):
        tokens = published_motion_beats(pose(name)).unflatten(1, (-1, FRAMES_PER_TOKEN)).any(-1)
        assert torch.equal(tokens, golden(wanted) > 0)


@FORMS
def test_the_beat_reward_is_the_originals(form: str) -> None:
    before = pose().clone()
    assert torch.equal(token_reward(pose(), beats(), form), golden(f"reward_beat_{form}"))
    assert torch.equal(pose(), before)


def test_the_halves_agree_as_in_the_original() -> None:
    assert torch.equal(halves_agree(pose(), "as_was"), golden("half_body_consistency"))
    assert torch.equal(halves_agree(pose()), golden("half_body_consistency_dim_last"))


@pytest.mark.parametrize("rate", [0, 1])
def test_the_sum_is_the_originals(rate: int) -> None:
    reward = token_reward(pose(), beats(), "released", float(rate))
    assert torch.equal(reward, golden(f"reward_rate{rate}"))


@FORMS
def test_a_dance_in_the_world_at_60_fps_earns_what_the_original_gives(form: BailandoForm) -> None:
    config = BailandoConfig(form=form)
    reward = bailando_reward(in_world(pose()), beats(), 60.0, config)[:, ::FRAMES_PER_TOKEN]
    assert torch.equal(reward, golden(f"reward_beat_{form}"))


def test_at_30_fps_the_beats_stay_where_they_are() -> None:
    dance = in_world(pose("long_pose"))
    unheard = torch.zeros(dance.shape[:2], dtype=torch.bool)
    fine, coarse = (
        published_motion_beats(as_published(dance[:, ::times], unheard[:, ::times], times).pose)
        for times in (1, 2)
    )
    assert abs(int(fine.sum()) - int(coarse.sum())) <= 1
    assert float(nearest_beat(coarse, 60.0).distance[fine].max()) <= 3 / 60 + 1e-6
