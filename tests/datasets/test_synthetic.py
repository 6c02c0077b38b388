"""Synthetic couples: physically right, on the beat, in hold, and the same for the same seed."""

import pytest
import torch
from pydantic import ValidationError

from duet_rl.audio.beats import estimate_tempo_from_feet, motion_beats
from duet_rl.audio.features import SAMPLE_RATE, music_features, resample_audio
from duet_rl.body.capsules import CAPSULE, segment_distance
from duet_rl.body.contact import HOLD_TARGETS, hold_distances
from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import FEET, PARENTS, SOLE_DEPTH, UP
from duet_rl.datasets.synthetic import SyntheticConfig, SyntheticDuet, synthesize
from duet_rl.errors import InputError
from duet_rl.metrics.beat import match_beats
from tests.datasets.steps import beat_flags, flat_feet

CONFIG = SyntheticConfig()
COUNT = 9  # three of each style
FPS = 30.0
BODY = slice(0, 22)  # fingers keep no beat

PALMS_MEET = 0.02  # m
SHOULDER_HELD = 0.04  # m from palm to the shoulder's surface
STILL = 1e-3  # m


@pytest.fixture(scope="module", params=range(COUNT), ids=lambda i: f"{CONFIG.styles[i % 3]}{i}")
def dance(request: pytest.FixtureRequest) -> SyntheticDuet:
    return synthesize(request.param, CONFIG)


def dancers(dance: SyntheticDuet) -> tuple[Motion, Motion]:
    return dance.duet.leader, dance.duet.follower


def test_planted_feet_do_not_slide(dance):
    for motion in dancers(dance):
        flat = flat_feet(motion)
        feet = motion.joints[:, FEET]
        step = torch.diff(feet, dim=0).norm(dim=-1).unflatten(-1, (2, 2)).amax(-2)  # (T - 1, 2)
        assert step[flat[1:] & flat[:-1]].max() < STILL


def test_somebody_stands_in_every_frame(dance):
    for motion in dancers(dance):
        assert flat_feet(motion).any(-1).all()


def test_feet_land_on_the_beat(dance):
    for motion in dancers(dance):
        flat = flat_feet(motion)
        frame, _ = (flat[1:] & ~flat[:-1]).nonzero(as_tuple=True)
        landings = (frame + 1) / FPS  # the first frame on the floor
        late = landings - dance.beats[(landings[:, None] - dance.beats).abs().argmin(-1)]
        inside = (landings > dance.beats[0] - 0.1) & (landings < dance.beats[-1] + 0.1)
        assert len(landings) > 5
        assert late[inside].min() > -0.06 and late[inside].max() <= 1 / FPS + 1e-6


def test_nobody_goes_through_the_floor(dance):
    for motion in dancers(dance):
        assert motion.joints[..., UP].min() > SOLE_DEPTH - 1e-4


def test_due_holds_are_held(dance):
    leader, follower = dancers(dance)
    distance = hold_distances(follower.joints, leader.joints)
    limits = torch.tensor([PALMS_MEET, PALMS_MEET, SHOULDER_HELD, SHOULDER_HELD])
    assert dance.hold.any()
    assert (distance < limits)[dance.hold].all()


def test_bodies_stay_out_of_each_other(dance):
    leader, follower = dancers(dance)
    for a in ("trunk", "hips", "head"):
        for b in ("trunk", "hips", "head"):
            one, other = CAPSULE[a], CAPSULE[b]
            ends = (leader.joints[:, [one.start]], leader.joints[:, [one.end]])
            others = (follower.joints[:, [other.start]], follower.joints[:, [other.end]])
            apart = segment_distance(*ends, *others) - one.radius - other.radius
            assert apart.min() > 0.02


def test_bones_keep_their_length(dance):
    for motion in dancers(dance):
        bones = motion.joints[:, 1:] - motion.joints[:, PARENTS[1:]]
        lengths = motion.skeleton.offsets[1:].norm(dim=-1).expand(motion.frames, -1)
        torch.testing.assert_close(bones.norm(dim=-1), lengths, atol=1e-5, rtol=1e-4)


def test_the_motion_is_smooth(dance):
    for motion in dancers(dance):
        velocity = torch.diff(motion.joints[:, BODY], dim=0) * FPS
        assert velocity.norm(dim=-1).max() < 5.0  # m/s
        assert torch.diff(motion.root, n=2, dim=0).norm(dim=-1).max() * FPS**2 < 12.0  # m/s^2


