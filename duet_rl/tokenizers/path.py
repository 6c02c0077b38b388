"""A dancer's own way over the floor, from where it starts: for one who dances alone."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import UP
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import (
    POSITION_SCALE,
    HeadingFrame,
    MotionBatch,
    Placed,
    after_last,
    velocities,
)

SPEED_SCALE = 2.0  # units a m/s of the root over the floor
_KEY = "path from the start"  # of what a cache holds


class PathFromStart(HeadingFrame):
    """The heading frame with placements that tell how the dancer moves, not where it is.

    A placement is the velocity of the low-passed root along the own heading, the height, and the
    turn rate, so that moving or turning the dance changes nothing. `place` adds them up from the
    leader's first place and heading; of a dancer alone the leader is the stage. Small errors add
    up, too: a long dance drifts.
    """

    placement_channels: ClassVar[int] = 4  # speed to the left, height, speed ahead, turn rate

    def placement(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T P"]:
        own = self._anchor(follower, cache, "follower")
        frames = own.path.shape[1]
        path = after_last(own.path, cache, (_KEY, "path"))
        heading = after_last(own.heading[..., None], cache, (_KEY, "heading"))
        moved = velocities(path, self.config.fps)[:, -frames:]
        turned = velocities(heading, self.config.fps)[:, -frames:]
        x, _, z = (rotate_yaw(moved, -own.heading) * SPEED_SCALE).unbind(-1)
        return torch.stack([x, own.path[..., UP] * POSITION_SCALE, z, turned[..., 0]], dim=-1)

    def place(
        self,
        placement: Float[Tensor, "B T P"],
        leader: MotionBatch,
        cache: StreamCache | None = None,
    ) -> Placed:
        x, height, z, turned = placement.unbind(-1)
        before = _last_placed(cache)
        start = leader.joints[:, :1, 0] if before is None else before.path
        facing = facing_angle(leader.joints[:, :1]) if before is None else before.heading
        moves = torch.ones_like(turned) / self.config.fps
        if before is None:
            moves[:, 0] = 0  # the first frame is where the dance begins
        heading = facing + (turned * moves).cumsum(1)
        velocity = torch.stack([x, torch.zeros_like(x), z], dim=-1) / SPEED_SCALE
        path = start + (rotate_yaw(velocity, heading) * moves[..., None]).cumsum(1)
        path[..., UP] = height / POSITION_SCALE
        placed = Placed(path, heading)
        if cache is not None:
            cache[_KEY, "placed"], cache[_KEY, "faced"] = path[:, -1:], heading[:, -1:]
        return placed

    def shifted(
        self, placement: Float[Tensor, "B T P"], by: Float[Tensor, "B 3"]
    ) -> Float[Tensor, "B T P"]:
        """Return `placement`: wherever the dance begins, it is the same."""
        return placement


def _last_placed(cache: StreamCache | None) -> Placed | None:
    """Return where a cached dance was placed last, if it has begun."""
    if cache is None or (_KEY, "placed") not in cache:
        return None
    return Placed(cache[_KEY, "placed"], cache[_KEY, "faced"])
