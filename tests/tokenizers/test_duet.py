"""The duet codec: tokens of a couple, and the follower they bring back."""

import pytest
import torch

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import PARTS
from duet_rl.errors import InputError
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import FrameConfig, MotionBatch, Placed
from duet_rl.tokenizers.leader import LEADER_CHANNELS
from duet_rl.tokenizers.pose import DecodedPose
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from duet_rl.tokenizers.tokenizer import frame_of
from tests.tokenizers.conftest import FRAMES, small_config, train, windows

STEPS = FRAMES // FRAMES_PER_TOKEN
AS_DECODED = {"planting": None, "holding": None}


def test_streams_are_four_parts_and_two_placements(codec_of, couple):
    codec = codec_of()
    names = ("upper", "lower", "left_hand", "right_hand", "placement", "placement_fine")
    assert codec.spec.names == names
    tokens = codec.encode(*couple)
    assert tokens.shape == (1, STEPS, len(names))
    codec.spec.validate(tokens)


@pytest.mark.parametrize("causal", [False, True])
def test_turning_and_moving_the_couple_changes_no_token(codec_of, couple, moved_couple, causal):
    codec = codec_of(causal=causal)
    assert torch.equal(codec.encode(*couple), codec.encode(*moved_couple))


def test_decoded_follower_turns_with_the_leader(codec_of, duet, couple):
    codec = codec_of()
    tokens = codec.encode(*couple)
    turned = duet.leader.turned(1.0)
    decoded = codec.decode(tokens, couple[0])
    elsewhere = codec.decode(tokens, MotionBatch(turned.joints[None], turned.rotations[None]))
    expected = rotate_yaw(decoded.joints, torch.tensor(1.0).expand(decoded.joints.shape[:-1]))
    torch.testing.assert_close(elsewhere.joints, expected, atol=1e-4, rtol=0)


def test_world_frame_sees_the_turn(codec_of, couple, moved_couple):
    codec = codec_of(kind="world")
    assert not torch.equal(codec.encode(*couple), codec.encode(*moved_couple))


@pytest.mark.parametrize("kind", ["heading", "world"])
def test_decoded_joints_follow_from_the_rotations(codec_of, duet, couple, kind):
    decoded = codec_of(kind=kind).decode(codec_of(kind=kind).encode(*couple), couple[0])
    posed = forward_kinematics(
        decoded.rotations, decoded.joints[:, :, 0], duet.follower.skeleton.offsets
    )
    torch.testing.assert_close(posed.joints, decoded.joints, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["heading", "world"])
def test_decoded_joints_may_follow_from_the_positions(codec_of, couple, kind, monkeypatch):
    leader, follower = couple
    codec = codec_of(kind=kind)
    decoding = {"joints": "positions", "legs": False, "path_sigma": 0.0, "heading_sigma": 0.0}
    config = codec.config
    config = config.model_copy(update={"decoding": config.decoding.model_copy(update=decoding)})
    frame = frame_of(config.frame)
    features = frame.features(follower)
    positions, rotations = (x.permute(0, 3, 1, 2) for x in (features.positions, features.rotations))
    pose = DecodedPose(rotations, features.root_velocity.mT, positions + 0.1)
    placed = Placed(follower.joints[:, :, 0], features.heading)
    by_positions = DuetCodec(config)
    monkeypatch.setattr(by_positions.pose, "decode", lambda tokens, cache: pose)
    monkeypatch.setattr(by_positions.placement, "decode", lambda tokens, leader, cache: placed)
    decoded = by_positions.decode(codec.encode(leader, follower), leader)
    wanted = frame.joints(positions + 0.1, follower.rotations, features.heading, placed.path)
    torch.testing.assert_close(decoded.joints, wanted, atol=1e-4, rtol=0)
    assert (decoded.joints - follower.joints)[:, :, 1:].norm(dim=-1).min() > 0.01


