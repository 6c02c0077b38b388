"""The reward mix: bounded, pure, the same in every room, and credited to the right streams."""

from dataclasses import replace

import pytest
import torch

from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.rewards.base import (
    CREDITS,
    RewardInput,
    RewardMix,
    RewardMixConfig,
    RewardTerms,
    RewardWeights,
)
from duet_rl.rewards.consistency import forward_velocity
from tests.couple import FPS, beats, joints_of, moved, shake, slide, stepping_couple, turned

JOINED = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool).expand(1, 120, 2, 4)
PARTS = ("upper", "lower", "left_hand", "right_hand", "placement")


def couple() -> RewardInput:
    follower, leader = joints_of(stepping_couple())
    return RewardInput(follower, leader, beats(), FPS, JOINED, follower)


def total(data: RewardInput) -> float:
    return RewardMix()(data).means()["total"]


def test_a_couple_that_does_everything_right_scores_near_one_in_every_term():
    assert min(RewardMix()(couple()).means().values()) > 0.95


def test_every_term_and_their_sum_stay_between_zero_and_one():
    data = couple()
    wild = replace(data, follower=shake(slide(data.follower, 5.0), 1.0))
    for case in (data, wild):
        terms = RewardMix()(case)
        scores = [*terms.per_frame.values(), terms.total(4)]
        assert all(0 <= score.min() and score.max() <= 1 for score in scores)


@pytest.mark.parametrize(
    "worse",
    [
        lambda joints: slide(joints, 1.0),
        lambda joints: shake(joints, 0.05),
        lambda joints: moved(joints, z=0.5),
        lambda joints: moved(joints, z=-0.6),
        lambda joints: joints.roll(40, 1)[:, :1].expand_as(joints),
    ],
    ids=["sliding", "shaking", "away", "through the leader", "frozen"],
)
def test_a_worse_follower_scores_lower(worse):
    data = couple()
    assert total(replace(data, follower=worse(data.follower))) < total(data) - 0.1


def test_rewards_do_not_depend_on_the_place_in_the_room():
    data = couple()
    rough = replace(data, follower=shake(moved(data.follower, z=0.1), 0.01))

    def elsewhere(joints: torch.Tensor) -> torch.Tensor:
        return moved(turned(joints, 2.1), x=5.0, z=-3.0)

    there = replace(
        rough,
        follower=elsewhere(rough.follower),
        leader=elsewhere(rough.leader),
        partner=elsewhere(data.follower),
    )
    here, there_scores = RewardMix()(rough).per_frame, RewardMix()(there).per_frame
    for name in here:
        torch.testing.assert_close(there_scores[name], here[name], atol=2e-3, rtol=0)


def test_rewards_do_not_depend_on_the_frame_rate():
    means = []
    for fps in (FPS, 2 * FPS):
        follower, leader = joints_of(stepping_couple(4.0, fps))
        rough = slide(moved(follower, z=0.1), 0.4, fps)
        hold = JOINED[:, :1].expand(1, 4 * fps, 2, 4)
        data = RewardInput(rough, leader, beats(4.0, fps), fps, hold, follower)
        means.append(RewardMix()(data).means())
    assert means[0] == pytest.approx(means[1], abs=0.03)


def test_inputs_are_left_as_they_were():
    data = replace(couple(), root_velocity=torch.zeros(1, 120, 3))
    tensors = {name: value for name, value in vars(data).items() if torch.is_tensor(value)}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    RewardMix()(data)
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)


def test_terms_without_their_input_or_weight_are_left_out():
    data = couple()
    assert set(RewardMix()(data).per_frame) == set(CREDITS) - {"codes", "duolando", "bailando"}
    assert "tracking" not in RewardMix()(replace(data, partner=None)).per_frame
    assert "contact" not in RewardMix()(replace(data, hold=None)).per_frame
    no_beat = RewardMixConfig(weights=RewardWeights(beat=0))
    assert "beat" not in RewardMix(no_beat)(data).per_frame


def test_a_mix_with_nothing_left_is_refused():
    only_contact = RewardWeights(foot=0, beat=0, consistency=0, tracking=0)
    mix = RewardMix(RewardMixConfig(weights=only_contact))
    with pytest.raises(InputError, match="no reward is left"):
        mix(replace(couple(), hold=None))


