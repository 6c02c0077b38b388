"""Transfer: what was decoded goes over to the take, in the parts that were asked to move.

Arms take the decoded pose. Legs and trunk carry the body, and a pose that is a few centimetres off
makes feet slide: they take only what the edit changed between two decoded poses, so that the
decoder's own errors fall out and the steps of the take stay.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.contact import dilate_time
from duet_rl.body.heading import low_pass
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import slerp
from duet_rl.body.skeleton import FEET, NUM_JOINTS, UP
from duet_rl.edit.body import Body
from duet_rl.edit.limbs import ARMS, LEGS, joints_of
from duet_rl.edit.wants import Want
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_AROUND = FRAMES_PER_TOKEN  # frames before and after a change in which the body goes over to it
_ROOT_SIGMA = 3.0  # frames; low-pass of how the root rises or falls with the legs


def joint_weights(wants: Sequence[Want]) -> Float[Tensor, "T 55"]:
    """Return how far each joint has gone over to the edits in each frame, 0 to 1."""
    weights = torch.zeros(len(wants[0].weight), NUM_JOINTS)
    for want in wants:
        own = torch.zeros(NUM_JOINTS)
        own[list(joints_of(want.parts))] = 1.0
        weights = torch.maximum(weights, want.weight[:, None] * own)
    return weights


def leg_weights(wants: Sequence[Want]) -> Float[Tensor, "T"] | None:
    """Return how far the legs have gone over to the edits; None where no leg may move."""
    own = [want.weight for want in wants if set(LEGS) & set(want.parts)]
    return torch.stack(own).amax(0) if own else None


def changed_weights(
    before: Int[Tensor, "N S"], after: Int[Tensor, "N S"], frames: int
) -> Float[Tensor, "T"]:
    """Return where rows of codes were changed, 1, and where they stayed, 0, smooth over time."""
    changed = (before != after).any(1).repeat_interleave(FRAMES_PER_TOKEN)[:frames]
    around = dilate_time(changed[:, None], _AROUND).to(torch.float32)
    return low_pass(around, _AROUND / 2)[:, 0].clamp(0, 1)


def blend(
    source: Body,
    plain: Float[Tensor, "T 55 3 3"],
    decoded: Float[Tensor, "T 55 3 3"],
    weights: Float[Tensor, "T 55"],
) -> Body:
    """Return the take with its joints turned as decoded, as far as their weights say.

    Args:
        source: the take.
        plain: local rotations as decoded of the take's own codes.
        decoded: the same of the edited codes.
        weights: 0 leaves a joint as it is, to the last bit.
    """
    own, arms = source.rotations, list(joints_of(ARMS))
    target = own @ (plain.mT @ decoded)
    target[:, arms] = decoded[:, arms]
    touched = (weights > 0)[..., None, None]
    return source._replace(rotations=torch.where(touched, slerp(own, target, weights), own))


def on_floor(
    body: Body, source: Body, offsets: Float[Tensor, "55 3"], weight: Float[Tensor, "T"]
) -> Body:
    """Return the body raised or lowered so that its lowest foot is as high as the source's."""
    lowest, before = (
        forward_kinematics(b.rotations, b.root, offsets).joints[:, FEET, UP].amin(-1)
        for b in (body, source)
    )
    rise = low_pass((before - lowest)[:, None], _ROOT_SIGMA)[:, 0]
    root = body.root.clone()
    root[:, UP] += torch.where(weight > 0, rise, 0.0)
    return body._replace(root=root)
