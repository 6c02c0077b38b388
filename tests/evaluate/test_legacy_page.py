"""The files of a published protocol say the same."""

import csv
import json
from pathlib import Path

from duet_rl.evaluate.legacy_page import write_published
from duet_rl.evaluate.legacy_scores import PublishedScore, PublishedScores, no_score
from duet_rl.evaluate.settings import EvaluateConfig


def test_what_is_no_number_is_empty_in_the_csv_and_null_in_the_json(tmp_path: Path) -> None:
    scores = (
        PublishedScore("BAS", "beats", 0.25, 0.25, "", 3, None, ""),
        no_score("CF", "touch", 3, "no models"),
        PublishedScore("FID_k", "distance", None, float("inf"), "", 3, 6, "singular"),
    )
    tables = {"<é>": PublishedScores("duolando", "dances", None, scores)}
    page = write_published(tmp_path, tables, EvaluateConfig())
    told = json.loads((tmp_path / "duolando.json").read_text())["<é>"]["scores"]
    with (tmp_path / "duolando.csv").open(newline="", encoding="utf-8") as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    for name, score in told.items():
        assert lines[name]["run"] == "<é>"
        for key, value in score.items():
            assert lines[name][key] == ("" if value is None else str(value)), (name, key)
    assert [told[name]["original"] for name in told] == [0.25, None, None]
    assert "&lt;é&gt;" in page.read_text(encoding="utf-8")
