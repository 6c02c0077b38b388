"""Songs are found in files and folders, and wait for a dancer as clips."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.choreograph.settings import GuardConfig
from duet_rl.choreograph.songs import find_songs, require_leader, song_clip
from duet_rl.choreograph.task import SongTask
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from tests.choreograph.world import QUICK, RL, SECONDS, write_song
from tests.couple import stepping_couple


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_songs_of_files_and_folders_get_the_names_of_the_files(tmp_path: Path) -> None:
    touch(tmp_path, "one.wav", "more/b.MP3", "more/deep/a.flac", "more/notes.txt", "more/.x/c.ogg")
    found = find_songs([tmp_path / "one.wav", tmp_path / "more", tmp_path / "one.wav"])
    assert list(found) == ["one", "b", "a"]
    assert found["a"] == (tmp_path / "more/deep/a.flac").resolve()


def test_songs_of_one_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.mp3", "b/a.wav")
    assert sorted(find_songs([tmp_path / "a.wav", tmp_path / "a.mp3"])) == ["a.mp3", "a.wav"]
    with pytest.raises(InputError, match="have one name"):
        find_songs([tmp_path / "a.wav", tmp_path / "b"])


def test_places_without_songs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no song"):
        find_songs([tmp_path])
    with pytest.raises(InputError, match="does not exist"):
        find_songs([tmp_path / "gone.wav"])
    with pytest.raises(InputError, match="no song was named"):
        find_songs([])


def test_a_song_is_a_clip_of_a_soloist_as_long_as_the_song(song: Path, soloist: Path) -> None:
    clip = song_clip(song, "tango", load_follower(soloist))
    assert clip.solo and clip.audio == song
    assert SECONDS - 4 / FPS <= clip.seconds <= SECONDS + 4 / FPS
    assert clip.tempo == pytest.approx(120, rel=0.1)
    assert not clip.hold.any()
    assert song_clip(song, "x", load_follower(soloist), most_seconds=2.0).seconds == 2.0


def test_a_song_with_a_leader_lasts_no_longer_than_either(song: Path, partner: Path) -> None:
    leader: Motion = stepping_couple(2.5).leader
    clip = song_clip(song, "tango", load_follower(partner), leader)
    assert not clip.solo and clip.frames == 72, "2.5 s in whole tokens"
    assert torch.equal(clip.duet.leader.joints, leader.joints[:72])
    longer = song_clip(song, "tango", load_follower(partner), stepping_couple(30.0).leader)
    assert longer.frames == song_clip(song, "tango", load_follower(partner)).frames


def test_who_needs_a_leader_gets_one_and_nobody_else(soloist: Path, partner: Path) -> None:
    leader = stepping_couple(1.0).leader
    require_leader(load_follower(soloist), "me", None)
    require_leader(load_follower(partner), "me", leader)
    with pytest.raises(InputError, match=r"me dances alone.*leave out --leader"):
        require_leader(load_follower(soloist), "me", leader)
    with pytest.raises(InputError, match=r"me follows a leader.*with --leader"):
        require_leader(load_follower(partner), "me", None)


def test_a_dance_depends_on_song_follower_guard_and_leader(song: Path, tmp_path: Path) -> None:
    other = write_song(tmp_path / "other.wav", tempo=90.0)
    task = SongTask("tango", song, tmp_path, "of a follower", tmp_path, QUICK, RL)
    leader = stepping_couple(1.0).leader
    strict = QUICK.model_copy(update={"guard": GuardConfig(most_kl=0.1)})
    others = [
        replace(task, song=other),
        replace(task, follower_hash="of another one"),
        replace(task, config=strict),
        replace(task, rl=RL.model_copy(update={"lr": 1e-5})),
        replace(task, tuned=True),
        replace(task, seed=1),
        replace(task, leader=leader),
        replace(task, leader=leader.mirrored()),
    ]
    assert len({one.fingerprint() for one in (task, *others)}) == 1 + len(others)
    shown = replace(task, config=QUICK.model_copy(update={"shown_songs": 1, "parallel": True}))
    assert shown.fingerprint() == task.fingerprint()
