"""The readable codec: pose codes say what the body does, levels the rest, and edits hold."""

import pytest
import torch
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.stage import stage
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.models.level_refiner import LevelRefiner, LevelRefinerConfig
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.tokenizers.codec import CodecConfig, build_codec, load_codec
from duet_rl.tokenizers.codes_pose import BANK_ROWS, CENTRE, CodesPoseTokenizer, dropped
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.spec import CODE, DROPPED, FRAMES_PER_TOKEN, POSE_CODE, RESIDUAL
from tests.tokenizers.conftest import FRAMES, LEVELS, readable_config, small_config, train, windows

STEPS = FRAMES // FRAMES_PER_TOKEN
CODES, GROUPS = 16, len(BODY_CODES)
PLACES = ("leader", "start")
SAME = 0.999  # share of tokens: a value on a threshold may be rounded to either side


@pytest.fixture(scope="module", params=PLACES)
def codec(request: pytest.FixtureRequest, couple) -> ReadableCodec:
    return trained(readable_config(request.param), couple, steps=5)


@pytest.fixture(scope="module")
def learned(couple) -> ReadableCodec:
    """A codec that knows a dance well."""
    config = readable_config(residual_dropout=0.2)
    # Losses of speed hold a body back that has hardly begun to move.
    plain = {"kinematics": {"joints": 0, "feet": 0}, "motion": {"velocity": 0, "acceleration": 0}}
    pose = type(config.pose).model_validate(config.pose.model_dump() | plain)
    torch.manual_seed(0)
    made = ReadableCodec(config.model_copy(update={"pose": pose}))
    clips = [windows(dancer, 32) for dancer in couple]
    train(made.pose, (MotionBatch(*map(torch.cat, zip(*clips, strict=True))),), steps=120)
    return made.eval().requires_grad_(False)


def trained(config: ReadableCodecConfig, couple, steps: int) -> ReadableCodec:
    torch.manual_seed(0)
    made = ReadableCodec(config)
    leader, follower = (windows(dancer, 32) for dancer in couple)
    train(made.pose, (follower,), steps)
    train(made.placement, (leader, follower), steps)
    return made.eval()


def refiner_of(codec: ReadableCodec, **changes: object) -> LevelRefiner:
    torch.manual_seed(1)
    known = {"classes": codec.spec.classes, "levels": LEVELS, "codes": CODES, "width": 16}
    config = LevelRefinerConfig.model_validate({"layers": 1, "heads": 2, **known, **changes})
    return LevelRefiner(config).eval()


def test_a_follower_writes_words_hands_and_place(codec, couple):
    assert codec.spec.names[:GROUPS] == tuple(row.name for row in codec.catalogue.rows)
    assert codec.spec.names[GROUPS:] == ("left_hand", "right_hand", "placement", "placement_fine")
    kinds = [stream.kind for stream in codec.full_spec.streams]
    assert kinds == [POSE_CODE] * GROUPS + [CODE] * 4 + [RESIDUAL] * LEVELS
    assert codec.full_spec.streams[: len(codec.spec)] == codec.spec.streams
    tokens, full = codec.encode(*couple), codec.encode_full(*couple)
    assert torch.equal(full[..., : len(codec.spec)], tokens)
    codec.spec.validate(tokens)
    codec.full_spec.validate(full)
    assert codec.leader_tokens(couple[0]).shape[-1] == len(codec.leader_classes)


def test_a_token_says_what_its_middle_frames_show(codec, couple):
    shown = BODY_CODES.codes(couple[1].joints[:, CENTRE::FRAMES_PER_TOKEN])
    assert torch.equal(codec.encode(*couple)[..., :GROUPS], shown)


def test_only_levels_may_be_dropped(codec, couple):
    full = codec.complete(codec.encode(*couple))
    assert (full[..., len(codec.spec) :] == DROPPED).all()
    codec.full_spec.validate(full)
    full[0, 0, 0] = DROPPED
    with pytest.raises(InputError, match="wanted 0 to"):
        codec.full_spec.validate(full)


def test_turning_and_moving_the_couple_changes_no_token(codec, couple, moved_couple):
    here, there = codec.encode_full(*couple), codec.encode_full(*moved_couple)
    assert (here == there).float().mean() > SAME


