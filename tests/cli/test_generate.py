"""`duet-rl generate` beside somebody: whom, from which pose, how firmly, how many; what is told."""

import shutil
from pathlib import Path

import av
import pytest
import torch

from duet_rl import checkpoint
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import CLIPS
from duet_rl.generate.wish import Wish
from duet_rl.mocap.npz import read_npz
from duet_rl.mocap.read import read_motion
from tests.cli.conftest import refusal, run


@pytest.fixture(scope="module")
def clip(store: Path) -> Path:
    """A clip of a store: a file of two persons."""
    return store / CLIPS / f"{DuetStore.open(store).clips()[0].name}.npz"


@pytest.fixture(scope="module")
def words(follower: Path, store: Path) -> tuple[object, ...]:
    return "generate", "--checkpoint", follower, "--music", DuetStore.open(store).clips()[0].audio


@pytest.fixture(scope="module")
def who_leads(follower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same follower, had it learned from a store whose roles were exchanged."""
    folder = tmp_path_factory.mktemp("lead") / "follower"
    shutil.copytree(follower, folder)
    meta = folder / checkpoint.META
    meta.write_text(meta.read_text().replace("{", '{"part": "leader", ', 1))
    return folder


def test_the_best_of_many_is_written_and_the_table_tells_of_all(words, clip, tmp_path) -> None:
    out = tmp_path / "d.bvh", tmp_path / "d.html", tmp_path / "d.npz"
    asked = ("--best-of", 2, "--samples", 2, "--out", *out)
    result = run(*words, "--follow", clip, *asked)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("d-1.bvh", "d-1.npz", "d-2.bvh", "d-2.npz"),
        *("d.html", "d.leader.bvh"),
    ]
    lines = result.output.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("4 dances"))
    assert lines[begin + 1].split()[:2] == ["dance", "total"]
    totals = [float(line.split()[1]) for line in lines[begin + 2 : begin + 6]]
    assert totals == sorted(totals, reverse=True)
    leader = read_motion(clip, person="leader")
    written = read_motion(tmp_path / "d.leader.bvh")
    torch.testing.assert_close(written.joints, leader.joints, atol=1e-4, rtol=0)
    alone = tmp_path / "alone"
    run(*words, "--follow", clip, "--best-of", 4, "--out", alone / "d.npz")
    assert torch.equal(read_npz(alone / "d.npz").joints, read_npz(tmp_path / "d-1.npz").joints)


def test_who_learned_to_lead_leads_and_who_did_not_does_not(
    words, clip, who_leads: Path, tmp_path
) -> None:
    out = ("--out", tmp_path / "d.bvh", tmp_path / "d.html")
    leading = (*words[:2], who_leads, *words[3:])
    result = run(*leading, "--lead", clip, *out)
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {"d.bvh", "d.follower.bvh", "d.html"}
    led = read_motion(tmp_path / "d.follower.bvh")
    true = read_motion(clip, person="follower")
    torch.testing.assert_close(led.joints, true.joints, atol=1e-4, rtol=0)
    page = (tmp_path / "d.html").read_text()
    assert '"name": "leader"' in page and '"name": "follower"' in page
    assert "cannot lead; give --leader" in refusal(*words, "--lead", clip, *out)
    assert "follows nobody; give --lead" in refusal(*leading, "--follow", clip, *out)
    assert "nobody does both" in refusal(*words, "--follow", clip, "--lead", clip, *out)


def test_a_dance_begins_with_the_pose_of_the_other_in_the_take(words, clip, tmp_path) -> None:
    out = tmp_path / "d.npz"
    result = run(*words, "--follow", clip, "--start", f"{clip}:0.5", "--out", out)
    assert result.exit_code == 0, result.output
    pose = read_motion(clip, person="follower").joints[15]
    first = read_npz(out).joints[0]
    assert (first[0] - pose[0])[[0, 2]].norm() < 1e-4
    assert ((first - first[0]) - (pose - pose[0])).norm(dim=-1).max() < 0.05  # bones of another
    told = next(line for line in result.output.splitlines() if line.startswith("start: "))
    assert "m from the leader" in told
    placed = run(*(*words, "--follow", clip, "--start", clip, "--start-at", "1.5,90", "--out", out))
    assert "start: 1.50 m from the leader" in placed.output


def test_hands_are_held_as_firmly_as_asked(words, clip, tmp_path) -> None:
    joints = {}
    for hold in ("0", "1", "2"):
        run(*words, "--follow", clip, "--hold", hold, "--out", tmp_path / f"{hold}.npz")
        joints[hold] = read_npz(tmp_path / f"{hold}.npz").joints
    run(*words, "--follow", clip, "--out", tmp_path / "usual.npz")
    assert torch.equal(joints["1"], read_npz(tmp_path / "usual.npz").joints)
    assert not torch.equal(joints["0"], joints["1"])
    assert torch.equal(joints["0"][:, :16], joints["2"][:, :16])  # arms alone differ


def test_a_video_has_the_size_that_was_asked_for(words, clip, tmp_path) -> None:
    run(*words, "--follow", clip, "--size", "160x90", "--out", tmp_path / "d.mp4")
    with av.open(tmp_path / "d.mp4") as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (160, 90)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("--person", "third"), "it has 2: 1 leader, 2 follower"),
        (("--size", "160x90"), "--size is for videos"),
        (("--start-at", "0.8"), "give --start FILE"),
        (("--start", "none.npz"), "start pose"),
        (("--best-of", 2, "--temperature", 0), "all dances are one and the same"),
        (("--seconds", 2), "are for dances to words"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(words, clip, tmp_path, asked, why) -> None:
    assert why in refusal(*words, "--follow", clip, *asked, "--out", tmp_path / "d.npz")
    assert not list(tmp_path.iterdir())


def test_sizes_and_places_that_are_none_are_refused(tmp_path) -> None:
    from duet_rl.errors import InputError

    for size in ("1280", "1281x720", "axb"):
        with pytest.raises(InputError, match="even pixels"):
            _ = Wish(tmp_path, [tmp_path / "d.mp4"], size=size).video
    assert Wish(tmp_path, [], start_at="0.8,-30").place == (0.8, -30.0)
    assert Wish(tmp_path, [], start_at="0.8").place == (0.8, 0.0)
    for text in ("near", "0.8,30,99", "nan", "0.8,inf"):
        with pytest.raises(InputError, match="METRES"):
            _ = Wish(tmp_path, [], start_at=text).place
