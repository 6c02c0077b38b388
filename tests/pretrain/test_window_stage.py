"""Soloists learn in windows: which music goes with which token, and what is left to RL."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from duet_rl.audio.provenance import AUTHORS
from duet_rl.config import resolve, validate
from duet_rl.datasets.hearing import HEARING_CHANNELS, HEARINGS
from duet_rl.datasets.solo import as_soloist
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower, generate, load_follower
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig, Hearing
from duet_rl.models.follower import build_gpt
from duet_rl.models.policy import SamplingConfig
from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
from duet_rl.pretrain.solo_tokenizer import SoloPosePlan, SoloTranslationPlan
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.window_stage import WindowStage
from duet_rl.run import PretrainStage, RunConfig, pretrain
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from tests.datasets.conftest import make_clip
from tests.pretrain.conftest import SPLIT
from tests.pretrain.overfit import losses_of

PART = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}
CODEC = SoloCodecConfig.model_validate({"fps": 30, "upper": PART, "lower": PART})
ROWS = {
    "architecture": "bailando",
    "hears": "duolando",
    "width": 32,
    "heads": 2,
    "base_layers": 1,
    "head_layers": 1,
    "condition_layers": 1,
    "critic_layers": 1,
    "dropout": 0.0,
    "block": 6,
}
WINDOW = {**ROWS, "music": "window", "reach": 2, "normalise": True}
GREEDY = SamplingConfig(temperature=0)


@pytest.fixture(scope="module")
def soloists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of six soloists of 80 frames."""
    folder = tmp_path_factory.mktemp("solo") / "store"
    clips = [make_clip(f"clip{i}", frames=80, seed=i) for i in range(6)]
    DuetStore.create(folder, [as_soloist(clip) for clip in clips], SPLIT)
    return folder


