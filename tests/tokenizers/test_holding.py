"""Holding: palms that nearly meet take each other, and others are left alone."""

import pytest
import torch

from duet_rl.body.contact import hold_distances, palms
from duet_rl.body.kinematics import Posed, forward_kinematics
from duet_rl.body.skeleton import PARENTS, default_skeleton
from duet_rl.errors import InputError
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.holding import HoldingConfig, hold_hands
from duet_rl.tokenizers.tokenizer import DecodingConfig, DuetCodecConfig
from tests.couple import standing_couple

CONFIG = HoldingConfig()
OFFSETS = default_skeleton().offsets


@pytest.fixture(scope="module")
def couple():
    """The couple with joined hands, follower first."""
    couple = standing_couple(1.0)
    motion = couple.follower
    pose = forward_kinematics(motion.rotations, motion.joints[:, 0], OFFSETS)
    return Posed(*(x[None] for x in (motion.rotations, *pose))), couple.leader.joints[None]


def aside(posed: Posed, metres: float) -> Posed:
    return posed._replace(joints=posed.joints + torch.tensor([metres, 0.0, 0.0]))


def gaps(posed: Posed, leader: torch.Tensor) -> torch.Tensor:
    """Return how far each palm is from the nearest of the leader's, metres."""
    apart = palms(posed.joints)[:, :, :, None] - palms(leader)[:, :, None]
    return apart.norm(dim=-1).amin(-1)


@pytest.mark.parametrize("causal", [False, True])
def test_palms_that_nearly_meet_take_each_other(couple, causal):
    follower, leader = couple
    near = aside(follower, 0.1)
    held = hold_hands(near, leader, OFFSETS, CONFIG, causal)
    assert gaps(near, leader).max() > 0.08
    assert gaps(held, leader).max() < 0.02


def test_pieces_of_a_dance_hold_as_the_whole(couple):
    follower, leader = couple
    near, cache = aside(follower, 0.1), {}
    whole = hold_hands(near, leader, OFFSETS, CONFIG, causal=True)
    pieces = []
    for frames in torch.arange(leader.shape[1]).split(4):
        piece = Posed(*(values[:, frames] for values in near))
        held = hold_hands(piece, leader[:, frames], OFFSETS, CONFIG, True, cache)
        pieces.append(held.joints)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole.joints, atol=1e-4, rtol=0)


def test_palms_that_stay_away_are_left_alone(couple):
    follower, leader = couple
    far = aside(follower, 2.0)
    held = hold_hands(far, leader, OFFSETS, CONFIG)
    torch.testing.assert_close(held.joints, far.joints, atol=3e-3, rtol=0)


def test_the_pull_sets_in_softly(couple):
    """A palm that comes nearer step by step is never moved by a leap."""
    follower, leader = couple
    frames = follower.joints.shape[1]
    way = torch.linspace(0.5, 0.0, frames)
    coming = torch.stack([way, way * 0, way * 0], dim=-1)[None, :, None]
    held = hold_hands(follower._replace(joints=follower.joints + coming), leader, OFFSETS, CONFIG)
    own_step = 0.5 / frames
    assert torch.diff(palms(held.joints), dim=1).norm(dim=-1).max() < 4 * own_step


def test_only_the_arms_change_and_bones_keep_their_length(couple):
    follower, leader = couple
    near = aside(follower, 0.15)
    held = hold_hands(near, leader, OFFSETS, CONFIG)
    bones = (held.joints[:, :, 1:] - held.joints[:, :, list(PARENTS[1:])]).norm(dim=-1)
    torch.testing.assert_close(bones, OFFSETS[1:].norm(dim=-1).expand_as(bones), atol=1e-4, rtol=0)
    assert torch.equal(held.joints[:, :, :16], near.joints[:, :, :16])
    again = forward_kinematics(held.rotations, held.joints[:, :, 0], OFFSETS)
    torch.testing.assert_close(again.joints, held.joints, atol=1e-3, rtol=0)


def test_palms_that_are_never_free_are_refused():
    with pytest.raises(ValueError, match="must be free farther away"):
        HoldingConfig(full_distance=0.3, free_distance=0.2)


def touches(posed: Posed, leader: torch.Tensor) -> torch.Tensor:
    """Return how near each hand of the middle frame comes to what it might hold, metres."""
    return hold_distances(posed.joints, leader)[0, posed.joints.shape[1] // 2].amin(-1)


def test_firm_hands_take_palms_from_farther_off(couple):
    follower, leader = couple
    near = aside(follower, 0.24)
    gap = [
        gaps(hold_hands(near, leader, OFFSETS, CONFIG, firmness=firm), leader).mean()
        for firm in (1.0, 1.5, 2.0)
    ]
    assert gap[0] > 0.15 and gap[0] > gap[1] > gap[2] and gap[2] < 0.05


def test_free_hands_touch_nobody_and_half_free_ones_are_between(couple):
    follower, leader = couple
    held, loose, free = (
        hold_hands(follower, leader, OFFSETS, CONFIG, firmness=firm) for firm in (1.0, 0.5, 0.0)
    )
    assert touches(held, leader).max() < 0.03
    assert touches(free, leader).min() > 0.14
    assert (touches(held, leader) < touches(loose, leader)).all()
    assert (touches(loose, leader) < touches(free, leader)).all()
    assert torch.equal(free.joints[:, :, :16], follower.joints[:, :, :16])  # arms alone gave way


def test_free_hands_that_are_free_already_are_left_alone(couple):
    follower, leader = couple
    far = aside(follower, 2.0)
    freed = hold_hands(far, leader, OFFSETS, CONFIG, firmness=0.0)
    torch.testing.assert_close(freed.joints, far.joints, atol=3e-3, rtol=0)


def test_a_codec_holds_as_firmly_as_it_is_told_and_stays_as_it_was():
    codec = DuetCodec(DuetCodecConfig())
    firm = codec.holding(2.0)
    assert (codec.firmness, firm.firmness) == (1.0, 2.0) and firm.pose is codec.pose
    assert codec.holding(1.0) is codec
    for firmness in (-1.0, 3.0, float("nan")):
        with pytest.raises(InputError, match="free"):
            codec.holding(firmness)


def test_arms_that_cannot_be_bent_are_not_asked_to_hold():
    decoding = DecodingConfig(joints="positions", planting=None, holding=None)
    with pytest.raises(InputError, match="positions of joints"):
        DuetCodec(DuetCodecConfig(decoding=decoding)).holding(0.0)
