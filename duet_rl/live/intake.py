"""From poses as they come - late, twice, broken, at any rate - to 30 even frames a second."""

from collections import Counter
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.body.rotations import rotate_yaw, wrap_angle
from duet_rl.body.skeleton import NUM_JOINTS, UP
from duet_rl.live.settings import IntakeConfig

FPS = 30.0
SAME_TIME = 0.002  # s; two times that are nearer are one

Joints = Float[Tensor, "55 3"]


class LeaderFrame(NamedTuple):
    """A pose of the leader as it came."""

    time: float  # s, by the sender's clock
    joints: Joints  # m, Y-up


class EvenFrame(NamedTuple):
    """A pose at its place in the dance, 30 a second."""

    number: int
    time: float  # s, by the sender's clock
    joints: Joints
    follows_on: bool  # whether time went on from the frame before without a pause


class Intake:
    """Puts poses in order and at 30 fps; `counts` tells what was wrong with the stream.

    A pose that comes after a later one, or twice, is left out, as is one that is no body. What
    lacks is drawn straight between the poses on either side. After a pause, or when the sender's
    clock begins anew, the dance goes on with the next frame: what was never seen is not made up.
    """

    def __init__(self, config: IntakeConfig | None = None) -> None:
        self.config = config or IntakeConfig()
        self.counts: Counter[str] = Counter()
        self._last: LeaderFrame | None = None
        self._index = 0  # of the next even frame
        self._next = 0.0  # s; its time
        self._paused = False

    def pause(self) -> None:
        """Make up nothing between the last pose and the next."""
        self._paused = True

    def put(self, frame: LeaderFrame) -> list[EvenFrame]:
        """Return the even frames that this pose completes: mostly one, none, or a few.

        Args:
            frame: a pose; anything but a body at a finite time is counted and left out.
        """
        self.counts["received"] += 1
        if not self._is_body(frame):
            self.counts["broken"] += 1
            return []
        last = self._last
        if last is None:
            return self._begin(frame)
        gap = frame.time - last.time
        if self._paused or abs(gap) > self.config.longest_gap:
            self.counts["pauses"] += 1
            return self._begin(frame)
        if gap < SAME_TIME:
            self.counts["twice" if gap > -SAME_TIME else "late"] += 1
            return []
        even = []
        while self._next <= frame.time + SAME_TIME:
            share = (self._next - last.time) / gap
            joints = frame.joints
            if frame.time - self._next > SAME_TIME:
                joints = torch.lerp(last.joints, frame.joints, max(share, 0.0))
            even.append(EvenFrame(self._index, self._next, joints, True))
            self._advance()
        if len(even) > 1:
            self.counts["made up"] += len(even) - 1
        self._last = frame
        return even

    def _begin(self, frame: LeaderFrame) -> list[EvenFrame]:
        even = EvenFrame(self._index, frame.time, frame.joints, False)
        self._last, self._paused, self._next = frame, False, frame.time
        self._advance()
        return [even]

    def _advance(self) -> None:
        self._index += 1
        self._next += 1 / FPS

    def _is_body(self, frame: LeaderFrame) -> bool:
        joints = frame.joints
        if joints.shape != (NUM_JOINTS, 3) or not -1e9 < frame.time < 1e9:
            return False
        if not bool(joints.isfinite().all()) or float(joints[0].abs().max()) > self.config.farthest:
            return False
        return float((joints - joints[0]).norm(dim=-1).max()) <= self.config.reach


class Carried(NamedTuple):
    """How a couple was carried over the floor: a turn about the vertical, then a shift."""

    yaw: Float[Tensor, ""]
    shift: Float[Tensor, "3"]

    def there(self, joints: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Return points of the sender's room where the dance goes on without a jump."""
        return rotate_yaw(joints, self.yaw) + self.shift

    def back(self, joints: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Return points of the dance in the sender's room."""
        return rotate_yaw(joints - self.shift, -self.yaw)


NOT_CARRIED = Carried(torch.tensor(0.0), torch.zeros(3))


class Steady:
    """A floor on which the leader never jumps: where a tracker puts him elsewhere, the couple goes.

    The follower thus sees a leader who dances on, and stands beside him wherever he is put.
    """

    def __init__(self, config: IntakeConfig, counts: Counter[str]) -> None:
        self.config = config
        self.counts = counts
        self.carried = NOT_CARRIED
        self._root: Tensor | None = None  # of the last frame, on the steady floor
        self._facing = torch.tensor(0.0)

    def put(self, frame: EvenFrame) -> tuple[Joints, Carried]:
        """Return the pose on the steady floor, and how to get back from there."""
        joints = self.carried.there(frame.joints)
        facing = facing_angle(joints[None])[0]
        if self._root is not None:
            step = joints[0] - self._root
            step[UP] = 0
            turned = float(wrap_angle(facing - self._facing).abs())
            moved = float(step.norm()) > self.config.jump or turned > self.config.turn
            if moved or not frame.follows_on:
                self.counts["carried"] += moved
                self._carry(frame.joints)
                joints = self.carried.there(frame.joints)
                facing = self._facing
        self._root, self._facing = joints[0].clone(), facing
        return joints, self.carried

    def _carry(self, joints: Joints) -> None:
        """Put the couple where these joints are the next step of the dance."""
        assert self._root is not None
        yaw = wrap_angle(self._facing - facing_angle(joints[None])[0])
        shift = self._root - rotate_yaw(joints[0], yaw)
        shift[UP] = 0
        self.carried = Carried(yaw, shift)
