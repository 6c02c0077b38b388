"""Motion: one dancer over time. Duet: the leader and the follower of one dance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import rotate_yaw, slerp, yaw_matrix
from duet_rl.body.skeleton import MIRROR, NUM_JOINTS, Skeleton
from duet_rl.errors import InputError

_TIME_SLACK = 1e-4  # frames; a last frame that is late by less still counts


@dataclass(frozen=True, eq=False)
class Motion:
    """One dancer over time: metres, Y-up, floor at y = 0.

    Args:
        joints: world positions, `(T, 55, 3)`, metres.
        rotations: each joint relative to its parent, `(T, 55, 3, 3)`; identity is the T-pose that
            faces +Z.
        skeleton: the bones that `rotations` turn.
        fps: frames per second.

    Raises:
        InputError: shapes that do not fit each other, no frame, NaN or infinity, or fps <= 0.
    """

    joints: Float[Tensor, "T 55 3"]
    rotations: Float[Tensor, "T 55 3 3"]
    skeleton: Skeleton
    fps: float = 30.0

    def __post_init__(self) -> None:
        frames = len(self.joints)
        wanted = {"joints": (frames, NUM_JOINTS, 3), "rotations": (frames, NUM_JOINTS, 3, 3)}
        for name, shape in wanted.items():
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape:
                raise InputError(
                    f"motion {name} of shape {tuple(tensor.shape)}, wanted {shape}; "
                    "give all 55 SMPL-X joints for the same frames"
                )
            finite = torch.isfinite(tensor).flatten(1).all(1)
            if not finite.all():
                frame = int(finite.int().argmin())
                raise InputError(
                    f"motion {name} hold NaN or infinity, first in frame {frame}; "
                    "repair or cut the take"
                )
        if frames == 0:
            raise InputError("motion has 0 frames, wanted at least 1; check the take's range")
        if not 0 < self.fps < float("inf"):
            raise InputError(f"motion at {self.fps} frames per second; wanted a number above 0")

    @classmethod
    def from_rotations(
        cls,
        root: Float[Tensor, "T 3"],
        rotations: Float[Tensor, "T 55 3 3"],
        skeleton: Skeleton,
        fps: float = 30.0,
    ) -> "Motion":
        """Return the motion whose joints follow from the pelvis positions and local rotations."""
        offsets = skeleton.offsets.to(rotations)
        pose = forward_kinematics(rotations, root.to(rotations), offsets)
        return cls(pose.joints, rotations, skeleton, fps)

    @property
    def root(self) -> Float[Tensor, "T 3"]:
        """Positions of the pelvis, `(T, 3)`, metres."""
        return self.joints[:, 0]

    @property
    def frames(self) -> int:
        return len(self.joints)

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    def slice(self, start: int | None = None, stop: int | None = None) -> "Motion":
        """Return the frames from `start` up to `stop`, counted as Python slices count."""
        return replace(self, joints=self.joints[start:stop], rotations=self.rotations[start:stop])

    def resample(self, fps: float) -> "Motion":
        """Return the motion at another frame rate: rotations by slerp, the pelvis by lerp.

        The joints are computed anew from both, so they follow the skeleton.
        """
        if not 0 < fps < float("inf"):
            raise InputError(f"resampling to {fps} frames per second; wanted a number above 0")
        if fps == self.fps:
            return self
        step = self.fps / fps  # old frames per new frame
        count = int((self.frames - 1) / step + _TIME_SLACK) + 1
        time = (torch.arange(count, dtype=torch.float64) * step).clamp_max(self.frames - 1)
        before = time.floor().long()
        after = (before + 1).clamp_max(self.frames - 1)
        weight = (time - before).to(self.joints)
        root = torch.lerp(self.root[before], self.root[after], weight[:, None])
        rotations = slerp(self.rotations[before], self.rotations[after], weight[:, None])
        exact = (weight == 0)[:, None, None, None]  # frames that exist are kept to the last bit
        rotations = torch.where(exact, self.rotations[before], rotations)
        return Motion.from_rotations(root, rotations, self.skeleton, fps)

    def turned(self, yaw: float, about: Sequence[float] = (0.0, 0.0, 0.0)) -> "Motion":
        """Return the motion turned by `yaw` radians about the vertical through `about`."""
        angle, centre = self.joints.new_tensor(yaw), self.joints.new_tensor(about)
        joints = rotate_yaw(self.joints - centre, angle) + centre
        rotations = self.rotations.clone()
        rotations[:, 0] = yaw_matrix(angle) @ rotations[:, 0]
        return replace(self, joints=joints, rotations=rotations)

    def moved(self, offset: Sequence[float] | Float[Tensor, "3"]) -> "Motion":
        """Return the motion shifted by `offset`, xyz in metres."""
        return replace(self, joints=self.joints + torch.as_tensor(offset).to(self.joints))

    def mirrored(self) -> "Motion":
        """Return the motion seen in a mirror: x turns to -x, and left limbs to right limbs."""
        flip = self.joints.new_tensor([-1.0, 1.0, 1.0])
        joints = self.joints[:, list(MIRROR)] * flip
        rotations = flip[:, None] * self.rotations[:, list(MIRROR)] * flip
        return Motion(joints, rotations, self.skeleton.mirrored(), self.fps)


@dataclass(frozen=True, eq=False)
class Duet:
    """Two motions of one dance, frame by frame.

    Raises:
        InputError: the two differ in length or frame rate.
    """

    leader: Motion
    follower: Motion

    def __post_init__(self) -> None:
        if self.leader.fps != self.follower.fps:
            raise InputError(
                f"the leader has {self.leader.fps:g} frames per second and the follower "
                f"{self.follower.fps:g}; resample one to the other's rate"
            )
        if self.leader.frames != self.follower.frames:
            raise InputError(
                f"the leader has {self.leader.frames} frames and the follower "
                f"{self.follower.frames}; cut both to the same take"
            )

    @property
    def fps(self) -> float:
        return self.leader.fps

    @property
    def frames(self) -> int:
        return self.leader.frames

    @property
    def seconds(self) -> float:
        return self.leader.seconds

    def slice(self, start: int | None = None, stop: int | None = None) -> "Duet":
        """Return the frames from `start` up to `stop` of both."""
        return self._both(lambda motion: motion.slice(start, stop))

    def resample(self, fps: float) -> "Duet":
        """Return both motions at another frame rate."""
        return self._both(lambda motion: motion.resample(fps))

    def turned(self, yaw: float, about: Sequence[float] = (0.0, 0.0, 0.0)) -> "Duet":
        """Return the couple turned by `yaw` radians about the vertical through `about`."""
        return self._both(lambda motion: motion.turned(yaw, about))

    def moved(self, offset: Sequence[float] | Float[Tensor, "3"]) -> "Duet":
        """Return the couple shifted by `offset`, xyz in metres."""
        return self._both(lambda motion: motion.moved(offset))

    def mirrored(self) -> "Duet":
        """Return the couple seen in a mirror; who leads stays."""
        return self._both(lambda motion: motion.mirrored())

    def swapped(self) -> "Duet":
        """Return the same dance with the roles exchanged."""
        return Duet(leader=self.follower, follower=self.leader)

    def _both(self, change: Callable[[Motion], Motion]) -> "Duet":
        return Duet(leader=change(self.leader), follower=change(self.follower))
