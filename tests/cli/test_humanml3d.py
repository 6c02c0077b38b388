"""HumanML3D on the command line."""

from pathlib import Path

from tests.cli.conftest import refusal, run
from tests.datasets.humanml3d_tree import write_bodies


def test_the_data_set_makes_a_store(tmp_path: Path) -> None:
    root = tmp_path / "HumanML3D"
    write_bodies(root, {"000000": 60, "M000000": 60}, "train")
    for name, split in (("000001", "val"), ("000002", "test")):
        write_bodies(root, {name: 40}, split)
    words = ("--out", tmp_path / "store", "prepare.parallel=false")
    made = run("prepare", "humanml3d", root, *words, "humanml3d.mirrored=false")
    assert "3 clips, 0.1 min (1 train, 1 val, 1 test)" in made.output
    (root / "test.txt").unlink()
    assert "test.txt" in refusal("prepare", "humanml3d", root, "--out", tmp_path / "other")
