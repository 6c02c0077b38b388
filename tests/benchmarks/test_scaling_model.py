"""The model of off-policy RL at scale is right where the answer is known."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from scaling_model import Costs, Nodes, best_split, colocated, simulate
from scaling_plot import Line, Panel, draw

ALONE = Costs(rollout_steps=100, rollout_s=2.0, update_steps=100)  # nothing else takes any time
RATE = 50.0  # env steps a second of one runner
CLOSE = 0.06  # rollouts take a little more or less


def test_one_runner_does_what_was_measured():
    assert simulate(ALONE, 1).env_steps_per_s == pytest.approx(RATE, rel=CLOSE)


@pytest.mark.parametrize("runners", [8, 64, 512])
def test_with_an_endless_learner_the_rate_grows_with_the_runners(runners):
    outcome = simulate(ALONE, runners)
    assert outcome.env_steps_per_s == pytest.approx(runners * RATE, rel=CLOSE)
    assert outcome.limit == "generation" and outcome.generating > 0.95


def test_a_full_learner_sets_the_rate_and_more_gpus_raise_it():
    costs = replace(ALONE, learn_rate=1000.0)  # twenty runners' worth
    one, two, many = (simulate(costs, 100, gpus) for gpus in (1, 2, 16))
    assert one.env_steps_per_s == pytest.approx(1000, rel=CLOSE) and one.limit == "learner"
    assert one.learner_use > 0.95
    assert two.env_steps_per_s == pytest.approx(2000, rel=CLOSE)
    assert many.env_steps_per_s > 0.7 * 100 * RATE


def test_remembered_rollouts_take_their_share_of_the_learner():
    costs = replace(ALONE, learn_rate=1000.0, past_share=1.0)
    assert simulate(costs, 100).env_steps_per_s == pytest.approx(500, rel=CLOSE)


def test_a_slow_driver_sets_the_rate():
    outcome = simulate(replace(ALONE, take_s=0.1), 100)
    assert outcome.env_steps_per_s == pytest.approx(1000, rel=CLOSE)
    assert outcome.limit == "driver"


def test_a_thin_network_keeps_the_runners_waiting_for_weights():
    costs = replace(ALONE, weights_bytes=10e9, bandwidth=1e9, runners_a_node=1)
    outcome = simulate(costs, 64)
    assert outcome.limit == "weights" and outcome.fetching > 0.5
    fast = simulate(replace(costs, bandwidth=math.inf), 64)
    assert fast.env_steps_per_s > 2 * outcome.env_steps_per_s


def test_one_runner_that_the_learner_waits_for_is_never_stale():
    assert simulate(ALONE, 1).staleness_most <= 1


def test_more_runners_are_staler_and_larger_gradient_steps_less():
    few, many = (simulate(ALONE, runners).staleness for runners in (4, 64))
    assert many > 8 * few
    larger = simulate(replace(ALONE, update_steps=1600), 64)
    assert larger.staleness < many / 8


def test_a_bound_on_staleness_drops_what_is_older():
    outcome = simulate(replace(ALONE, max_staleness=2), 64)
    assert outcome.dropped > 0.5 and outcome.limit == "staleness"
    assert outcome.env_steps_per_s < 0.5 * 64 * RATE
    assert simulate(replace(ALONE, max_staleness=1000), 64).dropped == 0


def test_a_node_fetches_weights_once_and_from_any_that_has_them():
    nodes = Nodes(3, transfer_s=1.0)
    nodes.publish(when=0.0)
    assert nodes.fetch(1, now=0.0) == 1.0
    assert nodes.fetch(1, now=0.5) == 1.0, "a second runner waits for the first one's copy"
    assert nodes.fetch(2, now=1.0) == 2.0
    assert nodes.fetch(3, now=1.0) == 2.0, "two sources serve two nodes at once"


def test_a_gpu_that_dances_and_learns_takes_the_sum_of_both():
    costs = replace(ALONE, learn_rate=50.0)  # a rollout takes 2 s to dance and 2 s to learn from
    outcome = colocated(costs)
    assert outcome.env_steps_per_s == pytest.approx(25)
    assert outcome.learner_use == pytest.approx(0.5)
    assert outcome.staleness == 0


def test_gpus_are_shared_out_as_the_work_is():
    costs = replace(ALONE, learn_rate=150.0)  # one learner keeps up with three dancers
    assert best_split(costs, 4).runners == 3
    assert best_split(costs, 1) == colocated(costs)


def test_the_same_seed_gives_the_same_answer():
    assert simulate(ALONE, 16, seed=3) == simulate(ALONE, 16, seed=3)


def test_a_chart_has_a_panel_for_each_question_and_leaves_out_nothings(tmp_path: Path):
    line = Line("a", [1, 10, 100], [0.0, 20.0, 3000.0], ["", "x", ""])
    one, two = (
        Image.open(draw([Panel("rate", "runners", [line])] * count, tmp_path / f"{count}.png"))
        for count in (1, 2)
    )
    assert two.width == 2 * one.width and two.height == one.height
    assert len(one.getcolors(1 << 16)) > 3
