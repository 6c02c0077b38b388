"""Codes of a couple: the hold can be read, and a true partner agrees with himself alone."""

import math

import pytest
import torch

from duet_rl.body.contact import hold_due
from duet_rl.body.skeleton import JOINT
from duet_rl.errors import InputError
from duet_rl.posecodes.agreement import code_agreement, duet_agreement, frame_agreement
from duet_rl.posecodes.catalogue import DUET_CODES
from tests.couple import joints_of, moved, standing_couple, stepping_couple, turned
from tests.posecodes.poses import differing, posed, wild, words

ROUNDING = 1e-3  # share of codes whose values lie so near a threshold that rounding decides


def read(follower: torch.Tensor, leader: torch.Tensor) -> set[str]:
    """Return what the codes of the first frame say."""
    return set(DUET_CODES.read(DUET_CODES.codes(follower, leader).flatten(0, -2)[0]))


def test_a_two_hand_hold_is_read() -> None:
    told = read(*joints_of(standing_couple()))
    assert told >= {
        "left hand holding partner's right hand",
        "right hand holding partner's left hand",
        "left hand within reach of partner's waist",
        "dancer at arm's length from partner",
        "partner in front of dancer",
        "dancer in front of partner",
        "partner turned opposite to dancer",
    }
    assert "left hand holding partner's left hand" not in told


def test_a_closed_hold_is_read() -> None:
    follower, leader = joints_of(standing_couple())
    leader = leader.clone()
    waist = follower[..., JOINT["spine1"], :] + torch.tensor([0.12, 0.0, 0.0])
    for name in ("right_wrist", "right_middle1"):
        leader[..., JOINT[name], :] = waist
    told = read(follower, leader)
    assert "partner's right hand on dancer's waist" in told
    assert "left hand holding partner's right hand" not in told


def test_a_read_hold_is_a_hold_that_is_due() -> None:
    follower, leader = joints_of(stepping_couple())
    held = DUET_CODES.codes(follower, leader)[..., :4] == 0  # hand by hand
    due = hold_due(leader, follower, 30.0, threshold=0.2)[..., :2]
    assert torch.equal(held.unflatten(-1, (2, 2)), due)
    assert due.any() and not due.all()


@pytest.mark.parametrize(
    ("yaw", "told"),
    [
        (0.0, "turned the same way as"),
        (math.pi / 4, "turned left by an eighth from"),
        (math.pi / 2, "turned left by a quarter from"),
        (-math.pi / 2, "turned right by a quarter from"),
        (math.pi, "turned opposite to"),
        (-math.pi, "turned opposite to"),
        (3.9 * math.pi, "turned the same way as"),
    ],
)
def test_the_partners_heading_is_read(yaw: float, told: str) -> None:
    dancer = posed()[None]
    assert f"partner {told} dancer" in read(dancer, moved(turned(dancer, yaw), z=1.0))


@pytest.mark.parametrize(
    ("x", "z", "told"),
    [
        (0.0, 1.0, "in front of"),
        (0.0, -1.0, "behind"),
        (0.01, -1.0, "behind"),
        (-0.01, -1.0, "behind"),
        (1.0, 0.0, "to the left of"),
        (-1.0, 0.0, "to the right of"),
    ],
)
def test_the_side_of_the_partner_is_read(x: float, z: float, told: str) -> None:
    dancer = posed()[None]
    partner = moved(dancer, x=x, z=z)
    assert f"partner {told} dancer" in read(dancer, partner)
    assert f"dancer {told} partner" in read(partner, dancer)


@pytest.mark.parametrize(
    ("metres", "told"),
    [(0.2, "against"), (0.5, "near"), (0.9, "at arm's length from"), (1.5, "apart from")],
)
def test_the_distance_is_read(metres: float, told: str) -> None:
    dancer = posed()[None]
    assert f"dancer {told} partner" in read(dancer, moved(dancer, z=metres))


def test_a_blur_carries_angles_past_half_a_turn() -> None:
    dancer = posed()[None]
    partner = moved(turned(dancer, math.pi - 0.01), z=1.0)
    nudge = torch.full((len(DUET_CODES),), 5.0)  # deg, over half a turn
    blurred = DUET_CODES.classify(DUET_CODES.values(dancer, partner) + nudge)
    assert "partner turned opposite to dancer" in DUET_CODES.read(blurred[0, 0])


