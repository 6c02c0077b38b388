"""The Python face: instant to import, the same dances as the command line, a page that runs."""

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import duet_rl
from duet_rl.api.inputs import features_of
from duet_rl.api.model import Model
from duet_rl.body.motion import Motion
from duet_rl.cli.main import app
from duet_rl.errors import InputError
from duet_rl.generate import export
from duet_rl.generate.media import VideoConfig
from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.npz import read_npz
from tests.tiny_run import DATA, READABLE, RUN, SONG, TAKE, clicks, make_place

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "python.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def model(place: Path) -> Model:
    return duet_rl.load(place / RUN)


def test_the_package_is_imported_without_what_it_stands_on() -> None:
    code = (
        "import sys, duet_rl; heavy = {'torch', 'numpy', 'ray', 'pydantic', 'librosa', 'scipy'}; "
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "import duet_rl brings these"


def test_every_name_of_the_package_is_there_and_no_other() -> None:
    assert {name for name in duet_rl.__all__ if getattr(duet_rl, name) is None} == set()
    assert set(duet_rl.__all__) <= set(dir(duet_rl))
    with pytest.raises(AttributeError, match="'duet_rl' has no attribute 'lode'"):
        _ = duet_rl.lode  # type: ignore[attr-defined]


def test_the_blocks_of_the_page_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    small = partial(VideoConfig, width=160, height=90)
    monkeypatch.setattr(export, "VideoConfig", small)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    written = {path.name for path in place.iterdir() if path.is_file()}
    assert {"dance.mp4", "dance.bvh", "three.html", "three-3.npz", "edited.npz"} <= written
    assert (place / "runs" / "compared" / "report.html").is_file()


def test_python_and_the_command_line_dance_alike(place: Path, model: Model, tmp_path: Path) -> None:
    out = tmp_path / "told.npz"
    words = ["--checkpoint", place / RUN / "follower", "--leader", place / TAKE]
    words += ["--music", place / SONG, "--seed", 3, "--temperature", 1, "--out", out]
    told = CliRunner().invoke(app, ["generate", *map(str, words)])
    assert told.exit_code == 0, told.output
    dance = model.follow(place / TAKE, place / SONG, seed=3, temperature=1)
    (saved,) = dance.save(tmp_path / "saved.npz")
    assert torch.equal(read_npz(saved).joints, read_npz(out).joints)


def test_files_motions_and_samples_are_the_same_leader_and_song(place: Path, model: Model) -> None:
    by_path = model.follow(str(place / TAKE), place / SONG)
    leader = duet_rl.read_motion(place / TAKE)
    stereo = np.stack([clicks(1.7)] * 2, axis=1)
    by_value = model.follow(leader, (stereo, 22_050))
    assert by_value.leader is not None and by_value.frames == leader.frames == by_path.frames
    torch.testing.assert_close(by_value.joints, by_path.joints, atol=1e-3, rtol=0)


def test_sound_is_heard_alike_in_floats_whole_numbers_and_either_order(model: Model) -> None:
    sound = clicks(1.7)
    whole = (sound * 32767).round().astype(np.int16)
    unsigned = ((sound + 1) * 127.5).round().astype(np.uint8)
    follower = model.follower
    assert follower is not None
    heard = features_of((sound, 22_050), follower)
    for same in (whole, np.stack([whole] * 2), np.stack([sound] * 2), np.stack([sound] * 2, 1)):
        again = features_of((same, 22_050), follower)
        torch.testing.assert_close(again, heard, atol=1e-2, rtol=1e-2)
    assert features_of((unsigned, 22_050), follower).shape == heard.shape


def test_an_array_of_joints_is_a_leader_in_its_place(place: Path, model: Model) -> None:
    leader = duet_rl.read_motion(place / TAKE).moved((1.0, 0.0, 2.0))
    dance = model.follow(leader.joints.numpy(), place / SONG)
    assert dance.leader is not None and dance.frames == leader.frames
    torch.testing.assert_close(dance.leader.joints, leader.joints, atol=0.02, rtol=0)


def test_samples_differ_and_the_dance_is_the_first(place: Path, model: Model) -> None:
    dance = model.follow(place / TAKE, place / SONG, samples=2, seed=1)
    first, second = dance.samples
    assert torch.equal(first.joints, dance.joints) and not torch.equal(first.joints, second.joints)
    assert second.leader is dance.leader and second.duet is not None


def test_tokens_come_back_and_stand_for_whole_tokens(place: Path, model: Model) -> None:
    leader = duet_rl.read_motion(place / TAKE).slice(0, 35)
    tokens = model.tokens(leader.moved((0.0, 0.0, 0.8)), leader=leader)
    assert tokens.shape == (8, len(model.codec.spec))
    motion = model.motion(tokens, leader=leader)
    assert motion.frames == 32
    assert torch.equal(model.motion(tokens.numpy(), leader=leader).joints, motion.joints)


def test_a_dancer_is_told_from_the_stage_where_nobody_leads(place: Path) -> None:
    codec = duet_rl.load(place / RUN / "follower")
    take = duet_rl.read_motion(place / TAKE)
    alone = codec.motion(codec.tokens(take))
    assert isinstance(alone, Motion) and torch.isfinite(alone.joints).all()


def test_a_codec_alone_cannot_dance_but_edits(place: Path) -> None:
    codec = duet_rl.load(place / READABLE)
    with pytest.raises(InputError, match=r"holds a codec, which cannot dance"):
        codec.follow(place / TAKE, place / SONG)
    dance = codec.edit(place / TAKE, "raise your left arm", nearest=True)
    take = duet_rl.read_motion(place / TAKE)
    moved = (dance.joints - take.joints).norm(dim=-1).amax(0)
    left, right = 20, 21  # wrists
    assert moved[left] > 0.05 and moved[right] < 1e-4 and dance.notes


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda m, p: m.follow(p / "none.bvh", p / SONG), r"none\.bvh"),
        (lambda m, p: m.follow(p / TAKE, p / "none.wav"), r"none\.wav does not exist"),
        (lambda m, p: m.follow(np.zeros((8, 3)), p / SONG), r"shape \(8, 3\) is no motion"),
        (lambda m, p: m.follow(p / TAKE, np.zeros(9)), r"shape \(9,\) is no music"),
        (lambda m, p: m.follow(p / TAKE, (np.zeros(9), 0)), r"at 0 Hz"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, samples=0), r"samples=0"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, temperature=-1.0), r"temperature"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, samples=2.5), r"samples=2\.5; wanted a whole"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, seed=None), r"seed=None; wanted a whole"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, seed=2**70), r"wanted a whole number"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, look_ahead=1.5), r"look_ahead=1\.5"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, hold="x"), r"hold='x'; wanted a number"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, fps="30"), r"fps='30'; wanted a number"),
        (lambda m, p: m.follow(p / TAKE, None), r"there is no music"),
        (lambda m, p: m.follow(p / TAKE, np.array([[1, None]])), r"music of object"),
        (lambda m, p: m.follow(p / TAKE, (np.full(44100, np.nan), 22050)), r"samples that are NaN"),
        (lambda m, p: m.follow(p / TAKE, (np.full(44100, 3e4), 22050)), r"beyond \[-1, 1\]"),
        (lambda m, p: m.follow(p / TAKE, (np.zeros(99), 22050)), r"^the music lasts 0\.00 s"),
        (lambda m, p: m.follow(np.zeros((8, 23, 3)), p / SONG), r"^the array: an array of shape"),
        (lambda m, p: m.follow(np.full((8, 22, 3), "a"), p / SONG), r"array of <U1 .*is no motion"),
        (lambda m, p: m.motion("abc"), r"tokens are given as str"),
        (lambda m, p: m.motion(torch.zeros(6, dtype=torch.long)), r"tokens of shape \(6,\)"),
        (lambda m, p: m.motion(torch.full((2, 6), 0.5)), r"float32; wanted whole numbers"),
        (lambda m, p: duet_rl.load(None), r"given as NoneType"),
        (lambda m, p: duet_rl.load(p / RUN, device="meta"), r"nothing is computed on meta"),
        (lambda m, p: m.follow(p / TAKE, p / SONG, text="steps back"), r"hears no words"),
        (lambda m, p: m.dance(music=p / SONG), r"call follow\(\)"),
        (lambda m, p: m.edit(p / TAKE, "raise your left arm"), r"--preset readable"),
        (lambda m, p: m.tokens(duet_rl.read_motion(p / TAKE).slice(0, 3)), r"has 3 frames"),
        (lambda m, p: m.motion(torch.full((2, 9), 10**6)), r"streams|holds tokens"),
        (lambda m, p: m.follow(duet_rl.read_motion(p / TAKE), p / SONG, fps=60), r"leave out fps"),
        (lambda m, p: duet_rl.load(p / DATA), r"holds no follower and no codec"),
        (lambda m, p: duet_rl.load(p / "nothing"), r"does not exist"),
        (lambda m, p: duet_rl.compare([p / RUN, p / "x" / "mine"], p / DATA), r"two runs"),
    ],
)
def test_what_cannot_be_done_is_said(
    place: Path, model: Model, ask, answer: str, as_users_run
) -> None:
    with pytest.raises(InputError, match=answer):
        ask(model, place)


