"""Transfer: arms go over to the poses that were decoded.

Legs and trunk carry the body, and a pose that is a few centimetres off makes feet slide: they keep
the take's own pose, which the nudge changes as little as can be.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.contact import dilate_time
from duet_rl.body.heading import low_pass
from duet_rl.body.rotations import slerp
from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.edit.body import Body
from duet_rl.edit.limbs import ARMS, LEGS, joints_of
from duet_rl.edit.wants import Want
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_AROUND = FRAMES_PER_TOKEN  # frames before and after a change in which the body goes over to it


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


def blend(source: Body, decoded: Float[Tensor, "T 55 3 3"], weights: Float[Tensor, "T 55"]) -> Body:
    """Return the take with its arms turned as decoded, as far as their weights say.

    Args:
        source: the take.
        decoded: local rotations.
        weights: 0 leaves a joint as it is, to the last bit.
    """
    arms, own = list(joints_of(ARMS)), source.rotations
    mixed = slerp(own[:, arms], decoded[:, arms], weights[:, arms])
    rotations = own.clone()
    rotations[:, arms] = torch.where((weights[:, arms] > 0)[..., None, None], mixed, own[:, arms])
    return source._replace(rotations=rotations)