def test_turning_and_moving_a_couple_leaves_the_codes_alone() -> None:
    follower, leader = wild(seed=1).joints[None], moved(wild(seed=2).joints[None], z=0.6)
    codes = DUET_CODES.codes(follower, leader)
    elsewhere = (moved(turned(joints, 2.1), 20.0, 0.5, -8.0) for joints in (follower, leader))
    assert differing(codes, DUET_CODES.codes(*elsewhere)) < ROUNDING


def test_turning_one_alone_does_not() -> None:
    follower, leader = joints_of(standing_couple())
    codes = DUET_CODES.codes(follower, leader)
    assert differing(codes, DUET_CODES.codes(turned(follower, 1.0), leader)) > 0.05


def test_a_mirrored_couple_has_mirrored_codes() -> None:
    dancers = wild(seed=1), wild(seed=2).moved((0.3, 0.0, 0.5))
    codes = DUET_CODES.codes(*(dancer.joints for dancer in dancers))
    mirrored = DUET_CODES.codes(*(dancer.mirrored().joints for dancer in dancers))
    assert differing(DUET_CODES.mirrored(codes), mirrored) < ROUNDING
    assert differing(codes, mirrored) > 0.1


def test_each_hold_is_read_from_both_sides() -> None:
    follower, leader = joints_of(stepping_couple())
    one, other = DUET_CODES.codes(follower, leader), DUET_CODES.codes(leader, follower)
    groups = {row.name: group for group, row in enumerate(DUET_CODES.rows)}
    pairs = [
        ("distance-left_hand-partner_right_hand", "distance-right_hand-partner_left_hand"),
        (
            "gap-left_hand-partner_pelvis-partner_spine3",
            "gap-partner_left_hand-pelvis-spine3",
        ),
    ]
    for mine, theirs in pairs:
        assert torch.equal(one[..., groups[mine]], other[..., groups[theirs]])


def test_a_couple_wants_two() -> None:
    follower, _ = joints_of(standing_couple())
    with pytest.raises(InputError, match="give the partner too"):
        DUET_CODES.codes(follower)


def test_the_bodies_of_a_couple_are_read_one_by_one() -> None:
    follower, leader = joints_of(standing_couple())
    assert "left hand in front of torso" in words(follower[0]) & words(leader[0])


def test_the_true_partner_agrees_with_himself() -> None:
    follower, leader = joints_of(stepping_couple())
    agreed = duet_agreement(follower, leader, follower)
    assert float(agreed.share) == float(agreed.kappa) == 1.0


def test_the_farther_a_follower_is_from_the_true_partner_the_less_they_agree() -> None:
    follower, leader = joints_of(stepping_couple())
    far = [moved(follower, z=metres) for metres in (0.0, 0.1, 0.4, 1.5)]
    shares = [float(duet_agreement(f, leader, follower).share) for f in far]
    assert shares == sorted(shares, reverse=True) and len(set(shares)) == len(shares)


def test_chance_is_no_agreement() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.tensor(DUET_CODES.classes)
    found, wanted = (
        (torch.rand(2, 4000, len(classes), generator=generator) ** 3 * classes).long()
        for _ in range(2)
    )
    agreed = code_agreement(found, wanted, DUET_CODES)
    assert (agreed.kappa.abs() < 0.02).all()
    assert (agreed.share > 0.3).all()  # which is why the share alone would flatter
    assert torch.allclose(frame_agreement(found, wanted).mean(1), agreed.share)


def test_a_dance_that_never_changes_has_no_kappa() -> None:
    still = torch.zeros(1, 10, len(DUET_CODES), dtype=torch.long)
    agreed = code_agreement(still, still, DUET_CODES)
    assert float(agreed.share) == 1.0 and agreed.kappa.isnan().all()


def test_unknown_joints_have_no_agreement_and_spoil_no_other_clip() -> None:
    follower, leader = joints_of(stepping_couple())
    broken = follower.clone()
    broken[:, 7, 3] = torch.nan
    both = torch.cat([broken, follower])
    agreed = duet_agreement(both, leader.expand_as(both), follower.expand_as(both))
    assert agreed.share.isnan().tolist() == agreed.kappa.isnan().tolist() == [True, False]
    assert float(agreed.share[1]) == 1.0


def test_a_hold_is_a_hold_between_tall_dancers_too() -> None:
    follower, leader = joints_of(standing_couple())
    told = read(1.2 * follower, 1.2 * leader)
    assert "left hand holding partner's right hand" in told
    apart = DUET_CODES.values(1.2 * follower, 1.2 * leader) / DUET_CODES.values(follower, leader)
    torch.testing.assert_close(apart[..., 12], torch.full_like(apart[..., 12], 1.2))  # pelves
