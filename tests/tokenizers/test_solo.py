"""The solo codec: two streams of poses, a root that follows from them, 55 joints out of 24."""

from pathlib import Path

import pytest
import torch

from duet_rl.body.contact import feet_above_floor
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import FEET, NUM_JOINTS, SMPL_JOINTS, SOLE_DEPTH, UP, Skeleton
from duet_rl.body.stage import stage
from duet_rl.errors import InputError
from duet_rl.tokenizers.codec import build_codec, load_codec
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.smpl_body import SMPL_PARTS
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from duet_rl.tokenizers.solo_translation import leaving
from tests.tokenizers.conftest import FRAMES, as_batch, small_config, train, windows

PART = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}
NEAR = 1e-5  # m; what single precision leaves of a way there and back


def small_solo(**settings: object) -> SoloCodecConfig:
    return SoloCodecConfig.model_validate({"upper": PART, "lower": PART, **settings})


@pytest.fixture(scope="module")
def floor() -> MotionBatch:
    return as_batch(stage(FRAMES))


def trained(dancer: Motion, **settings: object) -> SoloCodec:
    """A codec that a few steps have given codebooks."""
    torch.manual_seed(0)
    codec = SoloCodec(small_solo(**settings))
    batch = windows(as_batch(dancer), 32)
    train(codec.pose, (batch,), steps=10)
    codec.pose.eval()
    train(codec.translation, (codec.pose.codes(codec.pose.encode(batch)), batch), steps=10)
    return codec.eval()


@pytest.fixture(scope="module")
def codec(dancer) -> SoloCodec:
    return trained(dancer)


