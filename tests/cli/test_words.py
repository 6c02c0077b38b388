"""`duet-rl generate --text`: files, what is told of them, and what is refused."""

from pathlib import Path

import pytest

from duet_rl.datasets.store import DuetStore
from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.read import read_motion
from tests.cli.conftest import refusal, run
from tests.generate.text_dancer import write_text_dancer

TEXT = "steps back and raises both hands"


@pytest.fixture(scope="module")
def dancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_dancer(tmp_path_factory.mktemp("cli") / "dancer")


@pytest.mark.slow
def test_a_text_becomes_every_file_that_is_asked_for(dancer: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"dance{suffix}" for suffix in (".npz", ".bvh", ".html", ".mp4")]
    words = ("--checkpoint", dancer, "--text", TEXT, "--seconds", 1.5)
    result = run("generate", *words, "--out", *outs)
    assert result.exit_code == 0, result.output
    npz, bvh = read_motion(outs[0]), read_motion(outs[1])
    assert npz.seconds == bvh.seconds == pytest.approx(1.5, abs=0.05)
    assert '"audio": null' in outs[2].read_text() and outs[3].stat().st_size > 0
    assert "understood: steps back; raises both arms" in result.output
    assert "the dance shows: " in result.output


def test_several_dances_get_a_file_each_and_one_page(dancer: Path, tmp_path: Path) -> None:
    outs = tmp_path / "d.npz", tmp_path / "d.html"
    result = run("generate", "--checkpoint", dancer, "--text", TEXT, "--samples", 2, "--out", *outs)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d-1.npz", "d-2.npz", "d.html"]
    page = outs[1].read_text()
    assert '"name": "d 1"' in page and '"name": "d 2"' in page and TEXT in page
    assert "dance 2 shows: " in result.output


def test_words_that_nobody_can_check_are_danced_all_the_same(dancer: Path, tmp_path: Path) -> None:
    text = "sways gracefully like a willow"
    result = run("generate", "--checkpoint", dancer, "--text", text, "--out", tmp_path / "d.npz")
    assert result.exit_code == 0, result.output
    assert "nothing that can be checked (not: " in result.output and "willow" in result.output
    assert (tmp_path / "d.npz").is_file()


def test_what_does_not_go_together_is_refused_in_one_line(
    dancer: Path, follower: Path, store: Path, tmp_path: Path
) -> None:
    clip = DuetStore.open(store).clips()[0]
    write_bvh(tmp_path / "leader.bvh", clip.duet.leader)
    out = ("--out", tmp_path / "d.npz")
    led = ("--leader", tmp_path / "leader.bvh", "--music", clip.audio)
    text = ("--text", TEXT)
    assert "--leader and --music, or --text" in refusal("generate", "--checkpoint", follower, *out)
    assert "hears no words" in refusal("generate", "--checkpoint", follower, *out, *led, *text)
    assert "leave out --leader" in refusal("generate", "--checkpoint", dancer, *out, *led, *text)
    assert "alone; give --text" in refusal("generate", "--checkpoint", dancer, *out, *led)
    short = ("--seconds", 2)
    assert "are for dances to words" in refusal(
        "generate", "--checkpoint", follower, *out, *led, *short
    )
    tower = ("--clip", tmp_path)
    assert "for a PGR2M" in refusal("generate", "--checkpoint", dancer, *out, *text, *tower)
    assert not (tmp_path / "d.npz").exists()