def test_a_token_gets_the_mean_of_its_frames():
    foot = torch.arange(8.0)[None] / 8
    terms = RewardTerms({"foot": foot}, {"foot": 1.0}, CREDITS)
    torch.testing.assert_close(terms.tokens(4)["foot"], torch.tensor([[1.5, 5.5]]) / 8)


def test_a_stream_gets_the_terms_that_credit_its_part():
    scores = {"foot": 0.2, "tracking": 0.8, "contact": 0.4}
    per_frame = {name: torch.full((1, 4), score) for name, score in scores.items()}
    weights = {"foot": 1.0, "tracking": 3.0, "contact": 1.0}
    streams = RewardTerms(per_frame, weights, CREDITS).per_stream(PARTS, 4)[0, 0]
    placement = (1 * 0.2 + 3 * 0.8 + 1 * 0.4) / 5
    wanted = {"upper": 0.4, "lower": 0.2, "left_hand": 0.4, "placement": placement}
    for part, score in wanted.items():
        assert float(streams[PARTS.index(part)]) == pytest.approx(score)


def test_a_stream_that_no_term_credits_gets_the_total():
    terms = RewardTerms({"foot": torch.full((1, 4), 0.3)}, {"foot": 1.0}, CREDITS)
    assert torch.equal(terms.per_stream(["left_hand"], 4)[..., 0], terms.total(4))


def paper_mix(**weights: float) -> RewardMix:
    zeros = dict.fromkeys(CREDITS, 0.0)
    shares = RewardWeights(**{**zeros, "duolando": 1.0, **weights})
    return RewardMix(RewardMixConfig(weights=shares, uncredited="one"))


def test_the_mix_of_the_paper_credits_the_legs_with_their_worst_frame_and_others_with_one():
    data = replace(couple(), root_velocity=forward_velocity(couple().follower[:, :, 0], FPS))
    data.root_velocity[0, 5, 0] += 3.0  # in the second token
    streams = paper_mix()(data).per_stream(PARTS, 4)
    lower = streams[0, :, PARTS.index("lower")]
    assert float(lower[1]) == pytest.approx(-10.0, rel=1e-4)
    assert (lower[[0, *range(2, len(lower))]] == 1).all()
    streams[..., PARTS.index("lower")] = 1.0
    assert (streams == 1).all()


def test_other_terms_can_join_the_mix_of_the_paper():
    data = replace(couple(), root_velocity=forward_velocity(couple().follower[:, :, 0], FPS))
    data = replace(data, follower=slide(data.follower, 2.0))
    terms = paper_mix(tracking=1.0)(data)
    streams = terms.per_stream(PARTS, 4)
    assert set(terms.per_frame) == {"tracking", "duolando"}
    assert torch.equal(streams[..., PARTS.index("placement")], terms.tokens(4)["tracking"])
    assert torch.equal(streams[..., PARTS.index("lower")], terms.tokens(4)["duolando"])
    assert (streams[..., PARTS.index("upper")] == 1).all()


def test_the_mix_of_the_paper_needs_what_the_tokens_say_of_the_root():
    with pytest.raises(InputError, match="tokens that say where the root goes"):
        paper_mix()(couple())


def test_dances_without_tokens_are_measured_by_the_terms_that_need_none():
    assert set(RewardMix(paper_mix().config.without_tokens())(couple()).per_frame) == set(
        RewardMix()(couple()).per_frame
    )
    assert set(RewardMix(paper_mix(foot=1.0).config.without_tokens())(couple()).per_frame) == {
        "foot"
    }
    assert RewardMixConfig().without_tokens() == RewardMixConfig()


def test_frames_that_are_no_whole_tokens_are_refused():
    with pytest.raises(InputError, match="120 frames do not divide into tokens of 7"):
        RewardMix()(couple()).total(7)


def test_a_setting_below_zero_is_refused():
    with pytest.raises(InputError, match=r"foot\.scale"):
        validate(RewardMixConfig, {"foot": {"scale": -1.0}})
