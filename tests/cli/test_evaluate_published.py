"""`duet-rl evaluate --protocol`: published numbers of followers, of their files, side by side."""

import csv
import json
from pathlib import Path

import pytest

from duet_rl.datasets.store import DuetStore
from duet_rl.mocap.npz import write_npz
from tests.cli.conftest import refusal, run


def scores(folder: Path, protocol: str, name: str) -> dict[str, object]:
    table = json.loads((folder / f"{protocol}.json").read_text())[name]["scores"]
    return {key: (row["value"], row["original"], row["reason"]) for key, row in table.items()}


def test_a_follower_and_the_files_it_writes_have_the_same_numbers(
    follower: Path, store: Path, tmp_path: Path
) -> None:
    setting = ("sampling.temperature=0", "evaluate.sampling.temperature=0")
    files = ("export", "dd100", store, "--checkpoint", follower, "--out", tmp_path / "files")
    assert run(*files, setting[0]).exit_code == 0
    words = ("--data", store, "--out", tmp_path / "out", "--protocol", "duolando", setting[1])
    result = run("evaluate", follower, f"files={tmp_path / 'files'}", *words)
    assert result.exit_code == 0, result.output
    ours = scores(tmp_path / "out", "duolando", follower.name)
    assert ours == scores(tmp_path / "out", "duolando", "files")
    assert ours["FID_k"][0] is None and "singular" in str(ours["FID_k"][2])
    assert "BAS" in result.output and result.output.count("singular") == 3
    with (tmp_path / "out" / "duolando.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    (line,) = [x for x in lines if (x["run"], x["name"]) == ("files", "BED")]
    assert float(line["value"]) == ours["BED"][0]
    assert "As the original scripts print" in (tmp_path / "out" / "duolando.html").read_text()


def test_the_truth_has_no_distance_from_itself(store: Path, tmp_path: Path) -> None:
    dances = tmp_path / "dances"
    dances.mkdir()
    for clip in DuetStore.open(store).clips():
        write_npz(dances / f"{clip.name}.npz", clip.duet.follower)
    words = ("--data", store, "--out", tmp_path / "out", "--protocol", "bailando", "--original")
    result = run("evaluate", dances, *words)
    assert result.exit_code == 0, result.output
    found = scores(tmp_path / "out", "bailando", "dances")
    assert found["DIV_k"][0] == pytest.approx(found["DIV_k of the reference"][0], rel=1e-4)
    assert abs(found["FID_k"][1]) < 1e-3 and found["FID_k"][0] is None
    assert "original prints" in result.output


def test_what_a_published_protocol_cannot_use_is_refused_in_one_line(
    follower: Path, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    published = ("--protocol", "duolando", "--out", tmp_path / "out")
    assert "give --data" in refusal("evaluate", follower, *published)
    assert "no run was named" in refusal("evaluate", "--data", store, *published)
    assert "empty" in refusal("evaluate", tmp_path / "empty", "--data", store, *published)
    assert "wanted strict, duolando" in refusal("evaluate", follower, "--protocol", "fid")
    said = refusal("evaluate", follower, "--data", store, "--reference", tmp_path, "--own-files")
    assert "--reference, --own-files" in said and "--protocol" in said
    assert not (tmp_path / "out").exists()
