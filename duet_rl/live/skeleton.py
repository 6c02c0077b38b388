"""Leaders of other skeletons: what a client says of one, and the poses that it sends of him."""

import struct
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.mocap.stream import PlacedPose, StreamSkeleton, TurnedPose

PLACED, TURNED = 1, 5  # first byte of binary poses: places of joints; root and rotations
MOST_JOINTS = 500
HEAD = struct.Struct("<B3xd")  # kind, time in s; then float32
_QUATERNION = 4

_Point = tuple[float, float, float]


class SkeletonHello(Config):
    """Whose poses come, where they are not those of our 55 joints; see `StreamSkeleton`."""

    names: tuple[str, ...] = Field(min_length=3, max_length=MOST_JOINTS)
    parents: tuple[int, ...]
    offsets: tuple[_Point, ...] | None = None  # None: poses are places
    ends: dict[str, _Point] = Field(default_factory=dict)
    scale: float | None = Field(None, gt=0)  # m a unit
    up: Literal["y", "z"] | None = None
    floor: float | None = None  # m

    def checked(self) -> StreamSkeleton:
        """Return the skeleton.

        Raises:
            InputError: a tree that is none.
        """
        count = len(self.names)
        if len(set(self.names)) != count:
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise InputError(f"skeleton: the joint name {twice[:40]!r} appears twice")
        rows = {"parents": self.parents} | (
            {} if self.offsets is None else {"offsets": self.offsets}
        )
        for name, values in rows.items():
            if len(values) != count:
                raise InputError(
                    f"skeleton: {len(values)} {name} of {count} joints; wanted as many"
                )
        for joint, parent in enumerate(self.parents):
            if not (parent == -1 if joint == 0 else 0 <= parent < joint):
                raise InputError(
                    f"skeleton: the parent of joint {joint} ({self.names[joint][:40]!r}) is "
                    f"{parent}; wanted -1 for the first joint and an earlier joint for each other"
                )
        if unknown := sorted(set(self.ends) - set(self.names)):
            raise InputError(f"skeleton: ends of {unknown[0][:40]!r}, which is no joint of it")
        offsets = None if self.offsets is None else torch.tensor(self.offsets)
        points = [*(self.offsets or ()), *self.ends.values()]
        if not np.isfinite(points).all():
            raise InputError("skeleton: NaN or infinity in offsets or ends")
        if offsets is not None:
            offsets[0] = 0  # the root is where each pose puts it
        ends = {name: torch.tensor(end) for name, end in self.ends.items()}
        return StreamSkeleton(
            self.names, self.parents, offsets, ends, self.scale, self.up, self.floor
        )


class TheirFrame(NamedTuple):
    """A pose of another skeleton as it came."""

    time: float  # s, by the sender's clock
    pose: TurnedPose | PlacedPose

    @property
    def finite(self) -> bool:
        return all(bool(part.isfinite().all()) for part in self.pose)


def their_frame(message: bytes, skeleton: StreamSkeleton) -> TheirFrame:
    """Return the pose in a binary message.

    Raises:
        InputError: another kind or number of bytes than the skeleton's poses have.
    """
    joints = len(skeleton.names)
    kind, count = PLACED, 3 * joints
    if skeleton.offsets is not None:
        kind, count = TURNED, 3 + _QUATERNION * joints
    if len(message) != HEAD.size + 4 * count or message[0] != kind:
        what = "places" if kind == PLACED else "a root and rotations"
        raise InputError(
            f"a pose of {len(message)} bytes and kind {message[0]}; wanted kind {kind} with "
            f"{HEAD.size + 4 * count} bytes ({what} of {joints} joints)"
        )
    time = HEAD.unpack_from(message)[1]
    numbers = torch.from_numpy(np.frombuffer(message, "<f4", offset=HEAD.size).astype(np.float32))
    if kind == PLACED:
        return TheirFrame(time, PlacedPose(numbers.reshape(joints, 3)))
    turns = matrices(numbers[3:].reshape(joints, _QUATERNION))
    return TheirFrame(time, TurnedPose(numbers[:3], turns))


def their_values(values: Mapping[str, Any], skeleton: StreamSkeleton) -> TheirFrame:
    """Return the pose in a JSON message.

    Raises:
        InputError: it holds something else than the skeleton's poses do.
    """
    joints = len(skeleton.names)
    try:
        time = float(values["time"])
        if skeleton.offsets is None:
            places = np.asarray(values["joints"], dtype=np.float32).reshape(joints, 3)
            return TheirFrame(time, PlacedPose(torch.from_numpy(places)))
        root = np.asarray(values["root"], dtype=np.float32).reshape(3)
        turns = np.asarray(values["rotations"], dtype=np.float32).reshape(joints, _QUATERNION)
    except (KeyError, TypeError, ValueError) as error:
        wanted = f"root (3) and rotations ({joints} x 4, w x y z, each joint from its parent)"
        if skeleton.offsets is None:
            wanted = f"joints ({joints} x 3; rotations need a skeleton with offsets)"
        raise InputError(f"a pose with {str(error)[:60]}; wanted time and {wanted}") from None
    return TheirFrame(time, TurnedPose(torch.from_numpy(root), matrices(torch.from_numpy(turns))))


def turned_message(
    time: float, root: Float[Tensor, "3"], quaternions: Float[Tensor, "J 4"]
) -> bytes:
    """Return a pose by rotations as clients send it."""
    numbers = torch.cat([root, quaternions.flatten()]).numpy()
    return HEAD.pack(TURNED, time) + numbers.astype("<f4").tobytes()


def placed_message(time: float, places: Float[Tensor, "J 3"]) -> bytes:
    """Return a pose by places as clients send it."""
    return HEAD.pack(PLACED, time) + places.numpy().astype("<f4").tobytes()


def matrices(quaternions: Float[Tensor, "J 4"]) -> Float[Tensor, "J 3 3"]:
    """Return the rotations of quaternions w x y z of any length but 0."""
    w, x, y, z = (quaternions / quaternions.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
