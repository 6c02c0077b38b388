"""The stages of a soloist's codec: poses first, then what hangs on them and leaves them alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from duet_rl.config import resolve
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.pretrain.solo_tokenizer import SoloPosePlan, SoloTranslationPlan
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.step import optimiser_of, prepare, take_step
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan
from duet_rl.run import RunConfig, stage_plans
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_settings import SoloCodecConfig

PART = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}
CODEC = SoloCodecConfig.model_validate({"fps": 30, "upper": PART, "lower": PART})
CONFIG = StageConfig(steps=10, batch_size=4, window_tokens=4, warmup=0)


def losses(stage, steps: int, lr: float = 5e-3) -> list[float]:
    """The losses of a few steps of training, as the loop takes them."""
    torch.manual_seed(0)
    prepare(stage.module, stage.config, torch.device("cpu"))
    optimiser = optimiser_of(stage.module, stage.config)
    return [
        float(take_step(stage.module, optimiser, stage.batch(step, 0, 1), stage.config, lr)["loss"])
        for step in range(steps)
    ]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished poses."""
    out = tmp_path_factory.mktemp("solo")
    stage = SoloPosePlan(CONFIG, data, out, CODEC).open()
    losses(stage, steps=30)
    stage.save(out / "pose", {})
    return out


@pytest.mark.slow
def test_training_lowers_the_losses_of_both_stages(data: Path, run: Path, tmp_path: Path) -> None:
    poses = losses(SoloPosePlan(CONFIG, data, tmp_path, CODEC).open(), steps=200)
    assert sum(poses[-10:]) < 0.75 * sum(poses[:10])
    moves = losses(SoloTranslationPlan(CONFIG, data, run, CODEC).open(), steps=200)
    assert sum(moves[-10:]) < 0.75 * sum(moves[:10])


def test_the_translation_leaves_the_poses_as_they_are(data: Path, run: Path) -> None:
    stage = SoloTranslationPlan(CONFIG, data, run, CODEC).open()
    pose = stage.module._pose[0]
    before = {name: tensor.clone() for name, tensor in pose.state_dict().items()}
    losses(stage, steps=3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in pose.state_dict().items())
    assert all(parameter.grad is None for parameter in pose.parameters())
    trained = {name for name, _ in stage.module.named_parameters()}
    assert trained and all(name.startswith("translation.velocity_decoder") for name in trained)


def test_the_two_stages_make_a_codec(data: Path, run: Path, tmp_path: Path) -> None:
    for plan in (SoloPosePlan, SoloTranslationPlan):
        stage = plan(CONFIG, data, tmp_path, CODEC).open()
        losses(stage, steps=2)
        stage.save(tmp_path / plan.name, {})
    codec = load_codec(tmp_path)
    assert isinstance(codec, SoloCodec)
    clips = DuetStore.open(data).clips("train")
    dancers = [m for clip in clips for m in (clip.duet.leader, clip.duet.follower)]
    height = torch.stack([dancer.root[0, 1] for dancer in dancers]).mean()
    assert float(codec.translation.start_height) == pytest.approx(float(height), abs=1e-5)
    bones = torch.stack([dancer.skeleton.offsets for dancer in dancers]).mean(0)
    assert torch.allclose(codec.offsets, bones, atol=1e-6)


@pytest.mark.parametrize("plan", [SoloPosePlan, SoloTranslationPlan])
def test_two_workers_share_the_batch_of_one(plan, data: Path, run: Path) -> None:
    stage = plan(CONFIG, data, run, CODEC).open()
    whole = stage.batch(3, 0, 1)[0].joints
    halves = [stage.batch(3, rank, 2)[0].joints for rank in range(2)]
    assert torch.equal(torch.cat(halves), whole)
    assert stage.held_out()[0].joints.shape[1] == whole.shape[1]


def test_the_translation_asks_for_the_poses(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pretrain pose"):
        SoloTranslationPlan(CONFIG, data, tmp_path, CODEC).settings()


def test_poses_of_another_size_are_refused(data: Path, run: Path) -> None:
    other = SoloCodecConfig.model_validate({**CODEC.model_dump(), "scale": 2.0})
    with pytest.raises(InputError, match=r"codec\.scale: 5\.0 and 2\.0"):
        SoloTranslationPlan(CONFIG, data, run, other).open()


def test_fingerprints_know_what_a_stage_depends_on(data: Path, run: Path) -> None:
    other = SoloCodecConfig.model_validate({**CODEC.model_dump(), "rotations": True})
    pose = SoloPosePlan(CONFIG, data, run, CODEC)
    assert replace(pose, codec=other).fingerprint("a") == pose.fingerprint("a")
    translation = SoloTranslationPlan(CONFIG, data, run, CODEC)
    assert replace(translation, codec=other).fingerprint("a") != translation.fingerprint("a")
    assert PosePlan(CONFIG, data, run).fingerprint("a") != pose.fingerprint("a")


def test_the_architecture_chooses_the_stages(data: Path, tmp_path: Path) -> None:
    def kinds(*words: str) -> list[type]:
        config = resolve(RunConfig, "tiny", words)
        return [type(plan) for plan in stage_plans(config, "all", data, tmp_path)][:2]

    assert kinds() == [PosePlan, TranslationPlan]
    assert kinds("codec.architecture=solo") == [SoloPosePlan, SoloTranslationPlan]