def test_pose_codes_alone_tell_most_of_the_body(learned, couple):
    wanted = learned.pose.frame.features(couple[1]).positions.permute(0, 3, 1, 2)[:, :, :25]
    still = (wanted - wanted.mean(1, keepdim=True)).norm(dim=-1).mean()
    found = learned.pose.decode(learned.pose.encode(couple[1])).positions[:, :, :25]
    assert (found - wanted).norm(dim=-1).mean() < 0.5 * still


def test_the_body_goes_with_edited_codes_and_not_with_the_old_levels(learned, couple):
    """Codes of other frames make the body of those frames."""
    told = learned.pose.encode(couple[1])
    other = told.roll(STEPS // 2, 1)
    decode = learned.pose.decode
    plain, moved = (decode(torch.cat([x, dropped(x, LEVELS)], -1)) for x in (told, other))
    wanted = plain.positions.roll(FRAMES // 2, 1)
    inside = slice(8, -8)  # the cut in the middle of the dance and its ends are no motion
    keep = [f for f in range(FRAMES)[inside] if abs(f - FRAMES // 2) > 8]
    gap = lambda a, b: float((a - b)[:, keep, :25].norm(dim=-1).mean())  # noqa: E731
    assert gap(moved.positions, wanted) < 0.3 * gap(plain.positions, wanted)


def test_a_refiner_says_what_the_follower_leaves(codec, couple, tmp_path):
    tokens, leader = codec.encode(*couple), couple[0]
    alone = codec.decode(tokens, leader).joints
    codec.refiner = refiner_of(codec)
    try:
        full = codec.complete(tokens)
        assert torch.equal(full[..., len(codec.spec) :], codec.refiner.sample(tokens))
        refined = codec.decode(tokens, leader).joints
        assert torch.equal(refined, codec.decode(full, leader).joints)
        assert not torch.equal(refined, alone)
        loaded = load_codec(codec.save(tmp_path / "codec", {}))
        assert torch.equal(loaded.decode(tokens, leader).joints, refined)
        codec.refiner = refiner_of(codec, codes=CODES + 1)
        with pytest.raises(InputError, match="train it again"):
            load_codec(codec.save(tmp_path / "other", {}))
    finally:
        codec.refiner = None


@pytest.mark.parametrize("relative_to", PLACES)
@pytest.mark.parametrize("refined", [False, True])
def test_streaming_equals_the_whole_clip(couple, relative_to, refined):
    codec = trained(readable_config(relative_to, causal=True), couple, steps=2)
    if refined:
        codec.refiner = refiner_of(codec, look_ahead=0)
    leader, follower = couple
    full = codec.encode_full(leader, follower)
    told = full[..., : len(codec.spec)]
    decoded = codec.decode(told, leader)
    coded: dict = {}
    shown: dict = {}
    for step in range(STEPS):
        now = slice(step * FRAMES_PER_TOKEN, (step + 1) * FRAMES_PER_TOKEN)
        led, followed = (dancer.cut(now.start, now.stop) for dancer in couple)
        row = codec.encode_full(led, followed, cache=coded)
        assert torch.equal(row, full[:, step : step + 1])
        piece = codec.decode(told[:, step : step + 1], led, cache=shown)
        for part, of_whole in zip(piece, decoded, strict=True):
            torch.testing.assert_close(part, of_whole[:, now], atol=1e-4, rtol=0)


def alone(motion: Motion, x: float, z: float, turn: float) -> MotionBatch:
    """The stage, elsewhere and turned."""
    place = stage(motion.frames).turned(turn).moved((x, 0.0, z))
    return MotionBatch(place.joints[None], place.rotations[None])


def test_a_way_from_the_start_is_found_again(couple):
    """What is told of a dance is how it moves, and adding it up gives the dance."""
    places = ReadableCodec(readable_config("start")).placement.places
    leader, follower = couple
    told = places.placement(leader, follower)
    placed = places.place(told, follower)
    heading = places.heading(follower.joints, "wanted")
    apart = (placed.path - follower.joints[:, :, 0]).norm(dim=-1)
    assert apart.max() < 0.1, "the path is low-passed, and not more than that is lost"
    drift = placed.path[:, -1] - follower.joints[:, -1, 0]
    assert drift.norm() < 0.02, "nothing adds up"
    swing = placed.heading - heading
    torch.testing.assert_close(swing, swing[:, :1].expand_as(swing), atol=1e-3, rtol=0)


def test_who_dances_alone_begins_where_the_stage_is(couple, duet: Duet):
    codec = trained(readable_config("start"), couple, steps=2)
    tokens = codec.encode(*couple)
    assert torch.equal(tokens, codec.encode(couple[1], couple[1])), "no leader is looked at"
    here = codec.decode(tokens, alone(duet.follower, 0.0, 0.0, 0.0)).joints
    there = codec.decode(tokens, alone(duet.follower, 2.0, -1.0, 0.7)).joints
    turned = rotate_yaw(here, torch.tensor(0.7).expand(here.shape[:-1]))
    expected = turned + turned.new_tensor([2.0, 0.0, -1.0])
    torch.testing.assert_close(there, expected, atol=1e-4, rtol=0)


def test_saved_codec_is_the_same_codec_and_keeps_its_bank(codec, couple, tmp_path):
    dances = [dancer.joints[0] for dancer in couple]
    codec.pose.remember(dances)
    loaded = load_codec(codec.save(tmp_path / "codec", {"steps": 5}))
    assert isinstance(loaded, ReadableCodec) and loaded.config == codec.config
    full = codec.encode_full(*couple)
    assert torch.equal(loaded.encode_full(*couple), full)
    decoded = codec.decode(full, couple[0]).joints
    assert torch.equal(loaded.decode(full, couple[0]).joints, decoded)
    bank = loaded.bank
    assert bank.codes.dtype == torch.int16
    for number, dance in enumerate(dances):
        rows = bank.codes[bank.clips == number].long()
        assert torch.equal(rows, codec.pose.read(dance[None])[0])


def test_a_bank_holds_no_more_than_it_may(monkeypatch, couple):
    monkeypatch.setattr("duet_rl.tokenizers.codes_pose.BANK_ROWS", 2 * STEPS + 3)
    pose = CodesPoseTokenizer(readable_config())
    pose.remember([couple[1].joints[0, : FRAMES - 1 - number] for number in range(4)])
    clips = pose.bank.clips
    assert len(clips) == 2 * STEPS + 3 < BANK_ROWS
    assert torch.equal(clips, clips.sort().values), "in the order of the dances"
    assert len(clips.unique()) == 3


def test_parts_of_other_codecs_are_refused(codec, couple, tmp_path):
    folder = codec.save(tmp_path / "codec", {})
    DuetCodec(small_config()).placement.save(folder / "translation", {})
    with pytest.raises(InputError, match="architecture=readable"):
        load_codec(folder)


def test_rows_of_another_codec_are_refused(codec, couple):
    with pytest.raises(InputError, match="streams"):
        codec.decode(codec.encode(*couple)[..., :-1], couple[0])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"architecture": "readable", "frame": {"kind": "world"}}, "heading"),
        ({"architecture": "readable", "pose": {"body": {"halvings": 3}}}, "halvings"),
        ({"frame": {"kind": "world"}, "placement": {"relative_to": "start"}}, "relative_to"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(values, told):
    from duet_rl.config import Config

    class Run(Config):
        codec: CodecConfig

    with pytest.raises(InputError, match=told):
        validate(Run, {"codec": values})


def test_settings_make_the_codec_that_they_name():
    assert type(build_codec(readable_config())) is ReadableCodec
    assert type(build_codec(small_config())) is DuetCodec


def test_blurred_codes_are_blurred_in_training_alone(couple):
    config = readable_config()
    pose = config.pose.model_copy(update={"jitter": 1.0})
    tokenizer = CodesPoseTokenizer(config.model_copy(update={"pose": pose})).train()
    seen: list[Tensor] = []
    tokenizer.body.pose.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    clips = windows(couple[1], 32)
    tokenizer.loss(clips)
    tokenizer.eval().loss(clips)
    blurred, exact = seen[0], seen[-1]
    assert torch.equal(exact, tokenizer.read(clips.joints))
    assert 0.5 < (blurred == exact).float().mean() < SAME
