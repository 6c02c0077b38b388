"""Codes reward: holds, touches, faces and stands to the leader as the true partner does."""

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.contact import HOLD_TARGETS
from duet_rl.config import Config
from duet_rl.posecodes.agreement import frame_agreement
from duet_rl.posecodes.catalogue import DUET_CODES

CODES_CREDITS = ("upper", "lower", "left_hand", "right_hand", "placement")

_HANDS = ("left_hand", "right_hand")
_TARGETS = {  # of `HOLD_TARGETS` -> what names the group of a hand on it
    "left_palm": "partner_left_hand",
    "right_palm": "partner_right_hand",
    "shoulder": "partner_left_shoulder",
    "waist": "partner_pelvis",
}


class CodesConfig(Config):
    """Which agreement is none."""

    # Share of the duet codes that dances of one style, unrelated otherwise, have in common.
    chance: float = Field(0.5, ge=0, lt=1)


_DEFAULTS = CodesConfig()


def codes_reward(
    follower: Float[Tensor, "B T 55 3"],
    leader: Float[Tensor, "B T 55 3"],
    partner: Float[Tensor, "B T 55 3"],
    config: CodesConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score the share of duet codes that are the true partner's, 1 (all) down to 0 (chance).

    The codes say who holds whom where, how near the two are, which way they face, and where the
    feet stand (`posecodes.duet_table`); all count alike.

    Args:
        follower: joints, metres.
        leader: joints of the partner, in the same axes.
        partner: joints of the true follower of the same leader.
        config: the share that earns nothing.
    """
    found, wanted = (DUET_CODES.codes(dancer, leader) for dancer in (follower, partner))
    share = frame_agreement(found, wanted)
    return ((share - config.chance) / (1 - config.chance)).clamp_min(0)


def hold_codes_reward(
    follower: Float[Tensor, "B T 55 3"],
    leader: Float[Tensor, "B T 55 3"],
    hold: Bool[Tensor, "B T 2 4"],
) -> Float[Tensor, "B T"]:
    """Score which of the holds that are due or kept are both, 1 (all) down to 0 (none).

    For couples whose true follower nobody knows. Where nothing is due and nothing held, the score
    is 1.

    Args:
        follower: joints, metres.
        leader: joints of the partner, in the same axes.
        hold: the holds that are due: follower's left and right palm against `HOLD_TARGETS`.
    """
    codes = DUET_CODES.codes(follower, leader)[..., _GROUPS]
    kept, due = (codes == 0).unflatten(-1, (2, -1)), hold
    both, either = (x.flatten(-2).sum(-1) for x in (kept & due, kept | due))
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


def _groups() -> list[int]:
    """Return the duet groups of each hand on each of `HOLD_TARGETS`, hand by hand."""
    found = []
    for hand in _HANDS:
        for target in HOLD_TARGETS:
            named = [
                group
                for group, row in enumerate(DUET_CODES.rows)
                if row.points[:2] == (hand, _TARGETS[target])
            ]
            assert len(named) == 1, (hand, target)
            found += named
    return found


_GROUPS = _groups()
