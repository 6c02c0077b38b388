"""Where each hand of a couple is in each hold."""

from dataclasses import dataclass, replace
from typing import Literal

from duet_rl.datasets.synthetic_figures import Hold

Frame = Literal["couple", "own", "partner"]
Role = Literal["leader", "follower"]
Side = Literal["left", "right"]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class HandPose:
    """Where a hand is and how it is held.

    `couple` axes stand on the floor between the two chests: x to the leader's left, y up, z from
    leader to follower. `own` and `partner` axes move with a chest: x to its left, z forward, from
    the middle of the chest.
    """

    frame: Frame  # of `palm`
    palm: Vector  # m; a joined pair gives the same point for both hands
    fingers: Vector  # direction, in `axes`
    facing: Vector  # direction out of the palm, in `axes`
    elbow: Vector  # direction into which the elbow points, in own axes
    curl: float  # rad; how bent each joint of the fingers is
    axes: Frame = "couple"

    def mirrored(self) -> "HandPose":
        """Return the same for the other hand."""
        palm, fingers, facing, elbow = (
            (-x, y, z) for x, y, z in (self.palm, self.fingers, self.facing, self.elbow)
        )
        return replace(self, palm=palm, fingers=fingers, facing=facing, elbow=elbow)


_FREE = HandPose(
    "own", (0.30, -0.19, 0.20), (-0.2, 0.15, 1.0), (-0.7, -0.7, 0.0), (0.5, -0.6, -0.6), 0.3, "own"
)
_STYLED = HandPose(  # the follower's free arm in one-hand holds
    "own", (0.44, -0.06, 0.16), (0.8, 0.1, 0.6), (0.0, -1.0, 0.2), (0.4, -0.7, -0.5), 0.15, "own"
)
_AT_WAIST = HandPose(  # the leader's free arm
    "own", (0.31, -0.20, 0.16), (-0.4, 0.0, 0.9), (-0.2, -1.0, 0.0), (0.6, -0.4, -0.7), 0.4, "own"
)
_GIVEN = HandPose(
    "couple", (0.20, 1.08, 0.0), (0.0, 0.1, 1.0), (0.0, 1.0, -0.1), (0.45, -0.85, -0.3), 0.4
)
_TAKEN = HandPose(
    "couple", (-0.20, 1.08, 0.0), (0.0, 0.15, -1.0), (0.0, -1.0, -0.15), (0.45, -0.85, -0.3), 0.4
)

# A hand of the leader and the follower's hand opposite to it.
HAND_POSES: dict[Hold, dict[tuple[Role, Side], HandPose]] = {
    "closed": {
        ("leader", "left"): HandPose(
            "couple", (0.47, 1.36, 0.0), (0.5, 0.8, 0.3), (0.0, -0.2, 1.0), (0.9, -0.4, -0.4), 0.35
        ),
        ("follower", "right"): HandPose(
            *("couple", (0.47, 1.36, 0.0), (0.6, 0.75, -0.2), (0.0, 0.2, -1.0)),
            *((-0.9, -0.5, -0.3), 0.35),
        ),
        ("leader", "right"): HandPose(
            *("partner", (0.15, 0.0, 0.0), (-0.35, 0.15, -0.9), (-0.95, 0.0, 0.3)),
            *((-0.95, -0.35, 0.0), 0.15, "partner"),
        ),
        ("follower", "left"): HandPose(
            *("partner", (-0.17, 0.23, 0.05), (0.15, 0.1, -1.0), (0.0, -1.0, -0.15)),
            *((0.85, -0.3, -0.2), 0.35, "partner"),
        ),
    },
    "two_hands": {
        ("leader", "left"): _GIVEN,
        ("follower", "right"): _TAKEN.mirrored(),
        ("leader", "right"): _GIVEN.mirrored(),
        ("follower", "left"): replace(_TAKEN, elbow=(0.45, -0.85, -0.3)),
    },
    "one_hand": {
        ("leader", "left"): replace(_GIVEN, palm=(0.14, 1.06, 0.0)),
        ("follower", "right"): replace(_TAKEN.mirrored(), palm=(0.14, 1.06, 0.0)),
        ("leader", "right"): _AT_WAIST.mirrored(),
        ("follower", "left"): _STYLED,
    },
    "raised": {
        ("leader", "left"): HandPose(
            "couple", (0.09, 1.80, 0.16), (0.0, 0.6, 0.8), (0.0, -0.8, 0.6), (0.9, -0.2, 0.2), 0.3
        ),
        ("follower", "right"): HandPose(
            *("couple", (0.09, 1.80, 0.16), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
            *((-0.9, -0.1, 0.3), 0.3, "own"),
        ),
        ("leader", "right"): _AT_WAIST.mirrored(),
        ("follower", "left"): replace(_STYLED, palm=(0.24, -0.10, 0.24)),
    },
    "free": {
        ("leader", "left"): _FREE,
        ("follower", "right"): _FREE.mirrored(),
        ("leader", "right"): _FREE.mirrored(),
        ("follower", "left"): _FREE,
    },
}
