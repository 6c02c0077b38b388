"""What a reward may look at."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RewardInput:
    """Everything that a reward may look at: `B` dances of `T` frames, metres, Y-up, one floor.

    Args:
        follower: joints to score.
        leader: joints of the partner; None for a dancer alone.
        beats: music beats.
        fps: frames per second of all of it.
        hold: holds that are due (`duet_rl.body.contact.hold_due`), if known.
        partner: joints of the true follower, if there is one.
        root_velocity: m/s, what the lower body's tokens say of the root, if they say it.
    """

    follower: Float[Tensor, "B T 55 3"]
    leader: Float[Tensor, "B T 55 3"] | None
    beats: Bool[Tensor, "B T"]
    fps: float = 30.0
    hold: Bool[Tensor, "B T 2 4"] | None = None
    partner: Float[Tensor, "B T 55 3"] | None = None
    root_velocity: Float[Tensor, "B T 3"] | None = None
