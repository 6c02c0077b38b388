"""Bailando's rewards: who meets the music's beats earns, in each form by its own rule; no NaN."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duet_rl.body.skeleton import JOINT
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.rewards.bailando import (
    BailandoConfig,
    BailandoForm,
    bailando_reward,
    halves_agree,
)
from duet_rl.rewards.base import CREDITS, RewardInput, RewardMix, RewardMixConfig, RewardWeights
from tests.couple import moved, shake, turned

FPS = 30.0
SECONDS = 6.0
PERIOD = 0.5  # s between the rests of the dancer
FORMS: tuple[BailandoForm, ...] = ("released", "paper", "corrected")
each_form = pytest.mark.parametrize("form", FORMS)
PARTS = ("upper", "lower", "left_hand", "right_hand", "placement")


def dancer(fps: float = FPS, seconds: float = SECONDS) -> Tensor:
    """A body whose limbs come to rest every half second, `(1, T, 55, 3)`, and then turn back."""
    generator = torch.Generator().manual_seed(0)
    rest, way = torch.rand(2, 1, 1, 55, 3, generator=generator)
    way[:, :, 0] = 0.0
    time = torch.arange(round(seconds * fps)) / fps
    return rest + 0.4 * way * torch.cos(torch.pi * time / PERIOD)[None, :, None, None]


def music(late: float = 0.0, fps: float = FPS, seconds: float = SECONDS) -> Tensor:
    """Beats `late` seconds after the dancer's rests, `(1, T)`."""
    beats = torch.zeros(1, round(seconds * fps), dtype=torch.bool)
    times = torch.arange(PERIOD, seconds - PERIOD / 2, PERIOD) + late
    beats[0, (times * fps).round().long()] = True
    return beats


def score(joints: Tensor, beats: Tensor, form: BailandoForm, fps: float = FPS) -> float:
    return float(bailando_reward(joints, beats, fps, BailandoConfig(form=form)).mean())


@each_form
def test_beats_that_are_met_earn_more_than_beats_that_are_missed(form: BailandoForm) -> None:
    met = score(dancer(), music(), form)
    assert score(dancer(), music(0.25), form) < met - 1
    statue = dancer()[:, :1].expand(1, 180, 55, 3)
    assert score(statue, music(), form) < met - 1


def test_the_released_form_punishes_every_token_without_a_beat_and_the_papers_does_not() -> None:
    no_music = torch.zeros(1, 180, dtype=torch.bool)
    assert score(dancer(), no_music, "released") == -5
    assert score(dancer(), no_music, "paper") == score(dancer(), no_music, "corrected") == 5


def test_the_corrected_form_falls_gently_with_the_delay() -> None:
    scores = [score(dancer(), music(late / FPS), "corrected") for late in range(6)]
    assert all(later < earlier for earlier, later in pairwise(scores))
    assert scores[0] > 4.9


def test_the_corrected_form_asks_not_where_tokens_begin() -> None:
    scores = [score(dancer()[:, cut:], music()[:, cut:], "corrected") for cut in (0, 4, 1, 2, 3)]
    assert max(scores) - min(scores) < 0.5


def test_ripples_are_no_beats_in_the_corrected_form() -> None:
    statue = dancer()[:, :1].expand(1, 180, 55, 3)
    trembling = shake(statue, 1e-5)
    assert score(trembling, music(), "paper") > score(statue, music(), "paper")
    assert score(trembling, music(), "corrected") == score(statue, music(), "corrected")


def test_the_corrected_form_sees_the_whole_body_travel() -> None:
    """A statue that goes to and fro has beats on the floor; the published signal sees no body."""
    travel = (dancer() - dancer()[:, :1])[:, :, 1:2]
    assert score(dancer()[:, :1] + travel, music(), "corrected") > 4.5


@each_form
def test_all_frames_of_a_token_earn_the_same_and_none_is_nan(form: BailandoForm) -> None:
    config = BailandoConfig(form=form, half_rate=1.0)
    for joints in (dancer(), torch.zeros(1, 180, 55, 3), dancer().expand(3, -1, -1, -1)):
        reward = bailando_reward(joints, music().expand(len(joints), -1), FPS, config)
        assert reward.shape == joints.shape[:2] and reward.isfinite().all()
        tokens = reward.unflatten(1, (-1, 4))
        assert torch.equal(tokens, tokens[..., :1].expand_as(tokens))
        assert reward.abs().max() <= 6


