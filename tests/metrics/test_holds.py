"""Holds: what is held in time, what is held beside, and what lets go."""

import pytest
import torch

from duet_rl.metrics.holds import agreement, hold_continuity, hold_f1

FPS = 30
FRAMES = 60


def holds(*ranges: tuple[int, int], hand: int = 0, target: int = 1) -> torch.Tensor:
    """Return one hand that holds one target from the first frame of each range up to the second."""
    held = torch.zeros(1, FRAMES, 2, 4, dtype=torch.bool)
    for start, stop in ranges:
        held[:, start:stop, hand, target] = True
    return held


def test_precision_counts_what_is_false_and_recall_what_is_missed():
    due = holds((0, 40))
    found = agreement(holds((0, 20)), due)
    assert (found.precision, found.recall) == (1, 0.5)
    found = agreement(holds((0, 60)), due)
    assert found.precision.item() == pytest.approx(2 / 3) and found.recall == 1
    other = agreement(holds((0, 40), hand=1), due)
    assert other.precision == other.recall == other.f1 == 0


def test_hold_f1_counts_missed_and_false_holds_alike():
    due = holds((0, 20))
    assert hold_f1(holds((10, 30)), due).item() == pytest.approx(0.5)
    assert hold_f1(due, due).item() == 1
    assert hold_f1(holds((0, 10)), due) == hold_f1(due, holds((0, 10)))


def test_what_was_never_wanted_or_never_found_is_nan():
    none = holds()
    both, missed, false = (
        agreement(none, none),
        agreement(none, holds((0, 9))),
        agreement(holds((0, 9)), none),
    )
    assert all(value.isnan() for value in both)
    assert missed.precision.isnan() and missed.recall == missed.f1 == 0
    assert false.recall.isnan() and false.precision == false.f1 == 0


def test_a_hold_that_is_kept_is_unbroken():
    due = holds((10, 50))
    kept = hold_continuity(holds((5, 55)), due, FPS)  # held longer than it is due
    assert kept.unbroken == 1 and kept.breaks == 0


def test_a_break_costs_more_where_it_tears_a_hold_in_halves():
    due = holds((0, 40))
    early = hold_continuity(holds((0, 5), (10, 40)), due, FPS)
    middle = hold_continuity(holds((0, 18), (23, 40)), due, FPS)
    assert early.unbroken == 0.75 and middle.unbroken.item() == pytest.approx(18 / 40)
    seconds = 35 / FPS  # of holding
    torch.testing.assert_close(early.breaks, torch.tensor([60 / seconds]))
    torch.testing.assert_close(early.breaks, middle.breaks)


def test_every_due_hold_is_a_hold_of_its_own():
    due = holds((0, 20), (30, 60))
    kept = hold_continuity(holds((0, 60)), due, FPS)
    assert kept.unbroken == 1 and kept.breaks == 0
    half = hold_continuity(holds((0, 20)), due, FPS)
    assert half.unbroken.item() == pytest.approx(0.4) and half.breaks == 0


def test_the_end_of_a_due_hold_is_no_break_and_late_holding_no_continuity():
    due = holds((0, 30))
    late = hold_continuity(holds((20, 60)), due, FPS)
    assert late.unbroken.item() == pytest.approx(1 / 3) and late.breaks == 0


def test_breaks_a_minute_do_not_depend_on_the_frame_rate():
    held, due = holds((0, 5), (10, 40)), holds((0, 40))
    twice = [x.repeat_interleave(2, dim=1) for x in (held, due)]
    slow, fast = hold_continuity(held, due, FPS), hold_continuity(*twice, 2 * FPS)
    torch.testing.assert_close(slow.breaks, fast.breaks)
    torch.testing.assert_close(slow.unbroken, fast.unbroken)


def test_continuity_of_no_hold_is_nan():
    nothing_due = hold_continuity(holds((0, 9)), holds(), FPS)
    assert nothing_due.unbroken.isnan() and nothing_due.breaks.isnan()
    never_held = hold_continuity(holds(), holds((0, 9)), FPS)
    assert never_held.unbroken == 0 and never_held.breaks.isnan()
