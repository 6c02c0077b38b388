"""The beat reward: step on the beats, and neither shake nor freeze."""

from itertools import pairwise

import torch

from duet_rl.rewards.beat import beat_reward
from tests.couple import FPS, beats, joints_of, shake, stepping_couple

SECONDS = 8.0


def dancing() -> torch.Tensor:
    return joints_of(stepping_couple(SECONDS))[0]


def score(joints: torch.Tensor, music: torch.Tensor | None = None) -> float:
    return float(beat_reward(joints, beats(SECONDS) if music is None else music, FPS).mean())


def test_a_step_on_every_beat_scores_near_one():
    assert score(dancing()) > 0.95


def test_a_step_on_every_other_beat_is_dancing_too():
    half_time, _ = joints_of(stepping_couple(SECONDS, beat_seconds=1.0))
    quarter_time, _ = joints_of(stepping_couple(SECONDS, beat_seconds=2.0))
    assert score(half_time) > 0.8 and score(quarter_time) < 0.6


def test_later_steps_score_lower():
    scores = [score(dancing().roll(late, 1)) for late in (0, 2, 4, 7)]
    assert all(later < sooner for sooner, later in pairwise(scores))
    assert scores[-1] < 0.2


def test_more_jitter_scores_lower():
    scores = [score(shake(dancing(), metres)) for metres in (0.0, 0.005, 0.01, 0.02)]
    assert all(more < less for less, more in pairwise(scores))
    assert scores[-1] < 0.2


def test_standing_still_scores_nothing():
    frozen = dancing()[:, :1].expand(1, 240, 55, 3)
    assert score(frozen) == 0


def test_trembling_on_the_spot_scores_nothing():
    frozen = dancing()[:, :1].expand(1, 240, 55, 3)
    assert score(shake(frozen, 0.02)) == 0


def test_extra_steps_between_the_beats_score_lower():
    hurried, _ = joints_of(stepping_couple(SECONDS, beat_seconds=0.25))
    assert score(hurried) < 0.8 * score(dancing())


def test_music_without_beats_asks_for_nothing():
    silence = torch.zeros(1, 240, dtype=torch.bool)
    assert score(dancing(), silence) == 1


def test_score_does_not_depend_on_frame_rate():
    double, _ = joints_of(stepping_couple(SECONDS, 2 * FPS))
    fast = beat_reward(double, beats(SECONDS, 2 * FPS), 2 * FPS).mean()
    assert abs(float(fast) - score(dancing())) < 0.03