def test_quirk_hides_the_first_joint_of_each_part(codec_of, couple):
    codec = codec_of(kind="world")
    pose = codec.config.pose.model_copy(update={"zero_first_joints": True})
    quirky = DuetCodec(codec.config.model_copy(update={"pose": pose})).eval()
    quirky.load_state_dict(codec.state_dict())
    shown, hidden = couple[1], couple[1].joints.clone()
    first = [joints[0] for joints in PARTS.values()]
    hidden[:, :, first[0]] += 1.0  # the spine; no other joint is measured from it
    moved = shown._replace(joints=hidden)
    assert torch.equal(quirky.pose.encode(shown), quirky.pose.encode(moved))
    assert not torch.equal(codec.pose.encode(shown), codec.pose.encode(moved))


def test_decoded_follower_has_the_bones_it_is_given(codec_of, duet, couple):
    codec = codec_of()
    offsets = 1.2 * duet.follower.skeleton.offsets
    tokens = codec.encode(*couple)
    longer = codec.decode(tokens, couple[0], offsets)
    same = codec.decode(tokens, couple[0])
    apart = (longer.joints - same.joints)[:, :, 15] - (longer.joints - same.joints)[:, :, 0]
    assert apart.norm(dim=-1).min() > 0.05  # a longer back


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("legs_sigma", [0.0, 4.0])
def test_perfect_heads_bring_the_follower_back(couple, causal, legs_sigma, monkeypatch):
    """The slow path from the placement and the fast one from the legs make the whole path."""
    leader, follower = couple
    config = small_config(causal=causal)
    plain = {"path_sigma": legs_sigma, "heading_sigma": 0.0} | AS_DECODED
    decoding = config.decoding.model_copy(update=plain)
    codec = DuetCodec(config.model_copy(update={"decoding": decoding}))
    frame = frame_of(config.frame)
    features = frame.features(follower)
    placed: Placed = frame.place(frame.placement(leader, follower), leader)
    rotations, positions = (x.permute(0, 3, 1, 2) for x in (features.rotations, features.positions))
    pose = DecodedPose(rotations, features.root_velocity.mT, positions)
    monkeypatch.setattr(codec.pose, "decode", lambda tokens, cache: pose)
    monkeypatch.setattr(codec.placement, "decode", lambda tokens, leader, cache: placed)
    decoded = codec.decode(torch.zeros(1, STEPS, 6, dtype=torch.int64), leader)
    torch.testing.assert_close(decoded.joints, follower.joints, atol=1e-3, rtol=0)


def test_streaming_equals_the_whole_clip(codec_of, couple):
    codec = codec_of(causal=True)
    leader, follower = couple
    tokens, features = codec.encode(leader, follower), codec.leader_features(leader)
    decoded = codec.decode(tokens, leader)
    coded: dict = {}
    seen: dict = {}
    shown: dict = {}
    pieces = [
        (MotionBatch(*own), MotionBatch(*others))
        for own, others in zip(
            zip(*(x.split(FRAMES_PER_TOKEN, 1) for x in leader), strict=True),
            zip(*(x.split(FRAMES_PER_TOKEN, 1) for x in follower), strict=True),
            strict=True,
        )
    ]
    for step, (led, followed) in enumerate(pieces):
        now = slice(step * FRAMES_PER_TOKEN, (step + 1) * FRAMES_PER_TOKEN)
        token = codec.encode(led, followed, cache=coded)
        assert torch.equal(token, tokens[:, step : step + 1])
        piece = codec.decode(token, led, cache=shown)
        for whole, part in zip(decoded, piece, strict=True):
            torch.testing.assert_close(part, whole[:, now], atol=1e-4, rtol=0)
        seen_piece = codec.leader_features(led, cache=seen)
        torch.testing.assert_close(seen_piece, features[:, now], atol=2e-3, rtol=0)


def test_whole_clip_codec_does_not_stream(codec_of, couple):
    with pytest.raises(ValueError, match="causal"):
        codec_of().encode(*couple, cache={})


@pytest.mark.parametrize("causal", [False, True])
def test_leader_features_do_not_depend_on_the_place_in_the_room(couple, moved_couple, causal):
    codec = DuetCodec(small_config(causal=causal))
    here, there = codec.leader_features(couple[0]), codec.leader_features(moved_couple[0])
    assert here.shape == (1, FRAMES, LEADER_CHANNELS)
    torch.testing.assert_close(here, there, atol=2e-3, rtol=0)


