"""The true follower of a synthetic duet is a known good answer; these rewards must say so."""

import pytest
import torch
from torch import Tensor

from duet_rl.datasets.synthetic import SyntheticConfig, synthesize
from duet_rl.metrics.baselines import mirror_leader, typical_distance
from duet_rl.rewards.base import RewardInput, RewardMix
from tests.couple import moved

CONFIG = SyntheticConfig(choreographies=3, seconds=8.0)  # a waltz, a tango, a salsa


@pytest.fixture(scope="module", params=range(3), ids=CONFIG.styles)
def scored(request: pytest.FixtureRequest) -> dict[str, dict[str, float]]:
    """Name of a follower -> mean of each reward term."""
    made = synthesize(request.param, CONFIG)
    follower, leader = made.duet.follower.joints[None], made.duet.leader.joints[None]
    beats = torch.zeros(1, made.duet.frames, dtype=torch.bool)
    frames = (made.beats * made.duet.fps).round().long()
    beats[:, frames[frames < made.duet.frames]] = True
    followers: dict[str, Tensor] = {
        "true": follower,
        "mirror": mirror_leader(made.duet.leader, typical_distance([made.duet])).joints[None],
        "late": follower.roll(round(made.duet.fps), 1),
        "frozen": follower[:, :1].expand_as(follower),
    }
    return {
        name: RewardMix()(
            RewardInput(joints, leader, beats, made.duet.fps, made.hold[None], follower)
        ).means()
        for name, joints in followers.items()
    }


def test_the_true_follower_scores_near_the_top_in_every_term(scored):
    assert min(scored["true"].values()) > 0.9 and scored["true"]["total"] > 0.95


@pytest.mark.parametrize("other", ["mirror", "late", "frozen"])
def test_other_followers_score_clearly_lower(scored, other):
    assert scored[other]["total"] < scored["true"]["total"] - 0.1


def test_a_dancer_alone_scores_well_for_dancing_and_not_for_standing_or_floating():
    made = synthesize(2, CONFIG)
    dancer = made.duet.follower.joints[None]
    beats = torch.zeros(1, made.duet.frames, dtype=torch.bool)
    beats[:, (made.beats * made.duet.fps).floor().long()] = True
    statue, floating = dancer[:, :1].expand_as(dancer), moved(dancer, y=0.5)

    def means(joints: Tensor) -> dict[str, float]:
        known = slice(3 * round(made.duet.fps), None)  # by then a statue is known for one
        terms = RewardMix()(RewardInput(joints, None, beats, made.duet.fps)).per_frame
        return {name: float(score[:, known].mean()) for name, score in terms.items()}

    assert min(means(dancer).values()) > 0.9
    assert max(means(statue).values()) < 0.1
    assert means(floating)["foot"] < 0.1 and means(floating)["consistency"] < 0.6
