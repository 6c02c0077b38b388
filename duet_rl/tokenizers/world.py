"""The frame of reference of Duolando: world axes, and one place relative to the other."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import project_to_rotation
from duet_rl.mocap.axes import turn_to_y_up
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import (
    BODY_JOINTS,
    HAND_SCALE,
    HANDS,
    Frame,
    FrameConfig,
    MotionBatch,
    Placed,
    PoseFeatures,
    time_last,
)

PLACEMENT_SCALE = 20.0  # units a metre of relative placement (spec 4)


class WorldFrame(Frame):
    """The representation of Duolando: world axes, the follower's root minus the leader's."""

    rotation_channels: ClassVar[int] = 9
    placement_channels: ClassVar[int] = 3
    velocity_leaves = True

    def __init__(self, config: FrameConfig) -> None:
        super().__init__(config)
        self.velocity_scale = 1 / config.fps  # metres a frame (spec 3.6)

    def positions(
        self, motion: MotionBatch, dancer: str, cache: StreamCache | None = None
    ) -> Float[Tensor, "B 55 3 T"]:
        joints = self._from_y_up(motion.joints)
        body = joints[:, :, :BODY_JOINTS] - joints[:, :, :1]
        hands = [
            (joints[:, :, hand] - joints[:, :, wrist, None]) * HAND_SCALE for wrist, hand in HANDS
        ]
        return time_last(torch.cat([body, *hands], dim=2))

    def features(self, motion: MotionBatch) -> PoseFeatures:
        root = self._from_y_up(motion.rotations[:, :, :1].mT).mT
        rotations = torch.cat([root, motion.rotations[:, :, 1:]], dim=2)
        steps = self._from_y_up(motion.joints[:, :, 0]).diff(dim=1)  # m a frame
        last = steps[:, -1:] if steps.shape[1] else torch.zeros_like(motion.joints[:, :1, 0])
        return PoseFeatures(
            self.positions(motion, "features"),
            time_last(rotations.flatten(3)),
            torch.cat([steps, last], dim=1).mT,
            torch.zeros_like(motion.joints[:, :, 0, 0]),
        )

    def local_rotations(
        self, rotations: Float[Tensor, "B T 55 R"], heading: Float[Tensor, "B T"]
    ) -> Float[Tensor, "B T 55 3 3"]:
        local = project_to_rotation(rotations.unflatten(-1, (3, 3)))
        return torch.cat([self._to_y_up(local[:, :, :1].mT).mT, local[:, :, 1:]], dim=2)

    def joints(
        self,
        positions: Float[Tensor, "B T 55 3"],
        rotations: Float[Tensor, "B T 55 3 3"],
        heading: Float[Tensor, "B T"],
        root: Float[Tensor, "B T 3"],
    ) -> Float[Tensor, "B T 55 3"]:
        apart = self._to_y_up(positions)
        body = torch.cat([torch.zeros_like(apart[:, :, :1]), apart[:, :, 1:BODY_JOINTS]], dim=2)
        hands = [body[:, :, wrist, None] + apart[:, :, hand] / HAND_SCALE for wrist, hand in HANDS]
        return torch.cat([body, *hands], dim=2) + root[:, :, None]

    def to_world(
        self, vectors: Float[Tensor, "B T 3"], heading: Float[Tensor, "B T"]
    ) -> Float[Tensor, "B T 3"]:
        return self._to_y_up(vectors)

    def placement(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T P"]:
        apart = follower.joints[:, :, 0] - leader.joints[:, :, 0]
        return self._from_y_up(apart) * PLACEMENT_SCALE

    def place(
        self,
        placement: Float[Tensor, "B T P"],
        leader: MotionBatch,
        cache: StreamCache | None = None,
    ) -> Placed:
        path = leader.joints[:, :, 0] + self._to_y_up(placement) / PLACEMENT_SCALE
        return Placed(path, torch.zeros_like(path[..., 0]))

    def shifted(
        self, placement: Float[Tensor, "B T P"], by: Float[Tensor, "B 3"]
    ) -> Float[Tensor, "B T P"]:
        shift = torch.stack([by[:, 0], torch.zeros_like(by[:, 0]), by[:, 1]], dim=-1)
        return placement + self._from_y_up(shift)[:, None] * PLACEMENT_SCALE

    def _from_y_up(self, vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Return vectors in the axes of token space."""
        return _times(turn_to_y_up(vectors, self.config.up).mT, vectors)

    def _to_y_up(self, vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Return vectors of token space in world axes; the inverse of `_from_y_up`."""
        return _times(turn_to_y_up(vectors, self.config.up), vectors)


def _times(
    matrix: Float[Tensor, "3 3"], vectors: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Return the matrix times each vector, which autocast leaves in full precision."""
    return (matrix * vectors[..., None, :]).sum(-1)
