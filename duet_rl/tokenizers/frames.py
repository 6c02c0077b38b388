"""Frames of reference: how a body is described to the tokenizers, and where it is put back.

`heading`, here: each body in its own low-passed heading frame, the follower's place in the
leader's, so that turning or moving the couple changes nothing. `world`: see `tokenizers.world`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from duet_rl.body.heading import facing_angle, low_pass, unwrap
from duet_rl.body.kinematics import forward_kinematics, global_to_local
from duet_rl.body.rotations import matrix_from_6d, rotate_yaw
from duet_rl.body.skeleton import LEFT_HAND, NUM_JOINTS, PARENTS, RIGHT_HAND, UP, WRISTS
from duet_rl.config import Config
from duet_rl.mocap.axes import UpAxis
from duet_rl.tokenizers.conv import StreamCache

HAND_SCALE = 10.0  # finger positions are this much larger in token space (spec 1.4)
POSITION_SCALE = 5.0  # heading frame: units a metre, so that a dancer spans a few units
TURN_SCALE = 3.0  # heading frame: units of the unit vector (cos, sin) of the relative heading
BODY_JOINTS = LEFT_HAND[0]  # joints 0 to 24; the fingers come after them
HANDS = tuple(zip(WRISTS, (LEFT_HAND, RIGHT_HAND), strict=True))


class FrameConfig(Config):
    """The frame of reference of both tokenizers."""

    kind: Literal["heading", "world"] = "heading"
    up: UpAxis = "y"  # world kind: the axis that points up in token space
    heading_sigma: float = Field(5.0, ge=0)  # frames; low-pass of the headings
    path_sigma: float = Field(8.0, ge=0)  # frames; heading kind: low-pass of the roots' paths
    causal: bool = False  # nothing looks at later frames, so that clips can be streamed
    fps: float = Field(30.0, gt=0)  # frames per second of every motion

    @model_validator(mode="after")
    def _check_up(self) -> "FrameConfig":
        if self.kind == "heading" and self.up != "y":
            raise ValueError("up: z is for kind: world; leave it out")
        return self


class MotionBatch(NamedTuple):
    """Clips of one dancer: world joints in metres and local rotations."""

    joints: Float[Tensor, "B T 55 3"]
    rotations: Float[Tensor, "B T 55 3 3"]

    def cut(self, start: int, stop: int) -> "MotionBatch":
        """Return the frames from `start` up to `stop` of every clip."""
        return MotionBatch(self.joints[:, start:stop], self.rotations[:, start:stop])


class PoseFeatures(NamedTuple):
    """A body in its frame of reference, in units of the tokenizers, time last."""

    positions: Float[Tensor, "B 55 3 T"]
    rotations: Float[Tensor, "B 55 R T"]
    root_velocity: Float[Tensor, "B 3 T"]
    heading: Float[Tensor, "B T"]  # rad, of the frame of reference


class Placed(NamedTuple):
    """Where the follower goes: the path of the root, possibly low-passed, and the heading."""

    path: Float[Tensor, "B T 3"]  # m, world axes
    heading: Float[Tensor, "B T"]  # rad


class Frame(ABC):
    """What a frame of reference can do; the dancers' names keep their streams apart."""

    rotation_channels: ClassVar[int]
    placement_channels: ClassVar[int]
    velocity_scale = 1.0  # units of the velocity head a m/s
    velocity_leaves = False  # whether a frame's velocity leads away from it, else to it
    path_sigma = 0.0  # frames; how far the placed path is low-passed

    def __init__(self, config: FrameConfig) -> None:
        self.config = config

    @abstractmethod
    def positions(
        self, motion: MotionBatch, dancer: str, cache: StreamCache | None = None
    ) -> Float[Tensor, "B 55 3 T"]:
        """Return what the encoders see: `PoseFeatures.positions` alone."""

    @abstractmethod
    def features(self, motion: MotionBatch) -> PoseFeatures:
        """Return what the encoders see and what the decoders shall give."""

    @abstractmethod
    def local_rotations(
        self, rotations: Float[Tensor, "B T 55 R"], heading: Float[Tensor, "B T"]
    ) -> Float[Tensor, "B T 55 3 3"]:
        """Return the local rotations that decoded ones stand for."""

    @abstractmethod
    def joints(
        self,
        positions: Float[Tensor, "B T 55 3"],
        rotations: Float[Tensor, "B T 55 3 3"],
        heading: Float[Tensor, "B T"],
        root: Float[Tensor, "B T 3"],
    ) -> Float[Tensor, "B T 55 3"]:
        """Return the joints that decoded positions stand for, metres, world axes.

        Args:
            positions: as decoded; the root's own is not looked at.
            rotations: local, of the same body.
            heading: rad, of the same body.
            root: where the root is, metres.
        """

    @abstractmethod
    def to_world(
        self, vectors: Float[Tensor, "B T 3"], heading: Float[Tensor, "B T"]
    ) -> Float[Tensor, "B T 3"]:
        """Return vectors of the frame of reference in world axes."""

    @abstractmethod
    def placement(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T P"]:
        """Return where the follower is, seen from the leader."""

    @abstractmethod
    def place(
        self,
        placement: Float[Tensor, "B T P"],
        leader: MotionBatch,
        cache: StreamCache | None = None,
    ) -> Placed:
        """Return where a decoded placement puts the follower; the inverse of `placement`."""

    @abstractmethod
    def shifted(
        self, placement: Float[Tensor, "B T P"], by: Float[Tensor, "B 3"]
    ) -> Float[Tensor, "B T P"]:
        """Return placements with each clip's follower elsewhere: by x, z (m) and a turn (rad)."""


class HeadingFrame(Frame):
    """Each body in its own low-passed heading; the follower's place in the leader's."""

    rotation_channels: ClassVar[int] = 6
    placement_channels: ClassVar[int] = 5  # x, height, z, cos and sin of the relative heading

    def __init__(self, config: FrameConfig) -> None:
        super().__init__(config)
        self.path_sigma = config.path_sigma

    def positions(
        self, motion: MotionBatch, dancer: str, cache: StreamCache | None = None
    ) -> Float[Tensor, "B 55 3 T"]:
        heading = self.heading(motion.joints, dancer, cache)
        return self._positions(motion.joints, heading, _global_rotations(motion.rotations))

    def features(
        self, motion: MotionBatch, dancer: str = "features", cache: StreamCache | None = None
    ) -> PoseFeatures:
        heading = self.heading(motion.joints, dancer, cache)
        turned = _global_rotations(motion.rotations)
        columns = turned[..., :2].mT  # (B, T, 55, 2, 3), the vectors that make 6D
        body = rotate_yaw(columns[:, :, :BODY_JOINTS], -heading[..., None, None])
        hands = [
            (columns[:, :, hand].flatten(2, 3) @ turned[:, :, wrist]).unflatten(2, (-1, 2))
            for wrist, hand in HANDS
        ]
        root = after_last(motion.joints[:, :, 0], cache, (dancer, "root"))
        moved = velocities(root, self.config.fps)[:, -heading.shape[1] :]
        velocity = rotate_yaw(moved, -heading)
        return PoseFeatures(
            self._positions(motion.joints, heading, turned),
            time_last(torch.cat([body, *hands], dim=2).flatten(3)),
            velocity.mT * self.velocity_scale,
            heading,
        )

    def local_rotations(
        self, rotations: Float[Tensor, "B T 55 R"], heading: Float[Tensor, "B T"]
    ) -> Float[Tensor, "B T 55 3 3"]:
        turned = matrix_from_6d(rotations)
        body = rotate_yaw(turned[:, :, :BODY_JOINTS].mT, heading[..., None, None]).mT
        hands = [body[:, :, wrist, None] @ turned[:, :, hand] for wrist, hand in HANDS]
        return global_to_local(torch.cat([body, *hands], dim=2))

    def joints(
        self,
        positions: Float[Tensor, "B T 55 3"],
        rotations: Float[Tensor, "B T 55 3 3"],
        heading: Float[Tensor, "B T"],
        root: Float[Tensor, "B T 3"],
    ) -> Float[Tensor, "B T 55 3"]:
        turned = _global_rotations(rotations)
        apart = rotate_yaw(positions[:, :, 1:BODY_JOINTS] / POSITION_SCALE, heading[..., None])
        body = torch.cat([root[:, :, None], root[:, :, None] + apart], dim=2)
        hands = [
            body[:, :, wrist, None] + positions[:, :, hand] / HAND_SCALE @ turned[:, :, wrist].mT
            for wrist, hand in HANDS
        ]
        return torch.cat([body, *hands], dim=2)

    def to_world(
        self, vectors: Float[Tensor, "B T 3"], heading: Float[Tensor, "B T"]
    ) -> Float[Tensor, "B T 3"]:
        return rotate_yaw(vectors, heading)

    def placement(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T P"]:
        anchor = self._anchor(leader, cache)
        own = self._anchor(follower, cache, "follower")
        from_leader = rotate_yaw(own.path - anchor.path, -anchor.heading)
        height = own.path[..., UP]
        turn = own.heading - anchor.heading
        x, _, z = from_leader.unbind(-1)
        place = torch.stack([x, height, z], dim=-1) * POSITION_SCALE
        return torch.cat([place, TURN_SCALE * torch.stack([turn.cos(), turn.sin()], -1)], -1)

    def place(
        self,
        placement: Float[Tensor, "B T P"],
        leader: MotionBatch,
        cache: StreamCache | None = None,
    ) -> Placed:
        anchor = self._anchor(leader, cache)
        x, height, z, cosine, sine = placement.unbind(-1)
        from_leader = torch.stack([x, torch.zeros_like(x), z], dim=-1) / POSITION_SCALE
        path = rotate_yaw(from_leader, anchor.heading) + anchor.path
        path[..., UP] = height / POSITION_SCALE
        return Placed(path, anchor.heading + torch.atan2(sine, cosine))

    def shifted(
        self, placement: Float[Tensor, "B T P"], by: Float[Tensor, "B 3"]
    ) -> Float[Tensor, "B T P"]:
        x, height, z, cosine, sine = placement.unbind(-1)
        (dx, dz), turn = by[:, :2, None].unbind(1), by[:, 2, None]
        dx, dz = dx * POSITION_SCALE, dz * POSITION_SCALE
        turned_cosine = cosine * turn.cos() - sine * turn.sin()
        turned_sine = sine * turn.cos() + cosine * turn.sin()
        return torch.stack([x + dx, height, z + dz, turned_cosine, turned_sine], dim=-1)

    def heading(
        self, joints: Float[Tensor, "B T 55 3"], dancer: str, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T"]:
        """Return the low-passed heading, radians, unwrapped over time."""
        facing = facing_angle(joints)
        if cache is not None:
            facing = unwrap(facing, cache.get((dancer, "facing")))
            cache[dancer, "facing"] = facing[:, -1]
        sigma = self.config.heading_sigma
        causal = self.config.causal
        return smoothed(facing[..., None], sigma, causal, cache, (dancer, "heading"))[..., 0]

    def _anchor(
        self, motion: MotionBatch, cache: StreamCache | None, dancer: str = "leader"
    ) -> Placed:
        """Return the low-passed path and heading of a dancer."""
        key = (dancer, "path")
        path = smoothed(motion.joints[:, :, 0], self.path_sigma, self.config.causal, cache, key)
        return Placed(path, self.heading(motion.joints, dancer, cache))

    def _positions(
        self,
        joints: Float[Tensor, "B T 55 3"],
        heading: Float[Tensor, "B T"],
        turned: Float[Tensor, "B T 55 3 3"],
    ) -> Float[Tensor, "B 55 3 T"]:
        root = joints[:, :, :1]
        body = rotate_yaw(joints[:, :, 1:BODY_JOINTS] - root, -heading[..., None])
        # Relative to itself the root is nowhere; its height tells the legs where the floor is.
        level = root * root.new_tensor([0.0, 1.0, 0.0])
        hands = [
            (joints[:, :, hand] - joints[:, :, wrist, None]) @ turned[:, :, wrist] * HAND_SCALE
            for wrist, hand in HANDS
        ]
        body = torch.cat([level, body], dim=2) * POSITION_SCALE
        return time_last(torch.cat([body, *hands], dim=2))


def velocities(path: Float[Tensor, "B T C"], fps: float) -> Float[Tensor, "B T C"]:
    """Return the velocity that leads to each frame, m/s; the first frame has that of the second."""
    steps = path.diff(dim=1) * fps
    return torch.cat([steps[:, :1] if steps.shape[1] else torch.zeros_like(path), steps], dim=1)


def after_last(values: Tensor, cache: StreamCache | None, key: object) -> Tensor:
    """Return `values` behind the last frame that came before them, where there is one."""
    if cache is None:
        return values
    last = cache.get(key)
    cache[key] = values[:, -1:]
    return values if last is None else torch.cat([last, values], dim=1)


def smoothed(
    values: Float[Tensor, "B T C"],
    sigma: float,
    causal: bool,
    cache: StreamCache | None,
    key: object,
) -> Float[Tensor, "B T C"]:
    """Return `values` low-passed; a `cache` continues the filter of `key` (causal ones only)."""
    smooth = low_pass(values, sigma, causal, None if cache is None else cache.get(key))
    if cache is not None:
        cache[key] = smooth[:, -1]
    return smooth


def skeleton_offsets(motion: MotionBatch) -> Float[Tensor, "B 55 3"]:
    """Return the bone vectors of each clip's dancer, metres, as its first frame shows them."""
    joints = motion.joints[:, 0]
    turned = _global_rotations(motion.rotations[:, :1])[:, 0, list(PARENTS[1:])]
    bones = joints[:, 1:] - joints[:, list(PARENTS[1:])]
    offsets = (turned * bones[..., None]).sum(-2)  # turned back: the inverse is the transpose
    return torch.cat([torch.zeros_like(offsets[:, :1]), offsets], dim=1)


def _global_rotations(rotations: Float[Tensor, "B T 55 3 3"]) -> Float[Tensor, "B T 55 3 3"]:
    nowhere = rotations.new_zeros(NUM_JOINTS, 3)
    root = rotations.new_zeros(*rotations.shape[:2], 3)
    return forward_kinematics(rotations, root, nowhere).global_rotations


def time_last(values: Float[Tensor, "B T J C"]) -> Float[Tensor, "B J C T"]:
    """Return `values` as the tokenizers take them."""
    return values.permute(0, 2, 3, 1).contiguous()
