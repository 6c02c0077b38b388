"""Given results become a table with honest intervals, a verdict and a plot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from duet_rl.lab.cell import START, Cell, last_means
from duet_rl.lab.comparison import Comparison, as_text, compare, seed_interval
from duet_rl.lab.plot import draw_comparison

BEFORE = {
    "reward/total": 0.9,
    "kl": 0.0,
    "motion/jerk": 70.0,
    "motion/frozen": 0.01,
    "motion/jitter": 0.0,
    "diversity/codes_upper": 40.0,
    "diversity/codes_lower": 10.0,
}


def result(reward: float, collapsed: dict[str, str] | None = None, **numbers: float) -> Any:
    changed = {name.replace("__", "/"): value for name, value in numbers.items()}
    measured = {**BEFORE, "reward/total": reward, "kl": 0.2, **changed}
    return {"measured": measured, "training": {}, "collapsed": collapsed or {}}


def comparison(rewards: dict[str, list[float]], **of_last: Any) -> Comparison:
    """Return what three seeds at staleness 1 and 8 say; `of_last` is changed in the last of all."""
    results = {
        Cell(loss, age, seed): result(reward)
        for loss, of_seeds in rewards.items()
        for age in (1, 8)
        for seed, reward in enumerate(of_seeds)
    }
    last = list(results)[-1]
    results[last] = result(results[last]["measured"]["reward/total"], **of_last)
    return compare({START: BEFORE, "true partner": {**BEFORE, "reward/total": 0.99}}, results)


def test_the_interval_is_students():
    low, high = 2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)
    assert seed_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, low, high), abs=1e-5)


def test_each_loss_and_staleness_is_a_row_beside_the_start():
    found = comparison({"ppo": [0.95, 0.96, 0.97], "topr": [0.93, 0.93, 0.93]})
    lines = as_text(found).splitlines()
    assert [line.split()[:2] for line in lines[3:7]] == [
        ["ppo", "1"],
        ["ppo", "8"],
        ["topr", "1"],
        ["topr", "8"],
    ]
    assert lines[1].startswith("start") and lines[2].startswith("true partner")
    assert "0.9600 [0.9352, 0.9848]  +0.0600  1.00 [1.00, 1.00]" in lines[3]


def test_codes_are_a_share_of_the_starts_stream_by_stream():
    row = comparison({"ppo": [0.95] * 3}, diversity__codes_upper=20.0).rows[-1]
    assert row.streams == pytest.approx({"upper": 2.5 / 3, "lower": 1.0})
    assert row.codes.mean == pytest.approx((2.5 / 3 + 1) / 2)


def test_the_best_loss_is_named_and_compared_seed_by_seed():
    """Seeds differ far more than losses do, which pairing takes out."""
    said = comparison({"ppo": [0.90, 0.94, 0.98], "topr": [0.901, 0.9411, 0.9809]}).verdict
    assert said.startswith("topr has the highest reward, mean over staleness 1, 8")
    assert "next is ppo" in said and "the intervals overlap" in said and "more than chance" in said


def test_a_difference_that_seeds_disagree_about_may_be_chance():
    said = comparison({"ppo": [0.95, 0.95, 0.95], "topr": [0.94, 0.96, 0.951]}).verdict
    assert "which may be chance" in said


def test_a_loss_that_collapses_in_rollouts_is_not_recommended():
    wrong = {"motion/frozen": "step 16: the dances stand frozen"}
    found = comparison({"ppo": [0.95] * 3, "topr": [0.99] * 3}, collapsed=wrong)
    assert found.verdict.startswith("ppo has")
    assert "left out, for they collapsed: topr" in found.verdict
    assert "1: frozen" in as_text(found).splitlines()[6]
    assert found.rows[-1].collapsed == {2: ["frozen"]}


def test_a_stream_that_loses_its_codes_in_held_out_dances_is_a_collapse():
    found = comparison({"ppo": [0.95] * 3}, diversity__codes_upper=11.0)
    assert found.rows[-1].collapsed == {2: ["upper"]}
    assert found.verdict.startswith("every loss collapsed")


def test_everything_can_be_written_as_json():
    found = comparison({"ppo": [0.95, 0.96, 0.97]})
    read = json.loads(json.dumps(found.to_json()))
    assert read["rows"][0]["reward"]["mean"] == pytest.approx(0.96)
    assert read["references"]["start"]["reward/total"] == 0.9


def test_the_plot_has_a_line_a_loss_and_hollow_marks_where_one_collapsed(tmp_path: Path):
    rewards = {"ppo": [0.95, 0.96, 0.97], "topr": [0.91, 0.92, 0.93]}
    pictures = []
    for name, change in (("whole", {}), ("bad", {"collapsed": {"kl": "bad"}})):
        path = draw_comparison(comparison(rewards, **change), tmp_path / f"{name}.png")
        pictures.append(np.asarray(Image.open(path).convert("RGB")))
    blue, red = (0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)
    (blue_before, red_before), (blue_after, red_after) = (
        [int((picture == colour).all(-1).sum()) for colour in (blue, red)] for picture in pictures
    )
    assert blue_before > 500 and red_before > 500
    assert blue_after > 500 and red_after < red_before


def test_the_end_of_a_training_is_told_without_what_was_no_number():
    """The first of the last quarter's four steps was skipped, and one tag came late."""
    steps = [{"loss": 9.0, "value": np.nan}] * 12
    steps += [{"loss": np.nan, "value": np.nan}, *[{"loss": 1.0, "value": np.inf}] * 2]
    steps += [{"loss": 4.0, "value": np.nan, "late": 5.0}]
    assert last_means(steps) == {"loss": 2.0, "late": 5.0}
    assert last_means([{"loss": 3.0}]) == {"loss": 3.0}
