"""`duet-rl convert duolando`: three original checkpoints become a follower that dances."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from duet_rl import checkpoint
from duet_rl.audio.files import write_wav
from duet_rl.audio.provenance import AUTHORS
from duet_rl.cli.main import app
from duet_rl.compat.duolando import DEMO_TOKENS, convert
from duet_rl.compat.vqvae import original_state
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.synthetic import SyntheticConfig, synthesize
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.generate.follower import load_follower
from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.npz import read_npz
from duet_rl.models.policy import SamplingConfig
from tests.cli.conftest import refusal, run
from tests.compat.originals import (
    GPT,
    GPT_STORED,
    VQ_STORED,
    Files,
    small_states,
    write,
    write_all,
    write_small,
)
from tests.datasets.conftest import make_clip
from tests.planted import writes

GREEDY = SamplingConfig(temperature=0)
PARTS = ("pose", "translation", "gpt")
SECONDS = 3.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_small(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="module")
def converted(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "follower"
    result = run("convert", "duolando", *files.options, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{out}: 5 streams of 8 codes, width 8, 2 heads, trained with z up" in result.output
    return out


def test_weights_and_quirks_arrive(converted: Path):
    follower = load_follower(converted)
    pose, translation, gpt = small_states()
    assert all(torch.equal(x, pose[k]) for k, x in original_state(follower.codec.pose).items())
    placement = original_state(follower.codec.placement)
    assert all(torch.equal(x, translation[k]) for k, x in placement.items())
    assert torch.equal(follower.model.tables[0].weight, gpt["tok_emb_up.weight"])
    config = follower.codec.config
    assert config.pose.zero_first_joints and config.decoding.joints == "positions"
    assert (config.frame.kind, config.frame.up) == ("world", "z")
    assert follower.model.config.heads == GPT.heads
    assert not follower.model.config.own_right_hand_table


def test_meta_says_where_it_comes_from(converted: Path, files: Files):
    meta = checkpoint.read_meta(converted)
    for name, path in zip(PARTS, files, strict=True):
        facts = meta["converted_from"][name]
        assert facts == {"file": path.name, "sha256": sha256_of(path), "epoch": 500}
    assert meta["music"]["compat"] == "0.8"


def test_converted_follower_dances(converted: Path, tmp_path: Path):
    clip = synthesize(1, SyntheticConfig(seconds=SECONDS))
    write_bvh(tmp_path / "leader.bvh", clip.duet.leader)
    rate = 22050
    beat = np.sin(np.arange(int((SECONDS + 0.5) * rate)) / 20).astype(np.float32) / 2
    write_wav(tmp_path / "song.wav", beat, rate)
    words = ("--leader", tmp_path / "leader.bvh", "--music", tmp_path / "song.wav")
    out = tmp_path / "follower.npz"
    result = run("generate", "--checkpoint", converted, *words, "--out", out, tmp_path / "f.bvh")
    assert result.exit_code == 0, result.output
    danced = read_npz(out)
    assert danced.frames == clip.duet.leader.frames
    again = run("generate", "--checkpoint", converted, *words, "--out", tmp_path / "again.npz")
    assert again.exit_code == 0
    assert torch.equal(read_npz(tmp_path / "again.npz").joints, danced.joints)


def test_converted_follower_is_measured(converted: Path, tmp_path: Path):
    store = ("--data", tmp_path / "store")
    made = run(
        *("prepare", "synthetic", "--out", tmp_path / "store", "synthetic.choreographies=4"),
        *("synthetic.seconds=3", "prepare.parallel=false", "prepare.music.compat=0.8"),
    )
    assert made.exit_code == 0, made.output
    out = tmp_path / "numbers"
    settings = ("evaluate.seeds=1", "evaluate.workers=1", "evaluate.probe_clips=0")
    words = (f"original={converted}", "--out", out, *settings)
    result = run("evaluate", *store, *words)
    assert result.exit_code == 0, result.output
    assert "original" in result.output and (out / "evaluation.json").is_file()


@pytest.mark.parametrize("original_length", [False, True])
def test_its_dances_are_written_whole_or_as_long_as_the_originals(
    original_length: bool, converted: Path, tmp_path: Path
):
    frames = 160
    clips = [make_clip("jive_5_1", frames=frames)]
    data, out = tmp_path / "store", tmp_path / "dances"
    DuetStore.create(data, clips, SplitConfig(given={"jive_5_1": "test"}), music=AUTHORS)
    setting = f"dd100.original_length={str(original_length).lower()}"
    result = run("export", "dd100", data, "--out", out, "--checkpoint", converted, setting)
    assert result.exit_code == 0, result.output
    look_forward = load_follower(converted).model.config.look_forward
    written = sorted(out.rglob("pos3d/**/*.npy"))
    assert len(written) == 2  # follower and leader
    for file in written:
        wanted = frames - 4 * look_forward if original_length else frames
        assert np.load(file, allow_pickle=False).shape == (1, wanted, 165)


def test_a_dance_of_the_originals_length_is_decoded_without_what_comes_later(converted: Path):
    follower, clip = load_follower(converted), make_clip("tango", frames=160)
    whole, short = (
        follower.dance(
            [clip.duet.leader], clip.music[None], sampling=GREEDY, original_length=original
        )
        for original in (False, True)
    )
    known = 160 - 4 * GPT.look_forward
    assert short.joints.shape[1] == known
    last = short.joints[:, -1]
    assert not torch.allclose(last, whole.joints[:, known - 1]), "decoding looks ahead"
    assert torch.allclose(short.joints[:, 0], whole.joints[:, 0], atol=1e-3)


@pytest.mark.parametrize(("up", "fits"), [("z", True), ("y", False)])
def test_data_with_another_axis_up_is_refused(up: str, fits: bool, converted: Path, tmp_path: Path):
    store = DuetStore.create(
        tmp_path / "store", [make_clip("a")], music=AUTHORS, made_with={"dd100": {"up": up}}
    )
    follower = load_follower(converted)
    if fits:
        follower.require_fits(store, "it")
    else:
        with pytest.raises(InputError, match="convert the checkpoints again with --up y"):
            follower.require_fits(store, "it")


def test_small_codebooks_begin_with_a_dancer_who_stands(converted: Path):
    start = load_follower(converted).model.config.start_tokens
    assert len(start) == len(GPT.classes)
    assert all(0 <= token < classes for token, classes in zip(start, GPT.classes, strict=True))


def test_large_codebooks_begin_as_the_authors_demo(tmp_path: Path):
    codes = max(DEMO_TOKENS) + 1
    states = small_states(codes=codes)
    for name, value in states[2].items():
        if name.startswith(("tok_emb", "gpt_head.head")):
            states[2][name] = value.new_zeros(codes, value.shape[1])
    files = write_all(tmp_path, states, (VQ_STORED, VQ_STORED, GPT_STORED))
    out = convert(*files, tmp_path / "out")
    assert load_follower(out).model.config.start_tokens == DEMO_TOKENS


def spoiled(files: Files, part: str, folder: Path, change: Any) -> Files:
    """The files with one that has another state dict."""
    index = PARTS.index(part)
    states, stored = small_states(), (VQ_STORED, VQ_STORED, GPT_STORED)
    change(states[index])
    path = write(folder / "spoiled.pt", states[index], stored[index])
    return files._replace(**{part: path})


@pytest.mark.parametrize("part", PARTS)
def test_missing_extra_and_misshapen_keys_are_listed(files: Files, part: str, tmp_path: Path):
    def change(state: dict[str, torch.Tensor]) -> None:
        names = [name for name in state if name.endswith("bias")]
        del state[names[0]]
        state[names[1]] = torch.zeros(99)
        state["foreign.key"] = torch.zeros(1)
        change.names = names  # type: ignore[attr-defined]

    bad = spoiled(files, part, tmp_path, change)
    said = refusal("convert", "duolando", *bad.options, "--out", tmp_path / "out")
    missing, misshapen, *_ = change.names  # type: ignore[attr-defined]
    assert f"missing: {missing}" in said and "extra: foreign.key" in said
    assert f"other shape: {misshapen} (99,), wanted" in said and "spoiled.pt" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", PARTS)
def test_planted_code_is_refused_and_not_run(files: Files, part: str, tmp_path: Path):
    torch.save({"model": {}, "config": writes(tmp_path / "run"), "epoch": 1}, tmp_path / "bad.pt")
    bad = files._replace(**{part: tmp_path / "bad.pt"})
    said = refusal("convert", "duolando", *bad.options, "--out", tmp_path / "out")
    assert "system" in said and "bad.pt" in said
    assert not (tmp_path / "run").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_file_is_refused(files: Files, part: str, tmp_path: Path):
    whole = getattr(files, part).read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 100):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        bad = files._replace(**{part: tmp_path / "cut.pt"})
        assert "cut.pt" in refusal("convert", "duolando", *bad.options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_in_the_wrong_order_are_refused(files: Files, tmp_path: Path):
    with pytest.raises(InputError, match=r"translation\.pt is .* translation VQ-VAE .*swapped"):
        convert(files.translation, files.pose, files.gpt, tmp_path / "out")
    with pytest.raises(InputError, match=r"gpt\.pt is the checkpoint of the follower GPT"):
        convert(files.pose, files.gpt, files.translation, tmp_path / "out")


def test_a_file_without_a_model_is_refused(files: Files, tmp_path: Path):
    torch.save({"state_dict": {}, "epoch": 1}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"state_dict.*no 'model'"):
        convert(tmp_path / "other.pt", files.translation, files.gpt, tmp_path / "out")


def test_codebooks_must_be_those_of_the_follower(files: Files, tmp_path: Path):
    states = small_states(codes=9)
    other = write(tmp_path / "other.pt", states[1], VQ_STORED)
    with pytest.raises(InputError, match=r"8, 8, 8, 8, 8.*8, 8, 8, 8, 9"):
        convert(files.pose, other, files.gpt, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_heads_that_nobody_states_are_asked_for(files: Files, tmp_path: Path):
    silent = write(tmp_path / "silent.pt", small_states()[2], {})
    with pytest.raises(InputError, match="--heads"):
        convert(files.pose, files.translation, silent, tmp_path / "out")
    with pytest.raises(InputError, match="does not divide"):
        convert(files.pose, files.translation, silent, tmp_path / "out", heads=3)
    out = convert(files.pose, files.translation, silent, tmp_path / "out", heads=4)
    assert yaml.safe_load((out / "config.yaml").read_text())["heads"] == 4


def test_heads_that_the_file_states_otherwise_are_refused(files: Files, tmp_path: Path):
    with pytest.raises(InputError, match=f"says {GPT.heads} heads of attention, and 4"):
        convert(*files, tmp_path / "out", heads=4)


def test_nothing_but_a_follower_is_replaced(files: Files, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert "holds no follower" in refusal("convert", "duolando", *files.options, "--out", out)
    assert (out / "precious.txt").read_text() == "mine"
    (out / "precious.txt").unlink()
    for up in ("z", "y"):
        assert convert(*files, out, up=up) == out
        assert load_follower(out).codec.config.frame.up == up


def test_help_names_the_command():
    assert any(group.name == "convert" for group in app.registered_groups)
