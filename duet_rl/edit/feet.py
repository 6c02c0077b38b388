"""Feet of edited legs: where the take's are planted, they move as the take's do.

A foot may so stand elsewhere, by a constant shift, for as long as it stands. The nudge comes near
to this; here knees and ankles do the rest.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.linalg import solveh_banded
from torch import Tensor

from duet_rl.body.contact import dilate_time, planted_feet
from duet_rl.body.heading import low_pass
from duet_rl.body.kinematics import LIMBS, Posed, bend_limb, forward_kinematics
from duet_rl.body.rotations import slerp
from duet_rl.body.skeleton import JOINT, UP
from duet_rl.edit.body import Body
from duet_rl.edit.limbs import LEGS
from duet_rl.edit.wants import Want
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.posecodes.points import LIMB_POINTS

_FREE = 0.02  # how much a shift is drawn to that of the edited foot, 1 to that of the frame before
_FIXED = 1e6  # the same of a foot that may not move, or that is asked to be elsewhere
_AROUND = 4  # frames around those that stay as they were edited
_SIGMA = 2.0  # frames; low-pass of whether a foot is planted


def planted_sides(source: Float[Tensor, "T 55 3"], wants: Sequence[Want]) -> Bool[Tensor, "T 2"]:
    """Return which feet shall stand as the take's do: those planted there and not asked to lift."""
    planted = planted_feet(source)
    for want in wants:
        for side, limb in enumerate(LEGS):
            if _lifts(want, limb):
                planted[want.weight > 0, side] = False
    return planted


def sent_sides(wants: Sequence[Want], frames: int) -> Bool[Tensor, "T 2"]:
    """Return which feet are asked to be elsewhere: not only how their legs are bent."""
    sent = torch.zeros(frames, len(LEGS), dtype=torch.bool)
    for want in wants:
        for side, limb in enumerate(LEGS):
            if any(set(_points(group)) & set(LIMB_POINTS[limb]) for group in want.groups):
                sent[want.weight > 0, side] = True
    return sent


def plant(body: Body, source: Body, offsets: Float[Tensor, "55 3"], wants: Sequence[Want]) -> Body:
    """Return the body with the planted feet of edited legs standing as the take's do.

    The shift `d` of an ankle from the take's minimises, over all frames,
    `planted |d[t] - d[t-1]|^2 + free |d[t] - shift[t]|^2`, where `shift` is that of the edited
    body, upwards that of a foot in the air alone; knees follow, and feet turn as the take's. Frames
    that would no longer show what they are asked for stay as they were edited. A foot
    that is asked to be elsewhere stays where the nudge has brought it.

    Args:
        body: edited.
        source: the take.
        offsets: the bones.
        wants: of all edits; legs of which none may move stay.
    """
    posed, before = (Posed(b.rotations, *forward_kinematics(*b, offsets)) for b in (body, source))
    planted = planted_sides(before.joints, wants)
    sent = sent_sides(wants, len(planted))
    for side, limb in enumerate(LEGS):
        own = [want.weight for want in wants if limb in want.parts]
        if not own:
            continue
        may_move = (torch.stack(own).amax(0) > 0) & ~sent[:, side]
        ankle = LIMBS[limb].end
        shift = posed.joints[:, ankle] - before.joints[:, ankle]
        stands = low_pass(planted[:, side, None].to(shift), _SIGMA) * may_move[:, None]
        shift[:, UP] *= (1 - stands)[:, 0]
        steady = _steady(shift, planted[:, side], torch.where(may_move, _FREE, _FIXED))
        bent = bend_limb(posed, offsets, limb, before.joints[:, ankle] + steady)
        bent = _footed(bent, before, limb, stands[:, 0])
        kept = may_move[:, None, None, None]
        rotations = torch.where(kept, bent.rotations, posed.rotations)
        posed = Posed(rotations, *forward_kinematics(rotations, body.root, offsets))
    lost = _shown(body, offsets, wants) & ~_shown(
        body._replace(rotations=posed.rotations), offsets, wants
    )
    back = low_pass(dilate_time(lost[:, None], _AROUND).to(offsets), _SIGMA)
    mixed = slerp(posed.rotations, body.rotations, back)
    touched = (posed.rotations != body.rotations).flatten(1).any(1)[:, None, None, None]
    return body._replace(rotations=torch.where(touched, mixed, body.rotations))


def _shown(body: Body, offsets: Float[Tensor, "55 3"], wants: Sequence[Want]) -> Bool[Tensor, "T"]:
    """Return which frames show all that is asked of them."""
    codes = BODY_CODES.codes(forward_kinematics(*body, offsets).joints)
    return torch.stack([want.shown(codes) | ~want.frames for want in wants]).all(0)


def _footed(posed: Posed, before: Posed, limb: str, weight: Float[Tensor, "T"]) -> Posed:
    """Return the body with a foot turned as before, as far as its weight says."""
    _, knee, ankle = LIMBS[limb]
    toes = JOINT[limb.replace("leg", "foot")]
    turned = slerp(posed.global_rotations[:, ankle], before.global_rotations[:, ankle], weight)
    rotations = posed.rotations.clone()
    rotations[:, ankle] = posed.global_rotations[:, knee].mT @ turned
    rotations[:, toes] = slerp(rotations[:, toes], before.rotations[:, toes], weight)
    return posed._replace(rotations=rotations)


def _steady(
    shift: Float[Tensor, "T 3"], planted: Bool[Tensor, "T"], free: Float[Tensor, "T"]
) -> Float[Tensor, "T 3"]:
    """Return the shift that hardly changes while the foot is planted; a tridiagonal system."""
    bond = np.zeros(len(shift))
    bond[1:] = (planted[1:] & planted[:-1]).double().numpy()
    drawn = free.double().numpy()
    diagonal = drawn + bond + np.append(bond[1:], 0.0)
    above = np.append(0.0, -bond[1:])
    solved = solveh_banded(np.stack([above, diagonal]), drawn[:, None] * shift.double().numpy())
    return torch.from_numpy(solved).to(shift)


def _lifts(want: Want, limb: str) -> bool:
    """Return whether it is wanted that a leg is off the floor."""
    return any(
        BODY_CODES.rows[group].operator == "up"
        and _points(group)[0] in LIMB_POINTS[limb]
        and not bool(want.classes[want.frames, place, 0].any())
        for place, group in enumerate(want.groups)
    )


def _points(group: int) -> tuple[str, ...]:
    """Return the points that a group compares by where they are; of an angle, none."""
    row = BODY_CODES.rows[group]
    return () if row.operator == "angle" else row.points
