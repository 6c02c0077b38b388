"""The clock of a dance plays, pauses, jumps, changes its speed and begins again."""

import pytest

from duet_rl.viewer.clock import Clock


def test_it_stands_until_it_is_told_to_play():
    clock = Clock(10.0)
    assert clock.at(100.0) == clock.at(105.0) == 0.0
    clock.play(105.0)
    assert clock.at(107.5) == 2.5
    clock.pause(108.0)
    assert clock.at(120.0) == 3.0


def test_another_speed_goes_on_from_where_it_is():
    clock = Clock(10.0)
    clock.play(0.0)
    clock.go_at(0.25, 2.0)
    assert clock.at(6.0) == 3.0


@pytest.mark.parametrize(("asked", "got"), [(-1.0, 0.0), (4.0, 4.0), (11.0, 10.0)])
def test_a_jump_stays_within_the_dance(asked: float, got: float):
    clock = Clock(10.0)
    clock.seek(asked, 0.0)
    assert clock.at(0.0) == got


def test_it_begins_again_and_keeps_what_went_over():
    clock = Clock(10.0)
    clock.play(0.0)
    assert clock.at(12.5) == 2.5
    assert clock.at(13.0) == 3.0 and clock.playing


def test_without_repeats_it_stops_at_the_end_and_plays_from_the_beginning():
    clock = Clock(10.0, repeats=False)
    clock.play(0.0)
    assert clock.at(12.5) == 10.0 and not clock.playing
    clock.play(20.0)
    assert clock.at(21.0) == 1.0


def test_a_dance_of_one_frame_does_not_play():
    clock = Clock(0.0)
    clock.play(0.0)
    assert clock.at(5.0) == 0.0 and not clock.playing