@pytest.mark.parametrize("role", [0, 1], ids=["leader", "follower"])
def test_both_bodies_rest_on_the_beats(dance, role):
    beats = motion_beats(dancers(dance)[role].joints[None, :, BODY], FPS)
    assert match_beats(beats, beat_flags(dance), FPS).met.f1 > 0.85


def test_the_music_is_heard_to_have_these_beats(dance):
    track = resample_audio(dance.samples, dance.sample_rate, SAMPLE_RATE)
    features = torch.from_numpy(music_features(track, frames=dance.duet.frames))
    assert match_beats(features[None, :, 53] > 0, beat_flags(dance), FPS).met.f1 > 0.85


def test_the_feet_tell_the_tempo(dance):
    tempo = estimate_tempo_from_feet(dance.duet.leader.joints, FPS)
    assert tempo.bpm == pytest.approx(dance.tempo, rel=0.01)
    period = 60 / dance.tempo
    late = (tempo.phase - float(dance.beats[0]) + period / 2) % period - period / 2
    assert abs(late) < 0.07


def test_the_follower_faces_the_leader_unless_she_turns(dance):
    leader, follower = dancers(dance)
    towards = (leader.root - follower.root)[:, [0, 2]]
    yaw = facing_angle(follower.joints)
    forward = torch.stack([yaw.sin(), yaw.cos()], dim=-1)
    agreement = (forward * torch.nn.functional.normalize(towards, dim=-1)).sum(-1)
    closed = dance.hold[:, 0, HOLD_TARGETS.index("shoulder")]
    if closed.any():
        assert agreement[closed].min() > 0.8


def test_the_same_choreography_is_the_same_dance():
    first, again = (synthesize(2, CONFIG) for _ in range(2))
    assert torch.equal(first.duet.follower.joints, again.duet.follower.joints)
    assert (first.samples == again.samples).all() and first.figures == again.figures


@pytest.mark.parametrize("change", [{"seed": 1}, {"tempo": 120.0}, {"step": 0.7}, {"noise": 0.0}])
def test_each_setting_changes_the_dance(change):
    config = SyntheticConfig(seconds=4.0)
    usual, other = synthesize(0, config), synthesize(0, config.model_copy(update=change))
    assert not torch.equal(usual.duet.leader.joints, other.duet.leader.joints)


def test_the_number_of_choreographies_does_not_change_them():
    few, many = (SyntheticConfig(choreographies=n, seconds=4.0) for n in (3, 30))
    assert torch.equal(
        synthesize(1, few).duet.leader.joints, synthesize(1, many).duet.leader.joints
    )


def test_a_length_that_is_asked_for_is_given():
    made = synthesize(1, SyntheticConfig(seconds=8.0))
    assert made.duet.frames == len(made.hold) == 240
    assert len(made.samples) == 8 * made.sample_rate


def test_without_turns_the_couple_keeps_its_direction():
    made = synthesize(2, SyntheticConfig(turns=False, noise=0.0))
    yaw = facing_angle(made.duet.leader.joints)
    assert yaw.max() - yaw.min() < 0.5


def test_followers_turn_under_the_raised_hand_in_salsa():
    config = SyntheticConfig(styles=("salsa",), hold="open", seconds=12.0)
    turned = []
    for index in range(4):
        made = synthesize(index, config)
        yaw = facing_angle(made.duet.follower.joints) - facing_angle(made.duet.leader.joints)
        turned.append(float(yaw.max() - yaw.min()))
    assert max(turned) > 5.0  # rad; most of a whole turn and more


@pytest.mark.parametrize("hold", ["closed", "open"])
def test_the_hold_can_be_chosen(hold):
    made = synthesize(0, SyntheticConfig(styles=("salsa",), hold=hold))
    shoulder = made.hold[:, 0, HOLD_TARGETS.index("shoulder")]
    assert shoulder.all() if hold == "closed" else not shoulder.any()


def test_an_open_waltz_is_refused():
    with pytest.raises(InputError, match="waltz has the hold 'open'"):
        synthesize(0, SyntheticConfig(hold="open"))


def test_an_unknown_style_is_refused():
    with pytest.raises(ValidationError, match="polka"):
        SyntheticConfig(styles=("polka",))  # type: ignore[arg-type]
