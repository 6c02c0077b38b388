"""The measures: known answers for a couple that does all right, and for one that does not."""

import math

import pytest
import torch

from duet_rl.audio.beat_matching import beat_f1, nearest_beat
from duet_rl.metrics.duet import MEASURES, diversity, hold_f1, jerk, measure_duet
from tests.couple import FPS, beats, joints_of, moved, shake, slide, stepping_couple, turned

JOINED = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool).expand(1, 120, 2, 4)


def measured(change=lambda joints: joints) -> dict[str, float]:
    follower, leader = joints_of(stepping_couple())
    values = measure_duet(change(follower), leader, beats(), FPS, JOINED, follower)
    return {name: value.item() for name, value in values.items()}


def test_a_couple_that_does_all_right_measures_so():
    values = measured()
    for name in ("penetration", "penetration_share", "root_error", "facing_error"):
        assert values[name] == 0
    assert values["hold_share"] == values["hold_f1"] == 1
    assert values["foot_slide"] < 0.02 and values["beat_f1"] > 0.9


def test_what_goes_wrong_is_measured_in_its_unit():
    assert measured(lambda joints: slide(joints, 0.8))["foot_slide"] == pytest.approx(0.8, rel=0.01)
    assert measured(lambda joints: moved(joints, x=0.3))["root_error"] == pytest.approx(0.3)
    about = measured(lambda joints: turned(joints, -math.pi / 3))
    assert about["facing_error"] == pytest.approx(60, abs=0.1)
    through = measured(lambda joints: moved(joints, z=-0.6))
    assert through["penetration"] > 0.05 and through["penetration_share"] == 1
    away = measured(lambda joints: moved(joints, z=1.0))
    assert away["hold_share"] == 0 and away["hold_f1"] == 0


def test_every_measure_is_described():
    assert set(measured()) | {"diversity"} == set(MEASURES)


def test_measures_without_their_input_are_left_out():
    follower, leader = joints_of(stepping_couple())
    silence = torch.zeros(1, 120, dtype=torch.bool)
    values = measure_duet(follower, leader, silence, FPS)
    assert not {"beat_f1", "hold_f1", "root_error", "facing_error"} & set(values)


def test_the_jerk_of_a_cubic_path_is_its_third_derivative():
    time = torch.arange(60, dtype=torch.float64) / FPS
    joints = torch.zeros(1, 60, 55, 3, dtype=torch.float64)
    joints[..., 0] = (2 * time**3)[None, :, None]
    assert jerk(joints, FPS).item() == pytest.approx(12.0)


def test_shaking_raises_the_jerk():
    assert measured(lambda joints: shake(joints, 0.01))["jerk"] > 10 * measured()["jerk"]


def test_hold_f1_counts_missed_and_false_holds_alike():
    due = torch.zeros(1, 4, 2, 4, dtype=torch.bool)
    due[:, :2, 0, 0] = True
    held = due.roll(1, 1)
    assert hold_f1(held, due).item() == pytest.approx(0.5)
    assert hold_f1(due, due).item() == 1
    assert hold_f1(torch.zeros_like(due), torch.zeros_like(due)).item() == 1


def test_diversity_is_the_mean_distance_of_all_pairs():
    follower, _ = joints_of(stepping_couple(1.0))
    dances = torch.cat([moved(follower, x=x) for x in (0.0, 0.3, 0.6)])
    assert diversity(dances).item() == pytest.approx(0.4, abs=1e-4)
    assert diversity(dances[:1]).item() == 0


def test_the_nearest_beat_is_found_on_both_sides():
    music = torch.zeros(2, 10, dtype=torch.bool)
    music[0, [2, 7]] = True
    near = nearest_beat(music, fps=10)
    wanted = [0.2, 0.1, 0.0, 0.1, 0.2, 0.2, 0.1, 0.0, 0.1, 0.2]
    torch.testing.assert_close(near.distance[0], torch.tensor(wanted))
    assert near.rank[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert near.distance[1].isinf().all()


def test_beat_f1_falls_with_extra_and_with_missing_beats():
    music = beats(8.0)
    extra = music | (torch.arange(240)[None] % 15 == 7)
    missing = music & (torch.arange(240)[None] % 30 == 0)
    none = torch.zeros_like(music)
    assert beat_f1(music, music, FPS).item() == 1
    assert beat_f1(extra, music, FPS).item() == pytest.approx(2 / 3)
    assert beat_f1(missing, music, FPS).item() == pytest.approx(2 / 3)
    assert beat_f1(none, music, FPS).item() == 0
