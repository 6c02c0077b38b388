"""The presets of Bailando have the paper's sizes and schedule, and `bailando_fixed` mends them."""

import pytest
import torch

from duet_rl.config import resolve
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig
from duet_rl.models.follower import build_gpt
from duet_rl.rl.checks import check_settings
from duet_rl.run import RunConfig
from duet_rl.tokenizers.solo import SoloCodec
from tests.test_presets import parameters

NAMES = ["bailando", "bailando_fixed"]
POSE, CODEC = 51_683_400, 65_068_619  # without and with the velocity of the root
GPT, JUDGED = 87_032_832, 108_299_520  # without and with the critic


@pytest.fixture(params=NAMES)
def config(request: pytest.FixtureRequest) -> RunConfig:
    return resolve(RunConfig, request.param)


def gpt_of(config: RunConfig, **changes: object) -> BailandoGPT:
    known = {"classes": (512, 512), "start_tokens": (0, 0), **changes}
    with torch.device("meta"):  # has shapes and no memory
        gpt = build_gpt(config.follower.gpt.model_copy(update=known))
    assert isinstance(gpt, BailandoGPT)
    return gpt


def test_the_codec_has_the_papers_sizes(config: RunConfig) -> None:
    codec = SoloCodec(config.codec)
    assert parameters(codec.pose) == POSE
    assert parameters(codec) == CODEC
    assert codec.spec.classes == (512, 512) and config.codec.frames_per_token == 8


def test_the_gpt_has_the_papers_sizes(config: RunConfig) -> None:
    assert parameters(gpt_of(config)) == JUDGED
    assert parameters(gpt_of(config, critic_layers=0)) == GPT


def test_the_gpt_can_be_refined_as_the_preset_says(config: RunConfig) -> None:
    check_settings(config.rl, gpt_of(config).config)
    gpt = config.follower.gpt
    assert isinstance(gpt, BailandoGPTConfig) and config.rl.frozen_layers == gpt.base_layers
    assert config.rl.env == "envs:SoloDance-v0"
    weights = config.rl.rewards.weights.model_dump()
    assert {name for name, weight in weights.items() if weight} == {"bailando"}


def test_the_schedule_is_the_papers(config: RunConfig) -> None:
    for stage, epochs, batch, lr, betas, milestones, stride in (
        (config.pose, 500, 32, 3e-5, (0.5, 0.999), (100, 200), 20),
        (config.translation, 500, 8, 5e-5, (0.9, 0.999), (100, 200), 4),
        (config.follower, 400, 32, 3e-4, (0.5, 0.999), (250, 400), 4),
    ):
        assert (stage.epochs, stage.batch_size, stage.lr) == (epochs, batch, lr)
        assert (stage.betas, stage.milestones, stage.stride) == (betas, milestones, stride)
        assert (stage.schedule, stage.window_tokens, stage.sampler) == ("milestones", 30, "uniform")
        assert (stage.weight_decay, stage.grad_clip, stage.warmup) == (0, None, 0)
    assert (config.rl.lr, config.rl.betas, config.rl.milestones) == (1e-5, (0.5, 0.999), ())


def test_nobody_refines_on_test_songs_unasked(config: RunConfig) -> None:
    assert config.rl.split == "rl" and 0 < config.prepare.split.rl < 1


def test_bailando_keeps_the_quirks_and_fixed_does_not() -> None:
    theirs, ours = (resolve(RunConfig, name) for name in NAMES)
    assert (theirs.rl.rewards.bailando.form, ours.rl.rewards.bailando.form) == (
        "released",
        "corrected",
    )
    assert (theirs.follower.gpt.hears, ours.follower.gpt.hears) == ("bailando", "bailando_fixed")
    assert (theirs.rl.greedy, ours.rl.greedy) == (True, False)
    assert (theirs.rl.reference, ours.rl.reference) == (False, True)
    assert theirs.rl.bailando.kl_weight == 0 < ours.rl.bailando.kl_weight
    assert (theirs.codec.upper.restart, ours.codec.upper.restart) == ("jukebox", "share")
    assert (theirs.codec.decoding.height, ours.codec.decoding.height) == ("integrated", "feet")