def test_a_token_is_a_row_of_two_streams(codec, dancer, floor):
    tokens = codec.encode(floor, as_batch(dancer))
    assert codec.spec.names == codec.spec.parts == ("upper", "lower")
    assert tokens.shape == (1, FRAMES // 4, 2)
    codec.spec.validate(tokens)
    assert sorted(sum(SMPL_PARTS.values(), ())) == list(range(len(SMPL_JOINTS)))


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize("joints", ["rotations", "positions"])
@pytest.mark.parametrize("rotations", [False, True])
def test_a_decoded_dancer_is_a_whole_motion(dancer, floor, fps, joints, rotations):
    decoding = {"joints": joints}
    codec = trained(dancer, fps=fps, decoding=decoding, rotations=rotations)
    decoded = codec.decode(codec.encode(floor, as_batch(dancer)), floor)
    motion = Motion(decoded.joints[0], decoded.rotations[0], Skeleton(codec.offsets))
    assert motion.frames == FRAMES and motion.joints.shape[1] == NUM_JOINTS
    eye = torch.eye(3).expand_as(motion.rotations)
    assert torch.allclose(motion.rotations @ motion.rotations.mT, eye, atol=1e-4)
    posed = Motion.from_rotations(motion.root, motion.rotations, motion.skeleton)
    follows = torch.allclose(posed.joints, motion.joints, atol=1e-4)
    assert follows == (joints == "rotations")


def test_where_the_dancer_is_does_not_change_the_tokens(codec, dancer, floor):
    tokens = codec.encode(floor, as_batch(dancer))
    moved = as_batch(dancer.moved((3.0, 0.5, -2.0)))
    assert torch.equal(codec.encode(floor, moved), tokens)


def test_the_decoded_dance_begins_on_the_stage_and_moves_with_it(codec, dancer, floor):
    tokens = codec.encode(floor, as_batch(dancer))
    here = codec.decode(tokens, floor).joints
    assert torch.equal(here[:, 0, 0, [0, 2]], torch.zeros(1, 2))
    there = codec.decode(tokens, as_batch(stage(FRAMES).moved((1.0, 0.0, 2.0)))).joints
    shift = torch.tensor([1.0, 0.0, 2.0])
    assert torch.allclose(there, here + shift, atol=NEAR)


def test_feet_stay_on_the_floor_or_the_height_is_integrated(codec, dancer, floor):
    tokens = codec.encode(floor, as_batch(dancer))
    feet = codec.decode(tokens, floor).joints
    lowest = feet[..., FEET, UP].amin(-1)
    assert (lowest < 0.1).all() and (lowest > SOLE_DEPTH - NEAR).all()
    assert (feet_above_floor(feet).amin(-1) < 0.05).all()
    config = codec.config.decoding.model_copy(update={"height": "integrated"})
    integrated = SoloCodec(codec.config.model_copy(update={"decoding": config}))
    integrated.pose, integrated.translation = codec.pose, codec.translation
    decoded = integrated.decode(tokens, floor)
    rise = decoded.root_velocity[..., UP].cumsum(1)[:, :-1] / 30
    height = decoded.joints[:, :, 0, UP]
    assert torch.allclose(height[:, 1:] - height[:, :1], rise, atol=1e-4)
    assert float(height[0, 0]) == pytest.approx(float(codec.translation.start_height), abs=NEAR)


def test_the_velocity_leads_along_the_path(codec, dancer):
    root = as_batch(dancer).joints[:, :, 0]
    path = codec.path(leaving(root, codec.config.fps))
    moved = root - root[:, :1]
    moved[..., UP] += codec.translation.start_height
    assert torch.allclose(path, moved, atol=1e-4)


def test_the_first_token_is_that_of_the_whole_dance(codec, dancer, floor):
    whole = codec.encode(floor, as_batch(dancer))
    assert torch.equal(codec.first_tokens(floor, as_batch(dancer)), whole[:, :1])


def test_training_brings_the_dancer_nearer(dancer, floor):
    def error(steps: int) -> tuple[float, float]:
        torch.manual_seed(0)
        codec = SoloCodec(small_solo(fps=30, decoding={"height": "integrated"}))
        batch = windows(as_batch(dancer), 32)
        train(codec.pose, (batch,), steps)
        codec.pose.eval()
        codes = codec.pose.codes(codec.pose.encode(batch))
        train(codec.translation, (codes, batch), steps)
        codec.eval()
        decoded = codec.decode(codec.encode(floor, as_batch(dancer)), floor)
        apart = decoded.joints[0, :, :22] - dancer.joints[:, :22]
        body = apart - apart[:, :1]
        speed = decoded.root_velocity[0] - leaving(as_batch(dancer).joints[:, :, 0], 30.0)[0]
        return float(body.norm(dim=-1).mean()), float(speed.norm(dim=-1).mean())

    before, after = error(2), error(120)
    assert after[0] < 0.7 * before[0] and after[1] < 0.5 * before[1]


def test_rotations_are_learned_on_finished_tokens(dancer, floor):
    def error(steps: int) -> float:
        torch.manual_seed(0)
        codec = SoloCodec(small_solo(fps=30, rotations=True))
        batch = windows(as_batch(dancer), 32)
        train(codec.pose, (batch,), 30)
        codec.pose.eval()
        codes = codec.pose.codes(codec.pose.encode(batch))
        train(codec.translation, (codes, batch), steps)
        decoded = codec.eval().decode(codec.encode(floor, as_batch(dancer)), floor)
        turn = decoded.rotations[0].mT @ dancer.rotations
        cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        return float(cosine[:, :22].clamp(-1, 1).arccos().mean())

    assert error(60) < 0.7 * error(2)


def test_a_saved_codec_is_the_same_codec(codec, dancer, floor, tmp_path: Path):
    loaded = load_codec(codec.save(tmp_path / "codec", {"steps": 10}))
    assert isinstance(loaded, SoloCodec) and loaded.config == codec.config
    tokens = codec.encode(floor, as_batch(dancer))
    assert torch.equal(loaded.encode(floor, as_batch(dancer)), tokens)
    assert torch.equal(loaded.decode(tokens, floor).joints, codec.decode(tokens, floor).joints)


def test_a_codec_of_either_kind_is_opened_as_what_it_is(codec_of, codec, tmp_path: Path):
    codec_of().save(tmp_path / "duet", {})
    codec.save(tmp_path / "solo", {})
    assert isinstance(load_codec(tmp_path / "duet"), DuetCodec)
    assert isinstance(load_codec(tmp_path / "solo"), SoloCodec)
    with pytest.raises(InputError, match=r"of a solo codec.*codec\.architecture=duet"):
        DuetCodec.load(tmp_path / "solo")
    with pytest.raises(InputError, match=r"of a duet codec.*codec\.architecture=solo"):
        SoloCodec.load(tmp_path / "duet")


def test_folders_that_are_no_codec_are_refused(codec, tmp_path: Path):
    with pytest.raises(InputError, match="pretrain pose"):
        load_codec(tmp_path)
    with pytest.raises(InputError):
        load_codec(tmp_path / "absent")
    codec.save(tmp_path, {})
    config = tmp_path / "pose" / "config.yaml"
    config.write_text(config.read_text().replace("architecture: solo", "architecture: trio"))
    with pytest.raises(InputError, match="'trio'"):
        load_codec(tmp_path)


def test_parts_of_different_sizes_are_refused(codec, tmp_path: Path):
    codec.save(tmp_path, {})
    SoloCodec(small_solo(fps=30)).translation.save(tmp_path / "translation", {})
    with pytest.raises(InputError, match=r"codec\.fps: 60 and 30"):
        load_codec(tmp_path)


def test_nothing_is_told_of_the_stage(codec, floor):
    assert codec.leader_features(floor).shape == (1, FRAMES, 0)
    assert codec.describe_leader(floor, ["leader", "music"]) == {}
    assert codec.leader_classes == () and not codec.config.frame.causal
    for ask in (codec.leader_tokens, codec.leader_token_rows):
        with pytest.raises(InputError, match="music alone"):
            ask(floor)


def test_pieces_of_a_clip_and_other_lengths_are_refused(codec, dancer, floor):
    tokens = codec.encode(floor, as_batch(dancer))
    with pytest.raises(InputError, match="whole clips"):
        codec.encode(floor, as_batch(dancer), {})
    with pytest.raises(InputError, match="cut the leader"):
        codec.decode(tokens[:, 1:], floor)
    with pytest.raises(InputError, match="do not divide"):
        codec.encode(floor, as_batch(dancer).cut(0, 30))


def test_settings_build_the_codec_that_they_name():
    assert isinstance(build_codec(small_solo()), SoloCodec)
    assert isinstance(build_codec(small_config()), DuetCodec)
