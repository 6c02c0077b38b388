"""AIST++ on the command line."""

from pathlib import Path

from tests.cli.conftest import refusal, run
from tests.datasets.aistpp_tree import write_tree

HERE = "prepare.parallel=false"


def test_a_stand_in_body_and_the_data_set_make_a_store(tmp_path: Path) -> None:
    said = run("prepare", "body", "--smpl", "--out", tmp_path / "models").output
    assert "SMPL_MALE.npz: a stand-in skeleton" in said
    root = write_tree(tmp_path / "aist")
    made = run(
        *("prepare", "aistpp", root, "--smpl", tmp_path / "models", "--out", tmp_path / "store"),
        *(HERE, "aistpp.val_is_test=true", "prepare.split.rl=0.15"),
    )
    assert "7 clips, 0.3 min (3 train, 1 rl, 0 val, 3 test)" in made.output


def test_no_body_model_is_told(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "aist")
    told = refusal(
        *("prepare", "aistpp", root, "--smpl", tmp_path / "nothing", "--out", tmp_path / "store")
    )
    assert "wanted SMPL_MALE.pkl or its folder" in told
    assert not (tmp_path / "store").exists()
