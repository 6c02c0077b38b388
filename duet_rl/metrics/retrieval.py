"""The follower that remembers: it learns nothing, and is hard to beat with little data."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import smooth_heading
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import rotate_yaw, slerp, yaw_matrix
from duet_rl.errors import InputError
from duet_rl.metrics.baselines import on_floor

WINDOW_SECONDS = 1.0  # s of the leader that are looked up at once
FADE_SECONDS = 0.2  # s over which one found window goes over into the next
LIBRARY_STEP = 0.1  # s between two windows of the library
POSE_STEP = 0.1  # s between two poses of a window that are compared

_BODY_JOINTS = 22  # pelvis to wrists


class _Anchor(NamedTuple):
    """Where a dancer is at each frame, as a place to put a partner to."""

    place: Float[Tensor, "T 3"]  # on the floor under the root, metres
    heading: Float[Tensor, "T"]  # smoothed yaw, radians


class _Chunk(NamedTuple):
    """A piece of a follower."""

    root: Float[Tensor, "T 3"]
    rotations: Float[Tensor, "T 55 3 3"]


class RetrievalFollower:
    """Follows by memory: finds the training window whose leader moved most alike.

    The follower of that window is put to the new leader as it stood to the old one, and windows
    fade into each other. It looks one window ahead.

    Args:
        library: training duets, all of one frame rate.
        window_seconds: length of a window.

    Raises:
        InputError: the library is empty, its frame rates differ, or no duet lasts for a window
            and a fade.
    """

    def __init__(self, library: Sequence[Duet], window_seconds: float = WINDOW_SECONDS) -> None:
        rates = {duet.fps for duet in library}
        if len(rates) != 1:
            raise InputError(
                f"a library of {len(library)} duets with the frame rates {sorted(rates)}; at "
                "least one duet, and one rate for all, are wanted: resample them"
            )
        self.fps = rates.pop()
        self.window = max(2, round(window_seconds * self.fps))
        self.fade = max(1, round(FADE_SECONDS * self.fps))
        step = max(1, round(LIBRARY_STEP * self.fps))
        length = self.window + self.fade
        self._duets = list(library)
        self._places = [
            (index, start)
            for index, duet in enumerate(self._duets)
            for start in range(0, duet.frames - length + 1, step)
        ]
        if not self._places:
            longest = max(duet.frames for duet in self._duets)
            raise InputError(
                f"the longest duet of the library has {longest} frames; at least {length} "
                "are wanted: use a shorter window"
            )
        self._anchors = [_anchor(duet.leader) for duet in self._duets]
        self._keys = torch.stack(
            [
                self._key(self._duets[index].leader.joints, self._anchors[index], start)
                for index, start in self._places
            ]
        )

    def follow(self, leader: Motion) -> Motion:
        """Return a follower for `leader`, as long as the leader.

        Raises:
            InputError: the leader has another frame rate than the library, or is shorter than a
                window.
        """
        if leader.fps != self.fps or leader.frames < self.window:
            raise InputError(
                f"a leader of {leader.frames} frames at {leader.fps:g} fps; at least {self.window} "
                f"frames at {self.fps:g} fps are wanted: resample it or use a shorter window"
            )
        anchor = _anchor(leader)
        root, rotations = self._found(leader.joints, anchor, 0)
        for start in range(self.window, leader.frames, self.window):
            found = self._found(leader.joints, anchor, start)
            root = _fade(root, found.root, start, torch.lerp)
            rotations = _fade(rotations, found.rotations, start, slerp)
        frames, skeleton = leader.frames, self._duets[0].follower.skeleton
        return Motion.from_rotations(root[:frames], rotations[:frames], skeleton, self.fps)

    def _found(self, leader: Tensor, anchor: _Anchor, start: int) -> _Chunk:
        """Return the follower that the library has for the leader's frames from `start` on."""
        begin = min(start, len(leader) - self.window)  # the last window begins before `start`
        key = self._key(leader, anchor, begin)
        index, there = self._places[int((self._keys - key).square().sum(-1).argmin())]
        follower, old = self._duets[index].follower, self._anchors[index]
        here, middle = begin + self.window // 2, there + self.window // 2
        turn = anchor.heading[here] - old.heading[middle]
        cut = slice(there + start - begin, there + self.window + self.fade)
        root = rotate_yaw(follower.root[cut] - old.place[middle], turn) + anchor.place[here]
        rotations = follower.rotations[cut].clone()
        rotations[:, 0] = yaw_matrix(turn) @ rotations[:, 0]
        return _Chunk(root, rotations)

    def _key(self, leader: Tensor, anchor: _Anchor, start: int) -> Tensor:
        """Return what a window is known by: the body's path, seen from the leader in its middle."""
        step = max(1, round(POSE_STEP * self.fps))
        body = leader[start : start + self.window : step, :_BODY_JOINTS]
        middle = start + self.window // 2
        return rotate_yaw(body - anchor.place[middle], -anchor.heading[middle]).flatten()


def _anchor(motion: Motion) -> _Anchor:
    return _Anchor(on_floor(motion.root), smooth_heading(motion.joints))


def _fade(
    values: Tensor, following: Tensor, start: int, blend: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """Return `values` up to `start`, then `following`, blended where they overlap."""
    overlap = min(len(values) - start, len(following))
    weight = (torch.arange(overlap) + 1) / (overlap + 1)
    weight = weight.to(values).reshape(-1, 1)
    blended = blend(values[start : start + overlap], following[:overlap], weight)
    return torch.cat([values[:start], blended, following[overlap:]])
