"""Holding: a decoded palm that all but meets the leader's takes it.

Placement and arms are written by streams of their own, each a few centimetres off, and a hold is
lost by less than their sum. A palm that comes near a palm of the leader is drawn to it, the elbow
gives way; one that stays away is left alone.
"""

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from duet_rl.body.contact import palms
from duet_rl.body.kinematics import LIMBS, Posed, bend_limb
from duet_rl.config import Config
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import smoothed

_ARMS = ("left_arm", "right_arm")


class HoldingConfig(Config):
    """How near palms take each other."""

    full_distance: float = Field(0.12, ge=0)  # m between two palms that take each other wholly
    free_distance: float = Field(0.25, gt=0)  # m from which they leave each other alone
    sigma: float = Field(2.0, ge=0)  # frames; low-pass of the pull

    @model_validator(mode="after")
    def _fades(self) -> "HoldingConfig":
        if self.free_distance <= self.full_distance:
            raise ValueError(
                f"full_distance is {self.full_distance} and free_distance {self.free_distance}; "
                "palms must be free farther away than they hold"
            )
        return self


def hold_hands(
    posed: Posed,
    leader: Float[Tensor, "B T 55 3"],
    offsets: Float[Tensor, "*#batch 55 3"],
    config: HoldingConfig,
    causal: bool = False,
    cache: StreamCache | None = None,
) -> Posed:
    """Return the body with its arms bent so that palms which are near the leader's meet them.

    Args:
        posed: decoded followers, `(B, T, ...)`, metres.
        leader: joints of the leaders.
        offsets: the followers' bones.
        config: how near is near.
        causal: look at no later frame.
        cache: continues the clip it was used for before (causal ones only).
    """
    own, others = palms(posed.joints), palms(leader)  # (B, T, 2, 3) each
    ways = others[:, :, None] - own[:, :, :, None]  # (B, T, own, other, 3)
    span = config.free_distance - config.full_distance
    pull = ((config.free_distance - ways.norm(dim=-1)) / span).clamp(0, 1)
    pull = pull / pull.sum(-1, keepdim=True).clamp_min(1)  # two palms share what is pulled
    shift = (pull[..., None] * ways).sum(3).flatten(2)
    shift = smoothed(shift, config.sigma, causal, cache, "holding").unflatten(2, (2, 3))
    for side, limb in enumerate(_ARMS):
        wrist = posed.joints[:, :, LIMBS[limb].end] + shift[:, :, side]
        posed = bend_limb(posed, offsets, limb, wrist)
    return posed
