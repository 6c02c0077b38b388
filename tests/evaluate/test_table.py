"""What is written of an evaluation: numbers with intervals, and words where there is none."""

import csv
import json
from pathlib import Path

import pytest
import torch

from duet_rl.evaluate.page import curves_over_clips, differences, paired_difference
from duet_rl.evaluate.table import (
    CLIPS,
    JSON,
    TABLE,
    Evaluation,
    EvaluationRow,
    as_text,
    describe,
    reasons,
    write_evaluation,
)
from duet_rl.metrics.bootstrap import Interval
from duet_rl.metrics.set_scores import SetScore

NAN = float("nan")
WHY = "6 windows in 72 dimensions"


@pytest.fixture
def evaluation() -> Evaluation:
    """Two runs on three clips, with what applies to some, to none, and to all together."""

    def row(name: str, reward: list[list[float]]) -> EvaluationRow:
        values = {
            "reward/total": torch.tensor(reward),
            "beat_f1": torch.tensor([[NAN], [0.4], [0.6]]).expand(-1, len(reward[0])),
            "hold_f1": torch.full((3, len(reward[0])), NAN),
        }
        sets = {
            "kid_kinetic": SetScore(Interval(0.1, 0.0, 0.2), 12, 3, 40, "2 features are constant"),
            "fid_kinetic": SetScore(None, 12, 3, 40, WHY),
        }
        return EvaluationRow(name, values, {}, sets)

    rows = [row("A", [[0.5, 0.6], [0.7, 0.8], [0.9, 0.8]]), row("B", [[0.4], [0.6], [0.8]])]
    return Evaluation(rows, ["x", "y", "z"], 2, "hash")


def test_json_holds_every_number_and_nothing_that_is_none(evaluation: Evaluation, tmp_path: Path):
    write_evaluation(evaluation, tmp_path)
    rows = json.loads((tmp_path / JSON).read_text())["rows"]
    assert rows["A"]["reward/total"]["mean"] == pytest.approx(0.7166666)
    assert rows["A"]["beat_f1"]["values"][0] == [None, None]
    assert rows["A"]["beat_f1"]["mean"] == pytest.approx(0.5)
    assert rows["A"]["beat_f1"]["samples"] == "2 clips"
    assert rows["B"]["hold_f1"]["mean"] is None and rows["B"]["hold_f1"]["reason"]
    assert rows["B"]["fid_kinetic"] == {
        "samples": "12 windows, 40 of the reference",
        "mean": None,
        "reason": WHY,
    }


def test_csv_tables_say_the_same_as_the_json(evaluation: Evaluation, tmp_path: Path):
    write_evaluation(evaluation, tmp_path)
    rows = json.loads((tmp_path / JSON).read_text())["rows"]
    with (tmp_path / TABLE).open(newline="") as file:
        table = list(csv.DictReader(file))
    for line in table:
        known = rows[line["row"]][line["measure"]]["mean"]
        assert (float(line["mean"]) == known) if line["mean"] else known is None
        assert line["mean"] or line["reason"]
    with (tmp_path / CLIPS).open(newline="") as file:
        clips = list(csv.DictReader(file))
    assert len(clips) == 3 * (2 + 1)
    (line,) = [c for c in clips if (c["row"], c["clip"], c["seed"]) == ("A", "y", "1")]
    assert float(line["reward/total"]) == pytest.approx(0.8) and line["hold_f1"] == ""


def test_the_text_tells_once_why_cells_are_empty(evaluation: Evaluation):
    assert f"- in fid kinetic: {WHY}" in reasons(evaluation)
    said = as_text(evaluation)
    assert said.count(WHY) == 1 and "nan" not in said


def test_every_measure_has_a_meaning_and_a_table(evaluation: Evaluation):
    for name in evaluation.measures:
        known = describe(name)
        assert known.meaning and known.group and known.better in {"lower", "higher", "true", ""}


def test_runs_are_compared_clip_by_clip(evaluation: Evaluation):
    gain = paired_difference(evaluation, "A", "B")
    assert gain is not None and gain.mean == pytest.approx(0.7166666 - 0.6)
    assert gain.high - gain.low < 0.2 < evaluation.row("A").interval("reward/total").high - 0.5
    assert paired_difference(evaluation, "A", "B", "hold_f1") is None
    assert paired_difference(evaluation, "A", "nobody") is None
    both = differences(evaluation, ["A", "B"])
    assert [(one.run, one.other) for one in both] == [("A", "B"), ("B", "A")]
    assert both[0].interval.mean == -both[1].interval.mean


def test_curves_go_from_the_lowest_clip_to_the_highest(evaluation: Evaluation):
    curves = {(curve.name, curve.series): curve for curve in curves_over_clips(evaluation, ["B"])}
    reward = curves["total", "B"]
    assert list(reward.steps) == [0, 50, 100]
    assert list(reward.values) == pytest.approx([0.4, 0.6, 0.8])
    assert len(curves["beat f1", "B"].values) == 2  # the clip without beats has no place