@pytest.fixture(scope="module")
def codec(soloists: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a codec of soloists whose codebooks a batch has filled."""
    folder = tmp_path_factory.mktemp("codec")
    config = StageConfig(steps=1, batch_size=8, window_tokens=8)
    for plan in (SoloPosePlan, SoloTranslationPlan):
        torch.manual_seed(0)
        stage = plan(config, soloists, folder, CODEC).open()
        stage.module.train()
        stage.module(*stage.batch(0, 0, 1))
        stage.save(folder / plan.name, {})
    return folder


def opened(gpt: dict[str, Any], data: Path, codec: Path) -> WindowStage:
    values = {"batch_size": 8, "gpt": gpt, "stride": FRAMES_PER_TOKEN}
    torch.manual_seed(0)
    plan = FollowerPlan(validate(FollowerConfig, values), data, codec.parent, codec=codec)
    stage = plan.open()
    assert isinstance(stage, WindowStage)
    return stage


@pytest.mark.parametrize("gpt", [ROWS, WINDOW], ids=["rows", "window"])
def test_it_overfits_a_few_dances_and_dances_from_its_folder(
    gpt: dict[str, Any], soloists: Path, codec: Path, tmp_path: Path
) -> None:
    stage = opened(gpt, soloists, codec)
    found = losses_of(stage)
    assert found[-1] < 0.6 * found[0]
    assert set(stage.module(*stage.batch(0, 0, 1))[1]) == {"nll/upper", "nll/lower"}
    assert isinstance(stage.gpt, BailandoGPT) and stage.gpt.critic is not None
    assert all(parameter.grad is None for parameter in stage.gpt.critic.parameters())
    stage.module.eval()
    held_out = stage.held_out()
    assert held_out is not None and torch.isfinite(stage.module(*held_out)[0])
    assert 0 < stage.danced()["total"] < 1
    stage.save(tmp_path / "follower", {})
    follower = load_follower(tmp_path / "follower")
    clip = stage.store.clips("test")[0]
    assert torch.equal(follower.music_of(clip), clip.music)
    cut = clip.slice(0, 48)
    danced = generate(follower, cut.duet.leader, follower.music_of(clip), sampling=GREEDY)[0]
    assert danced.frames == 48


def _couple(clip: Any) -> list[Any]:
    pair = (clip.duet.leader, clip.duet.follower)
    return [MotionBatch(motion.joints[None], motion.rotations[None]) for motion in pair]


@pytest.mark.parametrize("gpt", [ROWS, WINDOW], ids=["rows", "window"])
def test_a_window_holds_the_music_of_its_motion(
    gpt: dict[str, Any], soloists: Path, codec: Path
) -> None:
    """Token i + 1 is learned from the music of its own frames, and of what is around them."""
    stage = opened(gpt, soloists, codec)
    (clips, reach) = (stage.store.clips("train"), stage.gpt.config.tokens_before)
    _, dancers, music = stage.batch(0, 0, 1)
    frames = (stage.gpt.config.block + 1) * FRAMES_PER_TOKEN
    assert dancers.joints.shape[1] == frames
    assert music.shape[1] == frames + 2 * reach * FRAMES_PER_TOKEN
    own = music[:, reach * FRAMES_PER_TOKEN :][:, :frames]
    for joints, heard in zip(dancers.joints, own, strict=True):
        place = next(p for c in clips if (p := _place(c.duet.follower.joints, joints)) is not None)
        clip = next(c for c in clips if _place(c.duet.follower.joints, joints) is not None)
        assert place % FRAMES_PER_TOKEN == 0
        assert torch.equal(heard, clip.music[place : place + frames])


def _place(whole: Tensor, cut: Tensor) -> int | None:
    """Return the frame at which `cut` begins in `whole`."""
    starts = range(len(whole) - len(cut) + 1)
    return next((i for i in starts if torch.equal(whole[i : i + len(cut)], cut)), None)


def test_the_first_window_of_a_song_hears_silence_before_it(soloists: Path, codec: Path) -> None:
    stage = opened(WINDOW, soloists, codec)
    held_out = stage.held_out()
    assert held_out is not None
    music = held_out[2]  # of windows from the first to the last of a clip
    silent = stage.gpt.config.tokens_before * FRAMES_PER_TOKEN
    assert not music[0, :silent].any() and music[0, silent:].any(-1).all()
    assert not music[-1, -silent:].any() and music[-1, :-silent].any(-1).all()


def test_what_is_known_comes_from_the_data(soloists: Path, codec: Path) -> None:
    gpt = opened(WINDOW, soloists, codec).gpt
    assert isinstance(gpt, BailandoGPT)
    clips = DuetStore.open(soloists).clips("train")
    music = torch.cat([clip.music for clip in clips])
    torch.testing.assert_close(gpt.mean, music.mean(0))
    assert gpt.config.music_channels == 54 and gpt.config.classes == (16, 16)
    firsts = torch.cat([load_firsts(codec, clip) for clip in clips])
    assert gpt.config.start_tokens == tuple(firsts.mode(dim=0).values.tolist())


def load_firsts(codec: Path, clip: Any) -> Tensor:
    return load_codec(codec).encode(*_couple(clip))[:, 0]


def test_a_clip_without_sound_is_refused_by_who_listens_to_it(soloists: Path, codec: Path) -> None:
    with pytest.raises(InputError, match="has no sound"):
        opened({**ROWS, "hears": "bailando_fixed"}, soloists, codec)


def test_a_store_without_sound_is_refused_before_a_codec_is_trained(
    soloists: Path, tmp_path: Path
) -> None:
    config = resolve(RunConfig, "bailando_fixed")
    stages: tuple[PretrainStage, ...] = ("all", "follower")
    for stage in stages:
        with pytest.raises(InputError, match=r"clips of .* have no sound"):
            pretrain(config, stage, soloists, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_codec_of_soloists_has_no_place_for_a_dancer_beside_a_leader(
    codec: Path, tmp_path: Path
) -> None:
    couples = [make_clip(f"clip{i}", frames=40, seed=i) for i in range(3)]
    store = DuetStore.create(tmp_path / "couples", couples, music=AUTHORS)
    sizes = {**ROWS, "classes": (16, 16), "hears": "bailando"}
    follower = Follower(load_codec(codec), build_gpt(BailandoGPTConfig.model_validate(sizes)), {})
    with pytest.raises(InputError, match="no place beside a leader"):
        follower.require_fits(store, "he")
    follower.require_fits(store, "he", alone=True)


def test_who_listens_to_the_sound_needs_no_features_of_its_own_kind(
    codec: Path, tmp_path: Path
) -> None:
    clips = [as_soloist(make_clip(f"clip{i}", frames=40, seed=i)) for i in range(3)]
    made_with = {"dd100": {"up": "z"}}
    store = DuetStore.create(tmp_path / "other", clips, made_with=made_with, music=AUTHORS)
    meta = {"converted_from": {"system": "bailando"}}
    sizes = {**ROWS, "classes": (16, 16)}
    for hears in HEARINGS:
        gpt = build_gpt(BailandoGPTConfig.model_validate({**sizes, "hears": hears}))
        follower = Follower(load_codec(codec), gpt, meta)
        if hears == "duolando":
            with pytest.raises(InputError, match="learned from music features"):
                follower.require_fits(store, "he")
        else:
            follower.require_fits(store, "he")


def test_the_networks_know_the_kinds_of_hearing_that_there_are() -> None:
    assert get_args(Hearing) == HEARINGS == tuple(HEARING_CHANNELS)
