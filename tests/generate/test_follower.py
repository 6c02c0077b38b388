"""A loaded follower dances as long as the leader, the same for the same seed."""

from pathlib import Path

import pytest
import torch

from duet_rl import checkpoint
from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.motion import Motion
from duet_rl.errors import InputError
from duet_rl.generate.follower import KIND, Follower, generate, load_follower
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig


def gpt_config(codec: DuetCodec, **changes) -> MultiStreamGPTConfig:
    conditions = (
        ConditionConfig(name="music", channels=MUSIC_DIMS, look_ahead=2),
        ConditionConfig(name="leader", channels=codec.leader_channels, look_ahead=2),
    )
    settings = {"classes": codec.spec.classes, "conditions": conditions, "width": 16, "layers": 1}
    return MultiStreamGPTConfig(**{**settings, "heads": 2, **changes})


def save_follower(folder: Path, config: MultiStreamGPTConfig, codec: DuetCodec) -> Path:
    model = MultiStreamGPT(config)
    checkpoint.save(folder, kind=KIND, tensors=model.state_dict(), config=config, meta={"steps": 7})
    codec.save(folder, {})
    return folder


@pytest.fixture(scope="module")
def codec() -> DuetCodec:
    torch.manual_seed(0)
    codec = DuetCodec(DuetCodecConfig())
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):  # an untrained one has one code for all
            codebook.normal_()
    return codec


@pytest.fixture(scope="module")
def folder(tmp_path_factory, codec) -> Path:
    return save_follower(tmp_path_factory.mktemp("run") / "follower", gpt_config(codec), codec)


@pytest.fixture(scope="module")
def follower(folder) -> Follower:
    return load_follower(folder)


@pytest.fixture
def leader(couple) -> Motion:
    return couple.leader


@pytest.fixture
def music(leader) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(leader.frames, MUSIC_DIMS, generator=generator)


def test_the_dance_is_as_long_as_the_leader(follower, leader, music):
    for frames in (37, 36, 5):
        (danced,) = generate(follower, leader.slice(0, frames), music)
        assert danced.frames == frames and danced.fps == 30


def test_a_leader_of_another_frame_rate_is_followed_for_the_same_time(follower, leader, music):
    (danced,) = generate(follower, leader.resample(60), music)
    assert danced.fps == 30 and danced.seconds == pytest.approx(leader.seconds, abs=1 / 30)


def test_one_seed_is_one_dance_and_samples_differ(follower, leader, music):
    first, second = generate(follower, leader, music, seed=3, samples=2)
    again, _ = generate(follower, leader, music, seed=3, samples=2)
    assert torch.equal(first.joints, again.joints)
    assert not torch.equal(first.joints, second.joints)
    (other,) = generate(follower, leader, music, seed=4)
    assert not torch.equal(first.joints, other.joints)


def test_the_joints_of_the_dance_follow_from_its_rotations(follower, leader, music):
    (danced,) = generate(follower, leader, music)
    again = Motion.from_rotations(danced.root, danced.rotations, danced.skeleton, danced.fps)
    torch.testing.assert_close(danced.joints, again.joints, atol=1e-4, rtol=0)


def test_a_batch_dances_as_its_leaders_do_one_by_one(follower, leader, music):
    leaders, heard = [leader.slice(0, 36), leader.slice(1, 37)], torch.stack([music[:36]] * 2)
    both = follower.dance(leaders, heard, seed=0)
    assert both.joints.shape == (2, 36, 55, 3)
    assert not torch.equal(both.joints[0], both.joints[1])
    alone = follower.dance(leaders[:1], heard[:1], seed=0)
    assert torch.isfinite(alone.joints).all() and alone.joints.shape == (1, 36, 55, 3)


def test_music_that_ends_too_early_is_refused(follower, leader, music):
    with pytest.raises(InputError, match=r"music lasts 0\.1 s and the leader 1\.2 s"):
        generate(follower, leader, music[:3])
    (danced,) = generate(follower, leader, music[:30])  # a short end is filled up
    assert danced.frames == 37


def test_what_the_checkpoint_says_about_itself_is_kept(follower):
    assert follower.meta["steps"] == 7 and follower.device == torch.device("cpu")
    assert not follower.model.training and not follower.codec.training


def test_a_model_and_a_codec_that_do_not_fit_are_refused(tmp_path, codec):
    config = gpt_config(codec, classes=(8, 8))
    with pytest.raises(InputError, match="train the follower on this codec"):
        load_follower(save_follower(tmp_path / "follower", config, codec))


def test_a_condition_that_nobody_gives_is_refused(tmp_path, codec, leader, music):
    text = ConditionConfig(name="text", channels=3)
    config = gpt_config(codec, conditions=(text,))
    odd = load_follower(save_follower(tmp_path / "follower", config, codec))
    with pytest.raises(InputError, match="text"):
        generate(odd, leader, music)


def test_another_kind_of_checkpoint_is_refused(folder):
    with pytest.raises(InputError, match="pose"):
        load_follower(folder / "pose")