@pytest.mark.parametrize("lost", ["config.yaml", "meta.json", "weights.safetensors"])
@pytest.mark.parametrize("whole", [None, "follower"])
def test_a_follower_that_lost_a_file_is_neither_a_codec_nor_an_earlier_one(
    place: Path, tmp_path: Path, whole: str | None, lost: str
) -> None:
    torn = tmp_path / ("run" if whole is None else "run/rl")
    for folder in (torn, *([] if whole is None else [tmp_path / "run" / whole])):
        shutil.copytree(place / RUN / "follower", folder)
    (torn / lost).unlink()
    with pytest.raises(InputError, match=rf"{torn} is no whole checkpoint: it lacks {lost}"):
        duet_rl.load(tmp_path / "run")


def test_no_dance_is_written_over_what_it_was_made_of(
    place: Path, model: Model, tmp_path: Path
) -> None:
    mine = tmp_path / "led.leader.bvh"
    write_bvh(mine, duet_rl.read_motion(place / TAKE))
    taken = mine.read_bytes()
    dance = model.follow(mine, place / SONG)
    for path in (mine, tmp_path / "led.bvh"):  # the latter has its leader beside it
        with pytest.raises(InputError, match="is read, and would be written over"):
            dance.save(tmp_path / "first.npz", path)
    with pytest.raises(InputError, match="written twice"):
        dance.save(tmp_path / "one.npz", tmp_path / "one.npz")
    assert [*tmp_path.iterdir()] == [mine] and mine.read_bytes() == taken


def test_a_suffix_that_nothing_is_written_as_writes_nothing(
    place: Path, model: Model, tmp_path: Path
) -> None:
    dance = model.follow(place / TAKE, place / SONG)
    with pytest.raises(InputError, match=r"dance\.gif"):
        dance.save(tmp_path / "dance.npz", tmp_path / "dance.gif")
    assert not list(tmp_path.iterdir())
