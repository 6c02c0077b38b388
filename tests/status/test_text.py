"""A run is told in words and curves that are as high as its numbers."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duet_rl.status.curves import chart, knows_blocks, sparkline
from duet_rl.status.plot import draw_run
from duet_rl.status.read import read_run
from duet_rl.status.text import as_text
from tests.cli.conftest import refusal, run
from tests.status.runs import NOW, pretrain_rows, rl_rows, write_finished, write_log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run whose pretraining is done and whose RL is at its 30th iteration of 40."""
    write_log(tmp_path / "logs" / "follower", pretrain_rows(200, 200), age=900.0)
    write_finished(tmp_path / "follower", steps=200, seconds=75.0)
    write_log(tmp_path / "rl_work", rl_rows(30, 40), age=1.0)
    return tmp_path


def test_a_running_stage_says_how_far_it_is_how_fast_and_how_long_it_takes(folder: Path):
    lines = as_text(read_run(folder, NOW)).splitlines()
    (follower,) = [line.split() for line in lines if line.startswith("  follower")]
    (rl,) = [line for line in lines if line.startswith("  rl")]
    assert follower[:2] == ["follower", "done"] and {"200", "1", "15"} <= set(follower)
    for said in ("running", "30 of 40 iterations (75%)", "2.0 s each", "20 s left", "0.750"):
        assert said in rl, said


def test_the_curve_of_the_stage_that_runs_is_drawn_and_ends_high_where_its_numbers_do(
    folder: Path,
):
    text = as_text(read_run(folder, NOW), blocks=False)
    (total,) = [line for line in text.splitlines() if line.startswith("reward/total")]
    assert total.split()[1] == "0.025" and total.split()[-1] == "0.75"
    assert "_" in total and total.split()[-2].endswith("#")
    assert "loss" not in text.split("rl, step 30")[1], "the follower is done"


def test_lines_keep_to_the_width_of_the_terminal(folder: Path):
    for width in (60, 80, 120):
        drawn = as_text(read_run(folder, NOW), width).partition("\n\n")[2].splitlines()
        assert max(map(len, drawn)) <= width


def test_a_chart_has_one_dot_or_more_in_every_column_and_rises_with_its_values():
    lines = chart(list(range(64)), width=32, height=4)
    dots = np.array([[ord(c) - 0x2800 for c in line] for line in lines])
    assert dots.shape == (4, 32) and (dots.max(axis=0) > 0).all()
    highest = (dots > 0).argmax(axis=0)  # lines are top first
    assert (np.diff(highest) <= 0).all() and highest[0] == 3 and highest[-1] == 0


def test_a_chart_joins_neighbours_that_are_far_apart():
    (top, middle, bottom) = chart([0.0, 0.0, 1.0, 1.0], width=2, height=3)
    assert ord(middle[1]) > 0x2800, "the jump is a line"
    assert ord(top[1]) > 0x2800 and ord(bottom[0]) > 0x2800 and ord(top[0]) == 0x2800


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0], list(range(1000))])
def test_curves_of_any_length_fit(values: list[float]):
    assert len(sparkline(values, 20)) == min(20, len(values))
    assert {len(line) for line in chart(values, 20, 3)} == {min(20, -(-len(values) // 2))}


def test_a_terminal_without_blocks_is_known():
    assert knows_blocks(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert not knows_blocks(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))


def test_the_picture_shows_every_stage(folder: Path, tmp_path: Path):
    both = np.asarray(Image.open(draw_run(read_run(folder, NOW), tmp_path / "both.png")))
    (folder / "logs" / "follower" / "metrics.jsonl").unlink()
    one = np.asarray(Image.open(draw_run(read_run(folder, NOW), tmp_path / "one.png")))
    assert both.size > one.size, "a panel a curve"
    assert (one[..., :3] < 200).any() and (one[..., 2] > one[..., 0].astype(int) + 60).any()


def test_the_command_tells_and_draws(folder: Path, tmp_path: Path):
    said = run("status", folder, "--png", tmp_path / "curves.png").output
    assert "30 of 40 iterations" in said and "curves.png" in said
    assert (tmp_path / "curves.png").is_file()


def test_a_picture_that_would_be_a_folder_is_refused(folder: Path, tmp_path: Path):
    said = run("status", folder, "--png", tmp_path)
    assert said.exit_code == 2 and "--png" in said.output


def test_the_command_stops_watching_what_does_not_run(folder: Path):
    write_log(folder / "rl_work", rl_rows(30, 40), age=1e9)
    assert "stopped" in run("status", folder, "--watch", "--every", "0.1").output


def test_a_folder_of_something_else_is_one_line(tmp_path: Path):
    assert "holds no training" in refusal("status", tmp_path)


def test_a_uri_is_told_and_is_no_folder_here():
    result = run("status", "s3://bucket/run")
    assert result.exit_code == 2 and "URI" in result.output
