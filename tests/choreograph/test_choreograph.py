"""Dances to songs, without fine-tuning: files, reports, broken songs, resuming, leaders."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from duet_rl.choreograph import parallel
from duet_rl.choreograph.page import PAGE
from duet_rl.choreograph.run import choreograph
from duet_rl.choreograph.songs import song_clip
from duet_rl.choreograph.table import JSON, as_text
from duet_rl.choreograph.task import RESULT, WORKING
from duet_rl.cli.main import app
from duet_rl.errors import InputError
from duet_rl.generate.follower import generate, load_follower
from duet_rl.mocap.npz import read_npz
from duet_rl.models.sampling import SamplingConfig
from tests.choreograph.world import QUICK, RL, write_bailando, write_dancer, write_song
from tests.couple import stepping_couple

ALL = QUICK.model_copy(update={"files": ("npz", "bvh", "mp4", "html"), "most_seconds": 1.0})


@pytest.fixture
def broken(tmp_path: Path, song: Path) -> Path:
    """A sound file that was cut off."""
    path = tmp_path / "broken.wav"
    path.write_bytes(song.read_bytes()[:5000])
    return path


def test_a_song_gets_its_dance_in_all_kinds_of_files(
    song: Path, soloist: Path, tmp_path: Path
) -> None:
    found = choreograph([song], soloist, tmp_path / "out", ALL, RL, progress=False)
    (result,) = found.songs
    folder = tmp_path / "out" / "tango"
    assert {"dance.npz", "dance.bvh", "dance.mp4", "dance.html"} <= {
        x.name for x in folder.iterdir()
    }
    dance = read_npz(folder / "dance.npz")
    assert dance.seconds == pytest.approx(result.seconds)
    assert '"leader": null' in (folder / "dance.html").read_text(), "nobody sees the stage"
    told = json.loads((tmp_path / "out" / JSON).read_text())
    assert told["songs"][0]["name"] == "tango" and not told["failed"]
    measured = found.evaluation
    assert measured is not None and measured.clips == ["tango"]
    assert "contact_f1" not in measured.measures, "there is no partner"
    assert not {"reward/contact", "reward/tracking"} & set(measured.measures)
    assert {"reward/beat", "beat_f1", "beat_f1_shuffled", "diversity"} <= set(measured.measures)
    assert not (tmp_path / "out" / WORKING).exists()
    page = (tmp_path / "out" / PAGE).read_text()
    assert "tango" in page and "fine-tuning;" not in page, "nothing was fine-tuned"


def test_the_dance_is_the_one_that_generate_would_give_to_the_stage(
    song: Path, soloist: Path, tmp_path: Path
) -> None:
    choreograph(
        [song], soloist, tmp_path, QUICK.model_copy(update={"seeds": 2}), RL, progress=False
    )
    follower = load_follower(soloist)
    clip = song_clip(song, "tango", follower)
    first, _ = generate(follower, clip.duet.leader, clip.music, 0, samples=2)
    written = read_npz(tmp_path / "tango" / "dance.npz")
    torch.testing.assert_close(written.joints, first.joints, atol=1e-3, rtol=0)


def test_a_broken_song_fails_alone_and_is_told(
    song: Path, soloist: Path, broken: Path, tmp_path: Path
) -> None:
    found = choreograph([broken, song], soloist, tmp_path / "out", QUICK, RL, progress=False)
    assert [result.name for result in found.songs] == ["tango"]
    assert "cut off" in found.faults["broken"]
    assert "broken failed:" in as_text(found)
    assert not (tmp_path / "out" / "broken").exists()
    assert not (tmp_path / "out" / WORKING).exists()
    assert "broken failed:" in (tmp_path / "out" / PAGE).read_text()


def test_the_command_exits_with_1_when_a_song_failed(
    song: Path, soloist: Path, broken: Path, tmp_path: Path
) -> None:
    words = ["choreograph.parallel=false", "choreograph.seeds=2", "choreograph.files=[npz]"]
    options = ["--checkpoint", str(soloist), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, ["choreograph", str(song), str(broken), *words, *options])
    assert ran.exit_code == 1, ran.output
    assert "broken failed:" in ran.output and "tango" in ran.output
    ran = CliRunner().invoke(app, ["choreograph", str(song), *words, *options])
    assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("iterations=3", "unknown key 'iterations'"),
        ("choreograph.iteration=3", "did you mean 'iterations'"),
        ("no=song.wav", "no=song.wav does not exist; give the path of a song"),
    ],
)
def test_a_wrong_word_is_told_as_what_it_was_meant_for(
    word: str, told: str, song: Path, soloist: Path, tmp_path: Path
) -> None:
    options = ["--checkpoint", str(soloist), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, ["choreograph", str(song), word, *options])
    assert ran.exit_code == 2 and told in ran.output, ran.output
    assert not (tmp_path / "out").exists()


def test_what_is_done_is_not_done_again(
    song: Path, soloist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[str] = []
    real = parallel.choreograph_song

    def counted(task: parallel.SongTask) -> parallel.SongResult:
        worked.append(task.name)
        return real(task)

    monkeypatch.setattr(parallel, "choreograph_song", counted)
    other = write_song(tmp_path / "other.wav", tempo=90.0)
    out = tmp_path / "out"
    first = choreograph([song], soloist, out, QUICK, RL, progress=False)
    both = choreograph([song, other], soloist, out, QUICK, RL, progress=False)
    assert worked == ["tango", "other"]
    assert both.songs[0] == first.songs[0]
    shown = QUICK.model_copy(update={"shown_songs": 1})  # no dance depends on it
    choreograph([song, other], soloist, out, shown, RL, progress=False)
    assert worked == ["tango", "other"]
    choreograph([song], soloist, out, QUICK, RL, seed=1, progress=False)
    assert worked == ["tango", "other", "tango"], "another seed, another dance"
    (out / "tango" / RESULT).unlink()
    choreograph([song], soloist, out, QUICK, RL, seed=1, progress=False)
    assert len(worked) == 4, "a folder without a result is not whole"


def test_nothing_of_somebody_elses_is_lost(song: Path, soloist: Path, tmp_path: Path) -> None:
    notes = tmp_path / "out" / "tango" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    found = choreograph([song], soloist, tmp_path / "out", QUICK, RL, progress=False)
    assert "holds notes.txt" in found.faults["tango"] and notes.read_text() == "mine"
    report = tmp_path / "demo" / PAGE
    report.parent.mkdir()
    report.write_text("of a demo")
    with pytest.raises(InputError, match="would be lost"):
        choreograph([song], soloist, tmp_path / "demo", QUICK, RL, progress=False)
    assert list(report.parent.iterdir()) == [report] and report.read_text() == "of a demo"


def test_what_a_killed_run_has_left_is_cleared_away(
    song: Path, soloist: Path, tmp_path: Path
) -> None:
    left = tmp_path / "out" / ".tango.0123abcd.tmp"
    left.mkdir(parents=True)
    choreograph([song], soloist, tmp_path / "out", QUICK, RL, progress=False)
    assert not left.exists() and (tmp_path / "out" / "tango" / RESULT).is_file()


def test_a_partner_is_added_to_a_leader(song: Path, partner: Path, tmp_path: Path) -> None:
    couple = stepping_couple(2.0, fps=60)
    config = QUICK.model_copy(update={"files": ("npz", "html")})
    found = choreograph([song], partner, tmp_path, config, RL, leader=couple.leader, progress=False)
    assert found.songs[0].seconds == 2.0
    assert '"leader": {' in (tmp_path / "tango" / "dance.html").read_text()
    assert found.evaluation is not None and "penetration" in found.evaluation.measures
    assert not {"contact_f1", "hold_f1", "root_error"} & set(found.evaluation.measures)


def test_how_firmly_hands_are_held_reaches_the_dancer(
    song: Path, soloist: Path, tmp_path: Path
) -> None:
    config = QUICK.model_copy(update={"hold": 1.5})
    found = choreograph([song], soloist, tmp_path, config, RL, progress=False)
    assert "holds nobody" in found.faults["tango"]


def test_soloists_and_followers_of_leaders_are_not_mixed_up(
    song: Path, soloist: Path, partner: Path, tmp_path: Path
) -> None:
    leader = stepping_couple(2.0).leader
    with pytest.raises(InputError, match="leave out --leader"):
        choreograph([song], soloist, tmp_path, QUICK, RL, leader=leader, progress=False)
    with pytest.raises(InputError, match="with --leader"):
        choreograph([song], partner, tmp_path, QUICK, RL, progress=False)
    asked = ["generate", "--checkpoint", str(soloist), "--out", str(tmp_path / "d.npz")]
    for more in ([], ["--music", str(song)], ["--leader", "led.bvh", "--music", str(song)]):
        said = CliRunner().invoke(app, [*asked, *more])
        assert said.exit_code == 2 and f"choreograph SONG --checkpoint {soloist}" in said.output


def test_rewards_that_need_a_true_partner_alone_are_refused(
    song: Path, soloist: Path, tmp_path: Path
) -> None:
    weights = {"contact": 1.0, "tracking": 1.0, "foot": 0.0, "beat": 0.0, "consistency": 0.0}
    mix = RL.rewards.model_validate({"weights": weights})
    only = RL.model_copy(update={"rewards": mix})
    with pytest.raises(InputError, match="give foot, beat or consistency a weight"):
        choreograph([song], soloist, tmp_path, QUICK, only, progress=False)


def test_a_folder_without_a_follower_is_refused(song: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no follower"):
        choreograph([song], tmp_path, tmp_path / "out", QUICK, RL, progress=False)


def test_the_likeliest_dances_are_all_alike(song: Path, soloist: Path, tmp_path: Path) -> None:
    likeliest = SamplingConfig(temperature=0)
    found = choreograph([song], soloist, tmp_path, QUICK, RL, sampling=likeliest, progress=False)
    assert set(found.songs[0].before["diversity"]) == {0.0}
    assert len(set(found.songs[0].before["jerk"])) == 1


def test_a_follower_is_found_in_the_folder_of_its_run(song: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_dancer(run / "follower")
    found = choreograph([song], run, tmp_path / "out", QUICK, RL, progress=False)
    assert len(found.songs) == 1


def test_a_dancer_of_bailandos_kind_hears_the_song_in_his_own_way(
    song: Path, tmp_path: Path
) -> None:
    dancer = write_bailando(tmp_path / "follower")
    found = choreograph([song], dancer, tmp_path / "out", QUICK, RL, progress=False)
    (result,) = found.songs
    assert read_npz(tmp_path / "out" / "tango" / "dance.npz").seconds == pytest.approx(
        result.seconds
    )
    assert set(result.before["diversity"]) == {0.0}, "it takes the likeliest tokens"
