"""Verdicts: worse beyond chance, no worse, better, or nothing that could be said."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from duet_rl.audit.verdict import Trial, try_clips, try_sets, verdicts

TAKES = torch.arange(12) // 2  # six takes of two windows
NAN = float("nan")


def values(seed: int = 0) -> Tensor:
    return torch.randn(12, generator=torch.Generator().manual_seed(seed))


def said(attack: Tensor, better: str, worst: float = 5.0) -> str:
    """Return the verdict beside another attack that loses `worst` in any direction."""
    sign = 1 if better != "higher" else -1
    trials = [try_clips(values(), other, TAKES) for other in (attack, values() + sign * worst)]
    return verdicts(trials, better)[0].said  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shift", "lower", "higher", "true"),
    [
        (0.0, "fooled", "fooled", "fooled"),
        (1.0, "sees", "prefers", "sees"),
        (-1.0, "prefers", "sees", "sees"),
        (0.01, "barely", "prefers", "barely"),
        (1e-8, "fooled", "fooled", "fooled"),
    ],
)
def test_a_verdict_depends_on_the_side_that_is_worse(shift, lower, higher, true):
    attack = (values().double() + shift).float() if shift > 1e-7 or shift < 0 else values() + shift
    assert [said(attack, side) for side in ("lower", "higher", "true")] == [lower, higher, true]


def test_a_difference_within_chance_fools_the_judge():
    assert said(values() + 0.2 * values(seed=1), "lower") == "fooled"


def test_pairing_by_window_sees_what_the_spread_of_windows_hides():
    trial = try_clips(100 * values(), 100 * values() + 0.5, TAKES)
    assert trial.difference is not None
    assert trial.difference.low == pytest.approx(0.5, abs=1e-4)
    assert verdicts([trial], "lower")[0].said == "sees"


def test_windows_of_one_take_are_not_counted_as_independent():
    by_take = torch.repeat_interleave(values()[:6], 2)
    together = try_clips(torch.zeros(12), by_take, TAKES).difference
    apart = try_clips(torch.zeros(12), by_take, torch.arange(12)).difference
    assert together is not None and apart is not None
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_windows_without_a_number_are_left_out_and_told_of():
    truth = values()
    truth[0] = NAN
    trial = try_clips(truth, values() + 1, TAKES)
    assert trial.difference is not None and trial.difference.mean == pytest.approx(1.0)
    assert trial.reason == "applies to 11 of 12 windows"


@pytest.mark.parametrize(
    ("truth", "attack", "why"),
    [
        (values(), torch.full((12,), NAN), "no number for the attack"),
        (torch.full((12,), NAN), values(), "no number for the truth"),
        (values(), torch.where(TAKES < 2, values(), NAN), "in 4 of 12 windows only"),
    ],
)
def test_a_judge_that_has_too_few_numbers_says_nothing_and_why(truth, attack, why):
    verdict = verdicts([try_clips(truth, attack, TAKES)], "lower")[0]
    assert verdict.said == "n/a" and verdict.loss is None and math.isnan(verdict.share)
    assert why in verdict.reason


def test_the_share_is_that_of_the_worst_attack():
    trials = [try_clips(torch.zeros(12), torch.full((12,), loss), TAKES) for loss in (1.0, 4.0)]
    assert [verdict.share for verdict in verdicts(trials, "lower")] == [0.25, 1.0]


def test_the_jackknife_of_a_mean_is_the_interval_of_a_mean():
    numbers, takes = values().double(), torch.arange(12) % 6
    of_takes = torch.stack([numbers[takes == take].mean() for take in range(6)])

    def mean(kept: Tensor) -> tuple[float, str]:
        return float(numbers[kept].mean()), ""

    interval = try_sets(lambda kept: (0.0, ""), mean, takes).difference
    assert interval is not None
    assert interval.mean == pytest.approx(float(numbers.mean()))
    reach = stats.t.ppf(0.975, 5) * float(of_takes.std()) / math.sqrt(6)
    assert interval.high - interval.mean == pytest.approx(reach, rel=1e-6)


def test_a_score_of_sets_that_means_nothing_is_not_judged():
    trial = try_sets(lambda kept: (1.0, ""), lambda kept: (NAN, "too few windows"), TAKES)
    assert verdicts([trial], "lower")[0][:2] == ("n/a", 1.0) and trial.reason == "too few windows"
    fragile = try_sets(lambda kept: (1.0, ""), lambda kept: (2.0 if kept.all() else NAN, ""), TAKES)
    assert fragile.difference is None and "without some of the takes" in fragile.reason


def test_an_attack_that_could_not_be_made_is_told_of():
    verdict = verdicts([Trial(1.0, NAN, None, "cannot be made")], "higher")[0]
    assert verdict.said == "n/a" and verdict.reason == "cannot be made" and not verdict.fooled
