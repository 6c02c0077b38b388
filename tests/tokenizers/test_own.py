"""Tokenizers of one's own: found by name, kept by name, and told where they are not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.run import RunConfig, stage_plans
from duet_rl.tokenizers.codec import build_codec, load_codec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.own import OwnCodec, OwnTokenizer
from duet_rl.tokenizers.pose_heads import DecodedPose
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, Stream
from tests.couple import stepping_couple

HERE = "tests.tokenizers.test_own"


class TiltTokenizer(OwnTokenizer):
    """Tells by how much the first joint of the spine is high, and nothing else."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.classes = int(self.settings.get("classes", 4))
        self.book = nn.Parameter(torch.randn(self.classes, 55 * (3 + self.frame.rotation_channels)))

    @property
    def streams(self):
        return (Stream("tilt", self.classes, "upper"),)

    def encode(self, motion, dancer="follower", cache=None):
        height = self.frame.positions(motion, dancer, cache)[:, 3, 1]
        return (height[:, ::FRAMES_PER_TOKEN, None].sigmoid() * self.classes).long()

    def decode(self, tokens, cache=None):
        rows = self.book[tokens[..., 0]].repeat_interleave(FRAMES_PER_TOKEN, dim=1)
        positions, rotations = rows.split((165, 55 * self.frame.rotation_channels), dim=-1)
        still = torch.zeros(*rows.shape[:2], 3)
        return DecodedPose(
            rotations.unflatten(-1, (55, -1)), still, positions.unflatten(-1, (55, 3))
        )

    def loss(self, motion):
        return self.book.square().mean(), {}


class NoTokenizer:
    pass


def config_of(name: str, **settings: int):
    words = ["codec.architecture=own", f"codec.own.tokenizer={HERE}:{name}"]
    words += [f"codec.own.settings.{key}={value}" for key, value in settings.items()]
    return resolve(RunConfig, "tiny", words)


def couple() -> tuple[MotionBatch, MotionBatch]:
    duet = stepping_couple(2.0).slice(0, 56)
    return tuple(
        MotionBatch(d.joints[None], d.rotations[None]) for d in (duet.leader, duet.follower)
    )


def test_a_class_that_settings_name_makes_the_bodies() -> None:
    codec = build_codec(config_of("TiltTokenizer", classes=7).codec)
    assert isinstance(codec, OwnCodec) and isinstance(codec.pose, TiltTokenizer)
    assert codec.spec.names[0] == "tilt" and codec.spec.classes[0] == 7
    leader, follower = couple()
    tokens = codec.encode(leader, follower)
    codec.spec.validate(tokens)
    assert codec.decode(tokens, leader).joints.shape == follower.joints.shape


def test_a_checkpoint_finds_its_class_again(tmp_path: Path) -> None:
    codec = build_codec(config_of("TiltTokenizer", classes=5).codec).eval()
    codec.save(tmp_path, {})
    again = load_codec(tmp_path)
    assert isinstance(again.pose, TiltTokenizer) and again.pose.settings == {"classes": 5}
    leader, follower = couple()
    tokens = codec.encode(leader, follower)
    assert torch.equal(again.encode(leader, follower), tokens)
    decoded = (each.decode(tokens, leader).joints for each in (codec, again))
    torch.testing.assert_close(*decoded)


def test_a_class_that_is_gone_is_named_with_its_checkpoint(tmp_path: Path) -> None:
    build_codec(config_of("TiltTokenizer").codec).save(tmp_path, {})
    settings = tmp_path / "pose" / "config.yaml"
    settings.write_text(settings.read_text().replace(HERE, "left_at_home"))
    with pytest.raises(InputError, match=r"pose.*own.tokenizer.*no module 'left_at_home'"):
        load_codec(tmp_path)


@pytest.mark.parametrize(
    "words, told",
    [
        ([], "codec.own.tokenizer=package.module:Class"),
        ([f"codec.own.tokenizer={HERE}:Absent"], "has no 'Absent'"),
        ([f"codec.own.tokenizer={HERE}:NoTokenizer"], "OwnTokenizer"),
        ([f"codec.own.tokenizer={HERE}"], "package.module:name"),
    ],
)
def test_a_wrong_name_is_told_before_anything_starts(
    words: list[str], told: str, tmp_path: Path
) -> None:
    config = resolve(RunConfig, "tiny", ["codec.architecture=own", *words])
    with pytest.raises(InputError, match=told):
        stage_plans(config, "all", tmp_path, tmp_path)


def test_the_name_and_the_settings_are_part_of_what_a_stage_is() -> None:
    plans = [
        stage_plans(config_of("TiltTokenizer", classes=n), "pose", Path("x"), Path("y"))[0]
        for n in (4, 5)
    ]
    assert plans[0].settings() != plans[1].settings()
    usual = stage_plans(resolve(RunConfig, "tiny", []), "pose", Path("x"), Path("y"))[0]
    assert "own" not in usual.settings()
