"""Holding: a decoded palm that all but meets the leader's takes it.

Placement and arms are written by streams of their own, each a few centimetres off, and a hold is
lost by less than their sum. A palm that comes near a palm of the leader is drawn to it, the elbow
gives way; one that stays away is left alone. How firmly, may be chosen when a dance is made.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from duet_rl.body.contact import hold_distances, palms
from duet_rl.body.kinematics import LIMBS, Posed, bend_limb
from duet_rl.config import Config
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import smoothed

HOLDING = "holding"  # key of a cache: how far palms were drawn last
AS_LEARNED = 1.0  # firmness of a dance that nobody asked to hold otherwise
FIRMEST = 2.0  # farther off, palms take the wrong ones
_ARMS = ("left_arm", "right_arm")
# m from the leader's palms, and from the surfaces of his shoulders and waist, that free hands keep
_ROOM = (0.4, 0.4, 0.15, 0.15)


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
    config: HoldingConfig | None,
    causal: bool = False,
    cache: StreamCache | None = None,
    firmness: float = AS_LEARNED,
) -> Posed:
    """Return the body with its arms bent so that palms which are near the leader's meet them.

    Above 1, palms take each other from so many times as far; below, they are drawn back, wholly at
    0: then no palm touches the leader, as far as arms reach.

    Args:
        posed: decoded followers, `(B, T, ...)`, metres.
        leader: joints of the leaders.
        offsets: the followers' bones.
        config: how near is near; None: as learned, nobody is held.
        causal: look at no later frame.
        cache: continues the clip it was used for before (causal ones only).
        firmness: how firmly hands are held; 0 frees them.
    """
    near = config or HoldingConfig()
    shift = _pull(posed, leader, near, max(firmness, AS_LEARNED))
    if config is None and firmness == AS_LEARNED:
        shift = torch.zeros_like(shift)
    if firmness < AS_LEARNED:
        shift = firmness * shift + (AS_LEARNED - firmness) * _release(posed, leader)
    shift = smoothed(shift.flatten(2), near.sigma, causal, cache, HOLDING).unflatten(2, (2, 3))
    for side, limb in enumerate(_ARMS):
        wrist = posed.joints[:, :, LIMBS[limb].end] + shift[:, :, side]
        posed = bend_limb(posed, offsets, limb, wrist)
    return posed


def begin_unbent(cache: StreamCache, like: Tensor) -> None:
    """Have the arms of a clip that goes on bent from where they are, where they never were."""
    cache.setdefault(HOLDING, like.new_zeros(1, len(_ARMS) * 3))


def _pull(
    posed: Posed, leader: Float[Tensor, "B T 55 3"], config: HoldingConfig, reach: float
) -> Float[Tensor, "B T 2 3"]:
    """Return the way of each palm to what it takes; `reach` widens both distances."""
    own, others = palms(posed.joints), palms(leader)  # (B, T, 2, 3) each
    ways = others[:, :, None] - own[:, :, :, None]  # (B, T, own, other, 3)
    free, span = reach * config.free_distance, config.free_distance - config.full_distance
    pull = ((free - ways.norm(dim=-1)) / (reach * span)).clamp(0, 1)
    pull = pull / pull.sum(-1, keepdim=True).clamp_min(1)  # two palms share what is pulled
    return (pull[..., None] * ways).sum(3)


def _release(posed: Posed, leader: Float[Tensor, "B T 55 3"]) -> Float[Tensor, "B T 2 3"]:
    """Return the way of each palm back towards its own shoulder, until it touches nobody."""
    near = hold_distances(posed.joints, leader)  # (B, T, 2, 4)
    back = (near.new_tensor(_ROOM) - near).amax(-1, keepdim=True).clamp_min(0)
    shoulders = posed.joints[:, :, [LIMBS[limb].start for limb in _ARMS]]
    return back * F.normalize(shoulders - palms(posed.joints), dim=-1)
