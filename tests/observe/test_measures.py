"""Every number of a log has one place among the metrics, under a name that Prometheus takes."""

import re

import pytest

from duet_rl.observe.measures import MEASURES, OTHER, reading_of
from duet_rl.rl.tags import HEALTHY, ITERATION_SECONDS, LEFT, RESTARTS, STEPS_PER_SECOND
from duet_rl.run_log import PROGRESS


@pytest.mark.parametrize(
    ("tag", "name", "value"),
    [
        ("reward/foot", "duet_rl_reward", "foot"),
        ("loss", "duet_rl_loss", "total"),
        ("loss/policy", "duet_rl_loss", "policy"),
        ("val/nll/upper", "duet_rl_validation", "nll/upper"),
        ("staleness", "duet_rl_staleness", ""),
        ("grad_norm", "duet_rl_gradient_norm", ""),
        ("something/new", "duet_rl_other", "something/new"),
        ("novelty", "duet_rl_other", "novelty"),
    ],
)
def test_a_number_goes_where_a_person_looks_for_it(tag: str, name: str, value: str):
    reading = reading_of(tag)
    assert (reading.measure.full_name, reading.value) == (name, value)
    assert bool(reading.measure.label) == bool(value), "a series is told apart by its label"


@pytest.mark.parametrize(
    "tag", [HEALTHY, RESTARTS, STEPS_PER_SECOND, ITERATION_SECONDS, LEFT, PROGRESS]
)
def test_the_numbers_of_a_journal_have_metrics_of_their_own(tag: str):
    assert reading_of(tag).measure != OTHER


def test_names_are_their_own_and_of_letters_that_prometheus_takes():
    names = [measure.full_name for measure in MEASURES]
    assert len(set(names)) == len(names)
    for measure in MEASURES:
        assert re.fullmatch(r"duet_rl_[a-z_]+", measure.full_name)
        assert all(re.fullmatch(r"[a-z_]+", label) for label in measure.labels)
        assert measure.about.endswith(".")
