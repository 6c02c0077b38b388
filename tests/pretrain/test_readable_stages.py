"""The stages of a readable codec: every dancer teaches it, and it keeps what it has read."""

from pathlib import Path

import pytest
import torch

from duet_rl.config import resolve
from duet_rl.datasets.store import DuetStore
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan, TokenizerStageConfig, TranslationPlan, dancers_of
from duet_rl.run import RunConfig, stage_plans
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.codes_pose import CENTRE
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

PART = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}
VALUES = {"pose": {"body": {**PART, "levels": 2}, "hand": PART}, "placement": {"vqvae": PART}}
CODEC = ReadableCodecConfig.model_validate(VALUES)
CONFIG = StageConfig(steps=2, batch_size=4, window_tokens=4, warmup=0)
MIRRORED = TokenizerStageConfig(batch_size=4, window_tokens=4, mirror=True)


def of_start() -> ReadableCodecConfig:
    placement = CODEC.placement.model_copy(update={"relative_to": "start"})
    return CODEC.model_copy(update={"placement": placement})


@pytest.mark.parametrize("codec", [CODEC, of_start()], ids=["leader", "start"])
def test_the_two_stages_make_a_readable_codec(data: Path, tmp_path: Path, codec) -> None:
    for plan in (PosePlan, TranslationPlan):
        stage = plan(CONFIG, data, tmp_path, codec).open()
        stage.module.train()
        stage.module(*stage.batch(0, 0, 1))
        stage.save(tmp_path / plan.name, {})
    loaded = load_codec(tmp_path)
    assert isinstance(loaded, ReadableCodec)
    assert loaded.config.placement.relative_to == codec.placement.relative_to


def test_the_bank_holds_the_training_dancers_in_their_order(data: Path, tmp_path: Path) -> None:
    stage = PosePlan(CONFIG, data, tmp_path, CODEC).open()
    stage.save(tmp_path / "pose", {})
    bank = type(stage.module).load(tmp_path / "pose").bank
    dancers = dancers_of(DuetStore.open(data).clips("train"))
    rows = [BODY_CODES.codes(d.joints[CENTRE::FRAMES_PER_TOKEN]) for d in dancers]
    assert torch.equal(bank.codes.long(), torch.cat(rows))
    assert bank.clips.unique().tolist() == list(range(len(dancers)))


def test_mirrored_dancers_teach_too(data: Path, tmp_path: Path) -> None:
    plain, mirrored = (
        PosePlan(config, data, tmp_path, CODEC).open() for config in (CONFIG, MIRRORED)
    )
    assert len(mirrored.learnt()) == 2 * len(plain.learnt())
    one, image = mirrored.learnt()[0], mirrored.learnt()[len(plain.learnt())]
    codes = BODY_CODES.codes(one.joints), BODY_CODES.codes(image.joints)
    assert (BODY_CODES.mirrored(codes[0]) == codes[1]).float().mean() > 0.99


def test_where_nobody_leads_every_dancer_teaches_how_to_move(data: Path, tmp_path: Path) -> None:
    beside, alone = (
        TranslationPlan(CONFIG, data, tmp_path, codec).open() for codec in (CODEC, of_start())
    )
    assert len(alone.train) == 2 * len(beside.train)


def test_a_codec_that_is_read_is_another_one_than_a_duets(data: Path, tmp_path: Path) -> None:
    """Runs are told apart, and those of a duet's codec have the settings that they always had."""
    readable, duet = (
        stage_plans(resolve(RunConfig, preset), "translation", data, tmp_path)[0]
        for preset in ("readable", "tiny")
    )
    assert readable.settings()["architecture"] == "readable"
    assert "architecture" not in duet.settings()
