"""Collapse is told from diversity, and told once."""

import math

import numpy as np
import pytest

from duet_rl.rl.collapse import (
    CODES_LEFT,
    FROZEN,
    JITTER,
    SHARE_LIMITS,
    CollapseWatch,
    diversity,
    effective_codes,
)

LOWER = "diversity/codes_lower"


def test_effective_codes_are_the_perplexity_of_the_histogram():
    tokens = np.array([[[0, 5], [0, 5]], [[0, 5], [9, 5]]])  # three quarters and one quarter
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_codes(tokens) == pytest.approx([math.exp(entropy), 1.0])


def test_codes_used_equally_often_all_count():
    tokens = np.random.default_rng(0).permutation(np.arange(600) % 6).astype(np.int16)
    assert effective_codes(tokens[:, None]) == pytest.approx([6.0])


def test_diversity_is_that_of_all_rollouts_together():
    groups = [np.full((2, 3, 2), code, np.int16) for code in (1, 2)]
    found = diversity(groups, ["upper", "lower"])
    assert found == pytest.approx({"diversity/codes_upper": 2.0, LOWER: 2.0})


def test_a_stream_that_loses_its_codes_is_named_once_with_both_numbers():
    watch = CollapseWatch()
    assert watch.warnings({LOWER: 40.0}) == []
    assert watch.warnings({LOWER: 40.0 * CODES_LEFT + 1}) == []
    (line,) = watch.warnings({LOWER: 3.0})
    assert "lower" in line and "3.0" in line and "40.0" in line
    assert watch.warnings({LOWER: 2.0}) == []


def test_a_stream_that_had_one_code_from_the_start_has_not_collapsed():
    watch = CollapseWatch()
    assert watch.warnings({LOWER: 1.0}) == watch.warnings({LOWER: 1.0}) == []


@pytest.mark.parametrize(("tag", "word"), [(FROZEN, "frozen"), (JITTER, "shake")])
def test_motion_that_freezes_or_shakes_is_said_once(tag: str, word: str):
    watch = CollapseWatch()
    assert watch.warnings({tag: 0.03}) == []
    (line,) = watch.warnings({tag: SHARE_LIMITS[tag] + 0.1})
    assert word in line and "3%" in line
    assert watch.warnings({tag: 1.0}) == []


def test_a_run_that_goes_on_compares_with_its_own_beginning():
    earlier = [{LOWER: 40.0, "step": 1}, {LOWER: 13.0, "step": 2}]
    assert CollapseWatch(earlier).warnings({LOWER: 8.0})
    assert not CollapseWatch(earlier[1:]).warnings({LOWER: 8.0})
