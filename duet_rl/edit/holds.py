"""Holds: a hand on the partner that is not asked to move stays where it is."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.body.contact import dilate_time, hold_due, palms
from duet_rl.body.heading import low_pass
from duet_rl.body.kinematics import LIMBS, Posed, bend_limb, forward_kinematics
from duet_rl.edit.body import Body
from duet_rl.edit.limbs import ARMS
from duet_rl.metrics.duet import HOLD_WITHIN

_LETS_GO = 4  # frames before and after a hold in which the hand comes and goes


def held(
    leader: Float[Tensor, "T 55 3"], follower: Float[Tensor, "T 55 3"], fps: float
) -> Bool[Tensor, "T 2"]:
    """Return whether the left and the right hand hold the partner's hand, shoulder or waist."""
    return hold_due(leader, follower, fps, threshold=HOLD_WITHIN).any(-1)


def keep_hands(
    body: Body,
    source: Float[Tensor, "T 55 3"],
    leader: Float[Tensor, "T 55 3"],
    offsets: Float[Tensor, "55 3"],
    parts: Sequence[str],
    fps: float,
) -> Body:
    """Return the body with arms bent so that hands which held, and may not move, hold still.

    Args:
        body: edited.
        source: joints before the edit.
        leader: joints of the partner.
        offsets: the bones.
        parts: what was asked to move; those arms go where they were sent.
        fps: frames per second.
    """
    keeps = dilate_time(held(leader, source, fps), _LETS_GO).to(source)
    keeps = low_pass(keeps, _LETS_GO / 2)
    posed = Posed(body.rotations, *forward_kinematics(body.rotations, body.root, offsets))
    pull = (palms(source) - palms(posed.joints)) * keeps[..., None]
    for side, limb in enumerate(ARMS):
        if limb in parts:
            continue
        wrist = posed.joints[:, LIMBS[limb].end] + pull[:, side]
        bent = bend_limb(posed, offsets, limb, wrist)
        moves = (pull[:, side].norm(dim=-1) > 0)[:, None, None, None]
        # Untouched frames stay so to the last bit.
        posed = bent._replace(rotations=torch.where(moves, bent.rotations, posed.rotations))
    return Body(posed.rotations, body.root)
