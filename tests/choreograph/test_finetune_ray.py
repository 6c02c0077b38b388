"""Fine-tuning to songs on Ray: before and after, kept or not, resumed after a kill."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch

from duet_rl.choreograph.files import AFTER, BEFORE
from duet_rl.choreograph.finetune import RECORD
from duet_rl.choreograph.page import PAGE
from duet_rl.choreograph.rehearsal import REWARD
from duet_rl.choreograph.run import choreograph
from duet_rl.choreograph.song import FOLLOWER
from duet_rl.choreograph.task import RESULT, WORKING
from duet_rl.generate.follower import load_follower
from tests.choreograph.world import LOOKS, QUICK, RL, write_bailando, write_song
from tests.couple import stepping_couple
from tests.integration.processes import alive, below, ended, started, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

START, GONE = 180.0, 60.0  # s: until a look on a busy machine; until all processes have ended
TUNED = QUICK.model_copy(update={"iterations": 4, "files": ("npz", "html")})


def test_songs_are_tuned_side_by_side_and_never_made_worse(
    soloist: Path, tmp_path: Path, ray_cluster: None
) -> None:
    songs = [write_song(tmp_path / f"song_{tempo}.wav", tempo) for tempo in (90, 130)]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(songs[0].read_bytes()[:5000])
    out = tmp_path / "out"
    config = TUNED.model_copy(update={"parallel": True})
    found = choreograph([*songs, broken], soloist, out, config, RL, tuned=True, progress=False)
    assert [song.name for song in found.songs] == ["song_90", "song_130"]
    assert "cut off" in found.faults["broken"]
    assert found.rows == (BEFORE, AFTER)
    for song in found.songs:
        assert song.after is not None
        before, after = (torch.tensor(x[REWARD]).mean() for x in (song.before, song.after))
        record = [json.loads(line) for line in (out / song.name / RECORD).read_text().splitlines()]
        assert [line["iteration"] for line in record] == list(range(song.looks))
        assert all(line["kl"] is not None for line in record)
        kept = (out / song.name / FOLLOWER).is_dir()
        assert kept == (song.iteration > 0)
        assert after > before if kept else song.after == song.before
        assert (out / song.name / "before.npz").is_file() == kept
        assert ("before", "after") == tuple(_names(out / song.name)) if kept else True
        if kept:
            now, start = (
                load_follower(folder).model.state_dict()
                for folder in (out / song.name / FOLLOWER, soloist)
            )
            assert any(not torch.equal(now[name], start[name]) for name in now)
    page = (out / PAGE).read_text()
    assert "song_90, before" in page and "broken failed" in page


def test_a_guard_that_allows_nothing_keeps_what_was_before(
    song: Path, soloist: Path, tmp_path: Path, ray_cluster: None
) -> None:
    strict = LOOKS.model_copy(update={"most_kl": 1e-9, "patience": 2})
    config = TUNED.model_copy(update={"guard": strict, "iterations": 50})
    found = choreograph([song], soloist, tmp_path, config, RL, tuned=True, progress=False)
    (result,) = found.songs
    assert result.iteration == 0 and result.after == result.before
    assert result.looks <= 4, "it ends long before 50 iterations"
    assert "kept what was before: refused 2 times (kl" in result.why
    assert not (tmp_path / "tango" / FOLLOWER).exists()


@pytest.mark.nightly
def test_a_partner_is_tuned_to_song_and_leader(
    song: Path, partner: Path, tmp_path: Path, ray_cluster: None
) -> None:
    leader = stepping_couple(3.0).leader
    config = TUNED.model_copy(update={"iterations": 2})
    found = choreograph(
        [song], partner, tmp_path, config, RL, tuned=True, leader=leader, progress=False
    )
    assert found.songs[0].looks == 3
    assert {"reward/foot", "reward/beat"} <= set(found.songs[0].before)
    assert "reward/contact" not in found.songs[0].before


@pytest.mark.nightly
def test_a_dancer_of_bailandos_kind_is_tuned_with_bailandos_loss(
    tmp_path: Path, ray_cluster: None
) -> None:
    dancer = write_bailando(tmp_path / "follower")
    longer = write_song(tmp_path / "longer.wav", seconds=6.0)
    rl = RL.model_copy(update={"loss": "bailando", "seconds": 5.0})
    out, config = tmp_path / "out", TUNED.model_copy(update={"iterations": 2})
    found = choreograph([longer], dancer, out, config, rl, tuned=True, progress=False)
    record = [json.loads(line) for line in (out / "longer" / RECORD).read_text().splitlines()]
    assert found.songs[0].looks == len(record) == 3
    assert all(line["kl"] is not None for line in record)


@pytest.mark.nightly
def test_an_interrupted_run_leaves_nothing_half_done_and_goes_on_by_the_same_command(
    song: Path, soloist: Path, tmp_path: Path
) -> None:
    words = [
        *("choreograph.iterations=12", "choreograph.guard.every=2", "choreograph.seeds=2"),
        *("choreograph.guard.patience=20", "choreograph.guard.seeds=2", "choreograph.files=[npz]"),
        *("rl.leaders=2", "rl.new_groups=1", "rl.batch_groups=1", "rl.seconds=1.6"),
    ]

    def command(out: Path) -> list[str]:
        places = [str(song), "--checkpoint", str(soloist), "--out", str(out), "--finetune"]
        return [sys.executable, "-m", "duet_rl", "choreograph", *places, *words]

    out = tmp_path / "out"
    record = out / WORKING / "tango" / RECORD
    with started(command(out), tmp_path / "first.log") as program:
        wait_until(
            lambda: program.poll() is not None or _lines(record) >= 3,
            *(START, "looks", tmp_path / "first.log"),
        )
        assert program.poll() is None, (tmp_path / "first.log").read_text()[-2000:]
        family = below(program.pid)
        program.send_signal(signal.SIGINT)
        ended(program, GONE, tmp_path / "first.log")
    wait_until(lambda: not alive(family), GONE, "all processes end")
    assert not (out / "tango").exists(), "nothing half done is left"
    looked = record.read_text().splitlines()
    with started(command(out), tmp_path / "second.log") as program:
        log = tmp_path / "second.log"
        assert ended(program, START, log) == 0, log.read_text()[-2000:]
    assert (out / "tango" / RESULT).is_file() and not (out / WORKING).exists()
    lines = (out / "tango" / RECORD).read_text().splitlines()
    assert lines[: len(looked)] == looked, "what was seen before the interruption stays"
    assert json.loads(lines[-1])["iteration"] == 12


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.is_file() else 0


def _names(folder: Path) -> list[str]:
    """Return who can be chosen on the page of a song."""
    text = (folder / "dance.html").read_text()
    start = text.index('"followers"')
    return [name for name in ("before", "after") if f'"name": "{name}"' in text[start:]]
