"""Contact reward: hands hold what is due, cling to nothing else, bodies stay out of each other."""

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.capsules import capsule_penetration
from duet_rl.body.contact import dilate_time, hold_distances
from duet_rl.config import Config

CONTACT_CREDITS = ("upper", "left_hand", "right_hand", "placement")


class ContactConfig(Config):
    """When a palm holds, when it clings, and what passing through the partner costs."""

    hold_distance: float = Field(0.08, ge=0)  # m between palm and target that hold fully
    hold_scale: float = Field(0.15, gt=0)  # m beyond it at which a hold is worth one half
    cling_distance: float = Field(0.06, gt=0)  # m; a palm nearer than this clings fully
    cling_margin: float = Field(0.08, gt=0)  # m beyond it over which clinging fades out
    grace: float = Field(0.3, ge=0)  # s before and after a due hold in which clinging is free
    free_depth: float = Field(0.03, ge=0)  # m of overlap that soft bodies allow
    depth_scale: float = Field(0.08, gt=0)  # m beyond it at which the reward falls to 1/e


_DEFAULTS = ContactConfig()


def contact_reward(
    follower: Float[Tensor, "B T 55 3"],
    leader: Float[Tensor, "B T 55 3"],
    hold: Bool[Tensor, "B T 2 4"],
    fps: float,
    config: ContactConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score the follower's hands and the room between the bodies, 1 (as it should be) down to 0.

    A hand with a hold due scores how near it is to its target; a hand with none due scores how
    little it clings. Both hands count alike, so neither always nor never holding pays. Overlap
    of the bodies then takes its share of the score.

    Args:
        follower: joints, metres.
        leader: joints of the partner, in the same axes.
        hold: the holds that are due: follower's left and right palm against `HOLD_TARGETS`.
        fps: frames per second.
    """
    distance = hold_distances(follower, leader)  # (B, T, 2, 4)
    due = hold.any(-1)
    missed = torch.where(hold, distance, torch.inf).amin(-1) - config.hold_distance
    held = 1 / (1 + (missed.clamp_min(0) / config.hold_scale).square())
    hands = torch.where(due, held, 1 - _cling(distance, due, fps, config)).mean(-1)
    depth = capsule_penetration(follower, leader)
    return hands * torch.exp(-(depth - config.free_depth).clamp_min(0) / config.depth_scale)


def _cling(distance: Tensor, due: Tensor, fps: float, config: ContactConfig) -> Tensor:
    """Return how much each palm clings to the partner, in [0, 1]; 0 about the time of a hold."""
    beyond = distance.amin(-1) - config.cling_distance
    cling = (1 - beyond / config.cling_margin).clamp(0, 1)
    return torch.where(dilate_time(due, round(config.grace * fps)), 0.0, cling)
