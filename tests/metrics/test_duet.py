"""The measures of one dance: known answers for a couple that does all right, and for others."""

import math

import pytest
import torch

from duet_rl.body.skeleton import MIRROR
from duet_rl.metrics.duet import MEASURES, diversity, measure_duet
from tests.couple import FPS, beats, joints_of, moved, shake, slide, stepping_couple, turned

JOINED = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool).expand(1, 120, 2, 4)
SILENCE = torch.zeros(1, 120, dtype=torch.bool)


def measured(change=lambda joints: joints, hold=JOINED, music=None) -> dict[str, float]:
    follower, leader = joints_of(stepping_couple())
    music = beats() if music is None else music
    values = measure_duet(change(follower), leader, music, FPS, hold, follower)
    return {name: value.item() for name, value in values.items()}


def test_a_couple_that_does_all_right_measures_so():
    values = measured()
    for name in ("penetration_share", "root_error", "facing_error", "floating_share"):
        assert values[name] == 0
    for name in ("hold_share", "hold_f1", "hold_unbroken", "contact_f1", "beat_precision"):
        assert values[name] == 1
    assert values["duet_codes"] == 1 == values["duet_codes_kappa"]
    assert values["penetration"] == 0 == values["hold_breaks"]
    assert values["foot_slide"] < 0.02 and values["beat_f1"] > 0.9
    assert values["beat_phase_error"] < 40 < values["beat_phase_shuffled"]


def test_what_goes_wrong_is_measured_in_its_unit():
    assert measured(lambda joints: slide(joints, 0.8))["foot_slide"] == pytest.approx(0.8, rel=0.01)
    assert measured(lambda joints: moved(joints, x=0.3))["root_error"] == pytest.approx(0.3)
    about = measured(lambda joints: turned(joints, -math.pi / 3))
    assert about["facing_error"] == pytest.approx(60, abs=0.1)
    through = measured(lambda joints: moved(joints, z=-0.6))
    assert through["penetration"] > 0.05 and through["penetration_share"] == 1
    away = measured(lambda joints: moved(joints, z=1.0))
    assert away["hold_share"] == away["hold_f1"] == away["contact_f1"] == 0
    assert away["duet_codes"] < 0.7 and away["duet_codes_kappa"] < 0.5


def test_every_measure_is_described():
    assert set(measured()) | {"diversity"} == set(MEASURES)


def test_measures_without_their_input_are_left_out():
    follower, leader = joints_of(stepping_couple())
    values = measure_duet(follower, leader, SILENCE, FPS)
    assert not {"hold_f1", "hold_breaks", "contact_f1", "root_error", "facing_error"} & set(values)


def test_what_does_not_apply_to_a_clip_is_nan_and_never_a_number():
    def nowhere(values: dict[str, float]) -> set[str]:
        return {name for name, value in values.items() if math.isnan(value)}

    far = {"root_error_near", "root_error_far", "facing_error_near", "facing_error_far"}
    assert nowhere(measured()) == far  # the couple dances at arm's length
    every_beat = {name for name in MEASURES if name.startswith("beat_")}
    assert nowhere(measured(music=SILENCE)) == far | every_beat
    never = nowhere(measured(hold=torch.zeros_like(JOINED)))
    assert never == far | {"hold_recall", "hold_unbroken", "hold_breaks"}
    flying = nowhere(measured(lambda joints: moved(joints, y=1.0, z=2.0)))
    lost = {"foot_slide", "contact_precision", "hold_precision", "hold_breaks"}
    assert flying == far | lost


def test_a_clip_that_lacks_something_changes_nothing_for_the_others():
    follower, leader = (torch.cat([x, x]) for x in joints_of(stepping_couple()))
    music = torch.cat([beats(), SILENCE])
    hold = torch.cat([JOINED, torch.zeros_like(JOINED)])
    values = measure_duet(follower, leader, music, FPS, hold, follower)
    alone = measured()
    for name, value in values.items():
        assert value[0].item() == pytest.approx(alone[name], abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize("angle", [0.7, 3.0])
def test_turning_and_moving_the_couple_changes_nothing(angle):
    follower, leader = joints_of(stepping_couple())
    follower = shake(slide(follower, 0.3), 0.002)
    pairs = [(follower, leader, joints_of(stepping_couple())[0])]
    pairs.append(tuple(moved(turned(x, angle), x=2.0, z=-1.0) for x in pairs[0]))
    here, there = (
        measure_duet(own, other, beats(), FPS, JOINED, true) for own, other, true in pairs
    )
    for name in here:
        torch.testing.assert_close(here[name], there[name], rtol=2e-3, atol=1e-3, equal_nan=True)


def test_a_mirror_changes_nothing():
    follower, leader = joints_of(stepping_couple())
    flip = torch.tensor([-1.0, 1.0, 1.0])
    dances = (slide(follower, 0.3), leader, follower)
    image = [dance[:, :, list(MIRROR)] * flip for dance in dances]
    swapped = JOINED.flip(2)[..., [1, 0, 2, 3]]  # the other hand holds the other palm
    here = measure_duet(*dances[:2], beats(), FPS, JOINED, dances[2])
    there = measure_duet(*image[:2], beats(), FPS, swapped, image[2])
    for name in here:
        near = 2e-3 if "codes" in name else 1e-4  # a value on a threshold falls to either side
        torch.testing.assert_close(here[name], there[name], rtol=1e-3, atol=near, equal_nan=True)


def test_diversity_is_the_mean_distance_of_all_pairs():
    follower, _ = joints_of(stepping_couple(1.0))
    dances = torch.cat([moved(follower, x=x) for x in (0.0, 0.3, 0.6)])
    assert diversity(dances).item() == pytest.approx(0.4, abs=1e-4)
    assert diversity(dances[:1]).isnan()