def test_causal_leader_features_see_no_later_frame(couple):
    codec = DuetCodec(small_config(causal=True))
    cut = MotionBatch(*(x[:, :40] for x in couple[0]))
    whole = codec.leader_features(couple[0])[:, :40]
    torch.testing.assert_close(codec.leader_features(cut), whole, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_training_brings_the_follower_nearer(couple):
    leader, follower = couple
    torch.manual_seed(0)
    config = small_config()
    as_decoded = config.decoding.model_copy(update=AS_DECODED)
    codec = DuetCodec(config.model_copy(update={"decoding": as_decoded}))
    clips = tuple(windows(dancer, 32) for dancer in couple)
    errors = []
    for steps in (2, 80):
        train(codec.pose, clips[1:], steps)
        train(codec.placement, clips, steps)
        codec.eval()
        decoded = codec.decode(codec.encode(leader, follower), leader)
        errors.append(float((decoded.joints - follower.joints).norm(dim=-1).mean()))
    assert errors[1] < 0.5 * errors[0]


def test_metrics_are_plain_numbers_for_each_stream(codec_of, couple):
    codec = codec_of()
    pose, placement = codec.pose.loss(couple[1])[1], codec.placement.loss(*couple)[1]
    metrics = pose | placement
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())
    for name in codec.spec.names:
        assert 1 <= metrics[f"tokens/perplexity_{name}"] <= 16
        assert 0 < metrics[f"tokens/usage_{name}"] <= 1


def test_saved_codec_is_the_same_codec(codec_of, couple, tmp_path):
    codec = codec_of()
    loaded = DuetCodec.load(codec.save(tmp_path / "codec", {"steps": 10}))
    tokens = codec.encode(*couple)
    assert loaded.config == codec.config
    assert torch.equal(loaded.encode(*couple), tokens)
    decoded = codec.decode(tokens, couple[0])
    assert torch.equal(loaded.decode(tokens, couple[0]).joints, decoded.joints)


def test_codec_of_two_frames_of_reference_is_refused(codec_of, tmp_path):
    codec_of().save(tmp_path, {})
    codec_of(kind="world").placement.save(tmp_path / "translation", {})
    with pytest.raises(InputError, match="mixes two frames"):
        DuetCodec.load(tmp_path)


def test_checkpoint_of_other_shape_is_refused(codec_of, tmp_path):
    codec_of().save(tmp_path, {})
    config = tmp_path / "pose" / "config.yaml"
    config.write_text(config.read_text().replace("codes: 16", "codes: 17"))
    with pytest.raises(InputError, match="do not fit this PoseTokenizer"):
        DuetCodec.load(tmp_path)


def test_missing_half_is_refused(codec_of, tmp_path):
    codec_of().pose.save(tmp_path / "pose", {})
    with pytest.raises(InputError, match="translation"):
        DuetCodec.load(tmp_path)


def test_dancers_of_different_length_are_refused(codec_of, couple):
    leader, follower = couple
    shorter = MotionBatch(*(x[:, :-4] for x in follower))
    with pytest.raises(InputError, match="cut them alike"):
        codec_of().encode(leader, shorter)


def test_leader_of_other_length_than_the_tokens_is_refused(codec_of, couple):
    tokens = codec_of().encode(*couple)[:, :-1]
    with pytest.raises(InputError, match="cut the leader"):
        codec_of().decode(tokens, couple[0])


def test_overriding_one_setting_keeps_the_others_defaults():
    """A nested override replaces no sibling: the placement keeps its second level."""
    from duet_rl.config import validate
    from duet_rl.tokenizers.tokenizer import DuetCodecConfig

    values = {"placement": {"vqvae": {"codes": 64}}, "pose": {"hand": {"codes": 8}}}
    config = validate(DuetCodecConfig, values)
    assert config.placement.vqvae.levels == DuetCodecConfig().placement.vqvae.levels == 2
    assert config.pose.hand.width == DuetCodecConfig().pose.hand.width
    assert config.frame == FrameConfig()
