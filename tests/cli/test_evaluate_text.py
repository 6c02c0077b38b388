"""`duet-rl evaluate --protocol text`: tables without a run, and runs that hear no words."""

import json

from tests.cli.conftest import refusal, run

SETTINGS = (
    *("evaluate_text.seconds=1.0", "evaluate_text.step=1.0", "evaluate_text.split=train"),
    *("evaluate_text.held_out_step=1.5", "evaluate_text.pool=4", "evaluate_text.draws=1"),
    *("evaluate_text.mirrored=false", "evaluate_text.evaluator.steps=2"),
)


def test_the_truth_stands_beside_the_nearest_captions_without_any_run(store, tmp_path):
    out = tmp_path / "out"
    result = run("evaluate", "--protocol", "text", "--data", store, "--out", out, *SETTINGS)
    assert result.exit_code == 0, result.output
    assert "true motion, others' texts" in result.output and "is local" in result.output
    rows = json.loads((out / "text.json").read_text())["rows"]
    assert rows["true motion"]["facts"]["mean"] == 1
    assert len(rows) == 4


def test_a_follower_that_hears_no_words_is_refused_in_one_line(store, follower, tmp_path):
    words = ("--protocol", "text", "--out", tmp_path / "out", *SETTINGS)
    said = refusal("evaluate", follower, "--data", store, *words)
    assert str(follower) in said and "hears no words" in said
    assert "no data was named" in refusal("evaluate", *words)
    assert "holds no follower" in refusal("evaluate", tmp_path, "--data", store, *words)
    assert "only for the protocols" in refusal("evaluate", "--data", store, *words, "--original")
