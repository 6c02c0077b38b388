"""`duet-rl convert bailando`: three original checkpoints become a soloist who dances."""

from pathlib import Path

import pytest
import torch

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.body.stage import stage
from duet_rl.compat.bailando import DEMO_TOKENS, convert
from duet_rl.compat.bailando_gpt import original_gpt
from duet_rl.compat.bailando_vqvae import original_state, pose_tokenizer, solo_codec
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.generate.follower import load_follower
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from tests.cli.conftest import refusal, run
from tests.compat.bailando_originals import (
    GPT,
    STORED,
    Files,
    small_codec,
    small_states,
    write_all,
)
from tests.compat.originals import write
from tests.planted import writes

GREEDY = SamplingConfig(temperature=0)
PARTS = Files._fields
FRAMES = 48


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_all(tmp_path_factory.mktemp("originals"), small_states())


@pytest.fixture(scope="module")
def converted(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "soloist"
    result = run("convert", "bailando", *files.options, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{out}: 2 streams of 8 codes, width 8, 2 heads; hears music as bailando" in " ".join(
        result.output.split()
    )
    return out


def test_weights_and_quirks_arrive(converted: Path):
    follower, states = load_follower(converted), small_states()
    assert isinstance(follower.codec, SoloCodec)
    ours = original_state(follower.codec)
    assert all(torch.equal(ours[name], tensor) for name, tensor in states["root"].items())
    gpt = original_gpt(follower.model.config, follower.model.state_dict())
    assert gpt.keys() == states["gpt"].keys()
    assert all(torch.equal(gpt[name], tensor) for name, tensor in states["gpt"].items())
    config = follower.codec.config
    assert (config.fps, config.scale, config.velocity) == (60, 1.0, "m/frame")
    assert (config.decoding.joints, config.decoding.height) == ("positions", "integrated")
    assert follower.model.config.hears == "bailando"


def test_meta_says_where_it_comes_from(converted: Path, files: Files):
    facts = checkpoint.read_meta(converted)["converted_from"]
    assert facts["system"] == "bailando"
    for name, path in zip(PARTS, files, strict=True):
        assert facts[name] == {"file": path.name, "sha256": sha256_of(path), "epoch": 500}


def test_the_converted_soloist_dances(converted: Path):
    follower, floor = load_follower(converted), stage(FRAMES)
    music = torch.randn(1, FRAMES, GPT.music_channels, generator=torch.manual_seed(0))
    first, again = (follower.dance([floor], music, sampling=GREEDY) for _ in range(2))
    assert torch.equal(first.joints, again.joints)
    motion = Motion(first.joints[0], first.rotations[0], Skeleton(follower.codec.offsets))
    assert motion.frames == FRAMES


@pytest.mark.parametrize("rotations", [False, True])
def test_a_gpt_of_the_third_stage_and_rotations_are_taken_too(rotations: bool, tmp_path: Path):
    states = small_states(critic=False, rotations=rotations)
    assert not any("critic" in key for key in states["gpt"])
    out = convert(*write_all(tmp_path / "files", states), tmp_path / "out")
    codec = load_follower(out).codec
    assert codec.config.rotations == rotations
    assert codec.config.decoding.joints == ("rotations" if rotations else "positions")
    ours = original_state(codec)
    assert all(torch.equal(ours[name], tensor) for name, tensor in states["root"].items())


def test_small_codebooks_begin_with_a_dancer_who_stands(converted: Path):
    start = load_follower(converted).model.config.start_tokens
    assert len(start) == 2 and all(0 <= token < 8 for token in start)


def test_large_codebooks_begin_as_the_authors_demo(tmp_path: Path):
    files = write_all(tmp_path / "files", small_states(codes=max(DEMO_TOKENS) + 1))
    out = convert(*files, tmp_path / "out")
    assert load_follower(out).model.config.start_tokens == DEMO_TOKENS


@pytest.mark.parametrize("part", PARTS)
def test_missing_extra_and_misshapen_keys_are_listed(files: Files, part: str, tmp_path: Path):
    state = small_states()[part]
    missing, misshapen, *_ = [name for name in state if name.endswith("bias")]
    del state[missing]
    state[misshapen] = torch.zeros(99)
    state["foreign.key"] = torch.zeros(1)
    bad = files._replace(**{part: write(tmp_path / "spoiled.pt", state, STORED[part])})
    said = refusal("convert", "bailando", *bad.options, "--out", tmp_path / "out")
    assert f"missing: {missing}" in said and "extra: foreign.key" in said
    assert f"other shape: {misshapen} (99,), wanted" in said and "spoiled.pt" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", PARTS)
def test_planted_code_is_refused_and_not_run(files: Files, part: str, tmp_path: Path):
    torch.save({"model": {}, "config": writes(tmp_path / "run"), "epoch": 1}, tmp_path / "bad.pt")
    bad = files._replace(**{part: tmp_path / "bad.pt"})
    said = refusal("convert", "bailando", *bad.options, "--out", tmp_path / "out")
    assert "system" in said and "bad.pt" in said
    assert not (tmp_path / "run").exists() and not (tmp_path / "out").exists()


def test_files_in_the_wrong_order_are_refused(files: Files, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"root\.pt is .* root VQ-VAE .*swapped"):
        convert(files.root, files.pose, files.gpt, out)
    with pytest.raises(InputError, match=r"pose\.pt has no decoder .*second stage"):
        convert(files.pose, files.pose, files.gpt, out)
    with pytest.raises(InputError, match=r"gpt\.pt is the checkpoint of the GPT"):
        convert(files.gpt, files.root, files.pose, out)
    with pytest.raises(InputError, match=r"root\.pt is the checkpoint of the pose VQ-VAE"):
        convert(files.pose, files.root, files.root, out)
    assert not out.exists()


def test_poses_of_another_training_are_refused(files: Files, tmp_path: Path):
    state = small_states()["pose"]
    name = "vqvae_up.decoders.0.out.weight"
    state[name] = state[name] + 1
    other = write(tmp_path / "other.pt", state, STORED["pose"])
    with pytest.raises(InputError, match=rf"not trained on the poses.*{name}.*differ"):
        convert(other, files.root, files.gpt, tmp_path / "out")


def test_codebooks_must_be_those_of_the_gpt(files: Files, tmp_path: Path):
    other = write_all(tmp_path / "files", small_states(codes=9))
    with pytest.raises(InputError, match=r"\(8, 8\) codes.*\(9, 9\)"):
        convert(other.pose, other.root, files.gpt, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_but_a_follower_is_replaced(files: Files, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert "holds no follower" in refusal("convert", "bailando", *files.options, "--out", out)
    assert (out / "precious.txt").read_text() == "mine"


def test_keys_are_those_that_the_originals_save():
    names = original_state(small_codec(rotations=True, depth=2))
    for name in (
        "vqvae_up.encoders.0.level_blocks.0.model.2.1.model.1.model.3.weight",
        "vqvae_down.encoders.0.level_blocks.0.model.3.bias",
        "vqvae_down.decoders.0.level_blocks.0.model.3.0.model.1.model.1.weight",
        "vqvae_up.decoders.0.out.weight",
        "vqvae_down.decoders_root.0.level_blocks.0.model.1.1.weight",
        "vqvae_up.decoders_rot.0.level_blocks.0.model.0.bias",
        "vqvae_down.bottleneck.level_blocks.0.k",
    ):
        assert name in names
    assert not any("vqvae_up.decoders_root" in name for name in names)


def test_a_converted_tokenizer_goes_on_learning_from_its_own_codes():
    states = small_states()
    tokenizer = pose_tokenizer(states["pose"]).train()
    before = tokenizer.part("upper").quantizer.levels[0].codebook.clone()
    tokenizer.body_loss(torch.randn(2, 16, 24, 3, generator=torch.manual_seed(0)))
    level = tokenizer.part("upper").quantizer.levels[0]
    kept = level.ema_count >= 1
    used = level.ema_count > 1
    assert not torch.equal(level.codebook, before) and used.any()
    # One step of a slow average: codes in use have hardly moved.
    moved = (level.codebook - before).norm(dim=-1)[kept]
    assert (moved < 0.2 * before.norm(dim=-1)[kept]).all()


@pytest.mark.parametrize(("halvings", "fps"), [(2, 30), (3, 60)])
def test_the_frames_of_a_token_are_found_in_the_file(halvings: int, fps: int):
    config = small_codec().config.model_copy(update={"fps": fps})
    assert config.halvings == halvings
    codec = solo_codec(original_state(SoloCodec(config)))
    assert codec.config.fps == fps


def test_tokens_of_sixteen_frames_are_refused():
    state = {
        f"vqvae_{part}.encoders.0.level_blocks.0.model.{stage}.0.weight": torch.zeros(4, 27, 4)
        for part in ("up", "down")
        for stage in range(4)
    }
    with pytest.raises(InputError, match="tokens of 16 frames"):
        solo_codec(state)


def test_only_bailandos_codec_becomes_an_original():
    with pytest.raises(InputError, match="preset 'bailando'"):
        original_state(SoloCodec(SoloCodecConfig()))