@each_form
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 9])
def test_short_cuts_are_scored_too(form: BailandoForm, frames: int) -> None:
    config = BailandoConfig(form=form, half_rate=1.0)
    reward = bailando_reward(dancer()[:, :frames], music()[:, :frames], FPS, config)
    assert reward.shape == (1, frames) and reward.isfinite().all()


@each_form
def test_the_place_in_the_room_does_not_matter(form: BailandoForm) -> None:
    there = moved(turned(dancer(), 2.0), x=4.0, z=-2.0)
    assert score(there, music(), form) == pytest.approx(score(dancer(), music(), form), abs=0.2)


@each_form
def test_the_frame_rate_hardly_matters(form: BailandoForm) -> None:
    fine = score(dancer(60.0), music(fps=60.0), form, 60.0)
    assert score(dancer(), music(), form) == pytest.approx(fine, abs=0.5)


def test_a_frame_rate_that_60_is_no_multiple_of_is_refused() -> None:
    with pytest.raises(InputError, match="25 do not divide it"):
        bailando_reward(dancer(25.0), music(fps=25.0), 25.0)


def poses(twist: float, batch: int = 1) -> Tensor:
    """Two tokens of a body whose knees face +Z and whose chest is turned by `twist`, radians."""
    pose = torch.zeros(batch, 16, 24, 3)
    side = torch.tensor([torch.tensor(twist).cos(), 0.0, -torch.tensor(twist).sin()])
    for name, sign in (("left_collar", 0.1), ("right_collar", -0.1)):
        pose[:, :, JOINT[name]] = sign * side + torch.tensor([0.0, 0.4, 0.0])
    for name, sign in (("left_knee", 0.1), ("right_knee", -0.1)):
        pose[:, :, JOINT[name]] = torch.tensor([sign, -0.4, 0.0])
    return pose


def test_halves_that_face_one_way_agree_and_opposite_ones_do_not() -> None:
    assert torch.equal(halves_agree(poses(0.3)), torch.ones(1, 2))
    torch.testing.assert_close(halves_agree(poses(torch.pi)), -torch.ones(1, 2))


def test_the_worst_frame_of_a_token_counts() -> None:
    pose = poses(0.3)
    pose[:, 11] = poses(torch.pi)[:, 0]
    torch.testing.assert_close(halves_agree(pose), torch.tensor([[1.0, -1.0]]))


def test_three_clips_at_once_change_the_slip_and_not_its_mending() -> None:
    three = torch.cat([poses(twist) for twist in (0.3, 2.0, torch.pi)])
    alone = torch.cat([halves_agree(three[[clip]]) for clip in range(3)])
    assert torch.equal(halves_agree(three), alone)
    assert not torch.equal(halves_agree(three, "as_was"), alone)
    assert torch.equal(halves_agree(three[:2], "as_was"), alone[:2])


def test_a_body_without_directions_agrees() -> None:
    for axis in ("as_was", "xyz"):
        assert torch.equal(halves_agree(torch.zeros(3, 16, 24, 3), axis), torch.ones(3, 2))


def mix(**settings: object) -> RewardMix:
    weights = RewardWeights(**{**dict.fromkeys(CREDITS, 0.0), "bailando": 1.0})
    return RewardMix(validate(RewardMixConfig, {"weights": weights, "bailando": settings}, "test"))


def test_the_mix_credits_every_stream_with_the_reward_of_its_token() -> None:
    data = RewardInput(dancer(), None, music(), FPS)
    terms = mix(form="released")(data)
    streams = terms.per_stream(PARTS, 4)
    wanted = bailando_reward(dancer(), music(), FPS, BailandoConfig(form="released"))[:, ::4]
    assert torch.equal(streams, wanted[..., None].expand(-1, -1, len(PARTS)))


def test_the_default_mix_leaves_it_out() -> None:
    data = RewardInput(dancer(), None, music(), FPS)
    assert "bailando" not in RewardMix()(data).per_frame
    assert "bailando" in mix()(replace(data, leader=None)).per_frame
