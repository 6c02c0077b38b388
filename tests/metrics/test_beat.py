"""Beats: steps against the music, and against the same music at any other time."""

import pytest
import torch

from duet_rl.audio.beat_matching import nearest_beat
from duet_rl.metrics.beat import beat_measures, match_beats, step_beats
from tests.couple import FPS, beats, joints_of, moved, shake, stepping_couple, turned

FRAMES = 240


def every(period: int, start: int = 0, frames: int = FRAMES) -> torch.Tensor:
    return ((torch.arange(frames) - start) % period == 0)[None]


def at_random(seed: int, density: float = 0.06) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, FRAMES, generator=generator) < density


def test_the_nearest_beat_is_found_on_both_sides():
    music = torch.zeros(2, 10, dtype=torch.bool)
    music[0, [2, 7]] = True
    near = nearest_beat(music, fps=10)
    wanted = [0.2, 0.1, 0.0, 0.1, 0.2, 0.2, 0.1, 0.0, 0.1, 0.2]
    torch.testing.assert_close(near.distance[0], torch.tensor(wanted))
    assert near.rank[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert near.distance[1].isinf().all()


def test_extra_steps_cost_precision_and_missing_ones_recall():
    music = every(15)
    extra = match_beats(music | every(15, 7), music, FPS).met
    missing = match_beats(every(30), music, FPS).met
    assert extra.precision.item() == pytest.approx(0.5) and extra.recall == 1
    assert missing.precision == 1 and missing.recall.item() == pytest.approx(0.5)
    assert extra.f1.item() == missing.f1.item() == pytest.approx(2 / 3)


def plain_f1(steps: torch.Tensor, music: torch.Tensor, tolerance: float = 0.07) -> torch.Tensor:
    """Return F1 by its definition, without turns of the music."""
    within = tolerance + 1e-3 / FPS
    on_music, on_steps = (nearest_beat(x, FPS).distance <= within for x in (music, steps))
    precision = (steps & on_music).sum(1) / steps.sum(1)
    recall = (music & on_steps).sum(1) / music.sum(1)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(4))
def test_f1_is_that_of_the_two_series_of_beats(seed):
    steps, music = at_random(seed), at_random(seed + 10)
    torch.testing.assert_close(match_beats(steps, music, FPS).met.f1, plain_f1(steps, music))


def test_the_control_is_the_mean_over_all_turns_of_the_music():
    steps, music = every(16, 3), every(16, 8)  # of whole periods, so that no turn cuts one
    turns = torch.cat([music.roll(turn, 1) for turn in range(FRAMES)])
    each = match_beats(steps.expand(FRAMES, -1), turns, FPS).met
    control = match_beats(steps, music, FPS).shuffled
    torch.testing.assert_close(control.f1, each.f1.mean()[None], atol=0.01, rtol=0)
    wanted = each.phase_error.mean()[None]
    torch.testing.assert_close(control.phase_error, wanted, atol=3, rtol=0)


def test_steps_on_the_beat_gain_over_the_control_and_steady_steps_at_another_tempo_do_not():
    music = every(15)
    on, off = match_beats(every(30), music, FPS), match_beats(every(13, 4), music, FPS)
    assert on.met.f1 > on.shuffled.f1 + 0.3
    assert abs(off.met.f1 - off.shuffled.f1) < 0.05


def test_the_phase_error_is_the_distance_in_milliseconds_and_a_quarter_period_by_chance():
    late = match_beats(every(15, 2), every(15), FPS)
    assert late.met.phase_error.item() == pytest.approx(2 / FPS * 1000, rel=0.01)
    assert late.shuffled.phase_error.item() == pytest.approx(15 / FPS * 1000 / 4, rel=0.05)


def test_steps_while_the_music_rests_have_no_phase_but_cost_precision():
    music = every(15) & (torch.arange(FRAMES) < 120)[None]
    steps = every(15, 1)
    found = match_beats(steps, music, FPS).met
    assert found.phase_error.item() == pytest.approx(1 / FPS * 1000, rel=0.01)
    assert found.precision.item() == pytest.approx(0.5, abs=0.05)


def test_silence_and_standing_still():
    silence = torch.zeros(1, FRAMES, dtype=torch.bool)
    assert all(value.isnan() for part in match_beats(every(15), silence, FPS) for value in part)
    still = match_beats(silence, every(15), FPS)
    assert still.met.f1 == still.met.recall == still.shuffled.f1 == 0
    assert still.met.precision.isnan() and still.met.phase_error.isnan()


def test_frame_rate_and_place_change_little():
    at = {}
    for fps in (30, 60):
        follower, _ = joints_of(stepping_couple(8.0, fps))
        at[fps] = beat_measures(follower, beats(8.0, fps), fps)
    there = beat_measures(
        moved(turned(joints_of(stepping_couple(8.0))[0], 2.0), x=3.0), beats(8.0), FPS
    )
    for name, value in at[30].items():
        torch.testing.assert_close(value, there[name])
        near = 12.0 if "phase" in name else 0.08  # ms or share: a frame is 33 ms
        torch.testing.assert_close(value, at[60][name], rtol=0.15, atol=near)


def test_a_dance_moved_in_time_loses_its_gain():
    follower, _ = joints_of(stepping_couple(8.0))
    gains = [
        beat_measures(follower.roll(late, 1), beats(8.0), FPS)["beat_gain"].item()
        for late in (0, 3, 7)
    ]
    assert gains[0] > 0.5 and gains[1] < 0 and gains[2] < 0


def test_shaking_and_standing_gain_nothing():
    still = joints_of(stepping_couple(8.0))[0][:, :1].expand(1, FRAMES, 55, 3)
    assert not step_beats(still, FPS).any()
    assert beat_measures(shake(still, 0.02), beats(8.0), FPS)["beat_gain"] < 0.1
