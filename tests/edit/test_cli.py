"""`duet-rl edit`: files, what is told of them, and what is refused."""

import json
from pathlib import Path

import pytest

from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.npz import write_npz
from duet_rl.mocap.read import read_motion
from tests.cli.conftest import refusal, run
from tests.couple import standing_couple
from tests.edit.codecs import tiny_codec

TEXT = "raise the left arm in the second half"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec, and a couple of a second as files."""
    folder = tmp_path_factory.mktemp("edit")
    tiny_codec().save(folder / "codec", {})
    couple = standing_couple(1.0)
    write_bvh(folder / "take.bvh", couple.follower)
    write_npz(folder / "leader.npz", couple.leader)
    return folder


def test_a_take_is_edited_into_every_file_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"edited{suffix}" for suffix in (".html", ".bvh", ".npz")]
    words = ("--checkpoint", folder / "codec", "--say", TEXT, "--report", tmp_path / "report.json")
    result = run(
        *("edit", folder / "take.bvh", outs[1], outs[2], "--out", outs[0]),
        *("--leader", folder / "leader.npz", *words),
    )
    assert result.exit_code == 0, result.output
    before, after = (read_motion(path) for path in (folder / "take.bvh", outs[1]))
    assert after.frames == before.frames == 30
    assert (after.joints[:2] - before.joints[:2]).abs().max() < 1e-3
    assert (after.joints[-1, 20] - before.joints[-1, 20]).norm() > 0.2, "the wrist went up"
    assert (read_motion(outs[2]).joints - after.joints).abs().max() < 2e-3
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["edits"][0]["shown_after"] >= 0.8 and report["after"]["kept_recall"] == 1
    assert "raise the left arm" in outs[0].read_text() and "raise the left arm" in result.output


def test_a_plan_is_a_file_of_edits(folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    bend = {"angle-left_shoulder-left_elbow-left_wrist": [6, 7, 8, 9]}
    typed = {"part": ["left_arm"], "what": "bend it", "wanted": bend, "start": 10, "stop": 30}
    plan.write_text(json.dumps({"edits": [typed]}))
    words = ("--checkpoint", folder / "codec", "--plan", plan, "--nearest")
    result = run("edit", folder / "take.bvh", "--out", tmp_path / "d.npz", *words)
    assert result.exit_code == 0, result.output
    assert "bend it  20 frames" in result.output
    typed["limb"] = "left_arm"
    plan.write_text(json.dumps({"edits": [typed]}))
    assert "limb" in refusal("edit", folder / "take.bvh", "--out", tmp_path / "d.npz", *words)
    plan.write_text("[1")
    assert "is no JSON" in refusal("edit", folder / "take.bvh", "--out", tmp_path / "d.npz", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing to change"),
        (("--say", "raise the left wing"), "'wing'"),
        (("--say", "raise the left arm from 3 to 4 seconds"), "1 s"),
        (("--say", TEXT, "--leader", "nobody.bvh"), "nobody.bvh does not exist"),
        (("--say", "touch the left knee with the left hand"), "none of the 40 real poses"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    folder: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    given = ("--checkpoint", folder / "codec", "--out", tmp_path / "d.npz", *words)
    assert told in refusal("edit", folder / "take.bvh", *given)
    assert not list(tmp_path.iterdir())


def test_files_that_no_dance_is_written_as_are_refused_first(folder: Path, tmp_path: Path) -> None:
    given = ("--checkpoint", folder / "codec", "--say", TEXT, "--out", tmp_path / "d.gif")
    assert "d.gif ends in '.gif'" in refusal("edit", folder / "take.bvh", *given)
