"""Every kind of follower learns a few dances by heart, is saved, loaded, and dances."""

from pathlib import Path
from typing import Any

import pytest
import torch

from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.generate.follower import generate, load_follower
from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
from duet_rl.pretrain.follower_stage import FollowerStage
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from tests.pretrain.overfit import losses_of

STREAM = {"width": 32, "layers": 1, "dropout": 0.0}
DUOLANDO = {
    "architecture": "duolando",
    "width": 32,
    "heads": 2,
    "base_layers": 1,
    "head_layers": 1,
    "condition_layers": 1,
    "dropout": 0.0,
    "block": 6,
    "look_forward": 3,
}
KINDS = {
    "features": {"gpt": STREAM},
    "tokens": {"gpt": STREAM, "leader": "tokens"},
    "both": {"gpt": STREAM, "leader": "both"},
    "duolando": {"gpt": DUOLANDO},
}


@pytest.fixture(scope="module")
def codec(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a world codec whose codebooks a batch has filled."""
    folder = tmp_path_factory.mktemp("codec")
    part = {"width": 16, "depth": 1, "codes": 16, "code_width": 8, "one_decoder": False}
    sections = {
        "frame": {"kind": "world"},
        "pose": {"upper": part, "lower": part, "hand": part},
        "placement": {"vqvae": {**part, "levels": 1}, "shift": 0, "turn": 0},
        "decoding": {"path_sigma": 0, "heading_sigma": 0, "legs": False, "joints": "positions"},
    }
    torch.manual_seed(0)
    codec = DuetCodec(DuetCodecConfig.model_validate(sections)).train()
    config = StageConfig(steps=1, batch_size=8, window_tokens=8)
    codec.pose(*PosePlan(config, data, folder).open().batch(0, 0, 1))
    codec.placement(*TranslationPlan(config, data, folder).open().batch(0, 0, 1))
    codec.save(folder, {})
    return folder


def opened(kind: str, data: Path, codec: Path, **changes: Any) -> FollowerStage:
    values = {"batch_size": 8, "window_tokens": 8, **KINDS[kind], **changes}
    config = validate(FollowerConfig, values)
    torch.manual_seed(0)
    return FollowerPlan(config, data, codec.parent, codec=codec).open()


@pytest.mark.parametrize("kind", KINDS)
def test_it_overfits_a_few_dances_and_dances_from_its_folder(
    kind: str, data: Path, codec: Path, tmp_path: Path
) -> None:
    stage = opened(kind, data, codec)
    found = losses_of(stage)
    assert found[-1] < 0.6 * found[0]
    stage.module.eval()
    held_out = stage.held_out()
    assert held_out is not None
    assert torch.isfinite(stage.module(*held_out)[0])
    assert 0 < stage.danced()["total"] < 1
    stage.save(tmp_path / "follower", {})
    follower = load_follower(tmp_path / "follower")
    clip = stage.store.clips("test")[0]
    danced = generate(follower, clip.duet.leader.slice(0, 50), clip.music, seed=3)[0]
    assert danced.frames == 50
    again = generate(follower, clip.duet.leader.slice(0, 50), clip.music, seed=3)[0]
    assert torch.equal(danced.joints, again.joints)


def test_what_the_follower_is_told_of_its_leader_matters(data: Path, codec: Path) -> None:
    stage = opened("tokens", data, codec)
    assert stage.gpt.config.condition_names == ("music", "leader_tokens")
    tokens, conditions = stage.batch(0, 0, 1)
    other = conditions | {"leader_tokens": conditions["leader_tokens"].flip(0)}
    stage.gpt.eval()
    before, after = (stage.gpt(tokens, told).logits[0] for told in (conditions, other))
    assert not torch.allclose(before, after)


def test_the_codec_of_a_duolando_gpt_stays_out_of_its_training_state(
    data: Path, codec: Path
) -> None:
    stage = opened("duolando", data, codec)
    assert all(name.startswith("gpt.") for name in stage.module.state_dict())
    stage.module.train()
    before = {k: v.clone() for k, v in stage.codec.state_dict().items()}
    stage.module(*stage.batch(0, 0, 1))
    after = stage.codec.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_duolando_gpt_begins_as_most_clips_do(data: Path, codec: Path) -> None:
    stage = opened("duolando", data, codec)
    start = torch.tensor(stage.gpt.config.start_tokens)
    assert len(start) == 5 and (start < 16).all() and (start >= 0).all()


def test_a_duolando_gpt_wants_one_codebook_a_part(data: Path, tmp_path: Path) -> None:
    part = {"width": 8, "depth": 1, "codes": 8, "code_width": 8}
    DuetCodec(DuetCodecConfig.model_validate({"placement": {"vqvae": part}})).save(tmp_path, {})
    with pytest.raises(InputError, match=r"6 streams.*levels=1"):
        opened("duolando", data, tmp_path)
