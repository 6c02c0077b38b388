"""One frame in, one frame out: a token's work is done beside the frames that come meanwhile."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.live.follower import FollowerFrames, LiveFollower
from duet_rl.live.settings import DialConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN


class ShownFrame(NamedTuple):
    """A frame of the follower at its time."""

    number: int  # which frame of the leader it goes with
    joints: Float[Tensor, "55 3"]  # m
    rotations: Float[Tensor, "55 3 3"]  # local


class Paced:
    """Gives the frames of a live follower one by one, `slack` frames after the earliest moment.

    The work of a token falls on one frame of four. A thread does it while the next frames come;
    what it has to show waits until its frame's turn, so that frames leave as evenly as they come.

    Args:
        live: the follower; nothing else may step it.
        thread: does the work, one piece after the other; None: it is done at once.
        slack: frames, 33 ms each.
        pending: tokens of work that may wait.
        told: called when a piece of work is done, mostly in the thread.
    """

    def __init__(
        self,
        live: LiveFollower,
        thread: Executor | None = None,
        slack: int = 1,
        pending: int = 8,
        told: Callable[[Any], object] | None = None,
    ) -> None:
        self.live = live
        self.slack = slack
        self.pending = pending
        self.work_ms: deque[float] = deque(maxlen=1024)  # of the last tokens
        self._thread = thread
        self._told = told
        self._frames: list[Tensor] = []  # of a token that is not whole yet
        self._music: list[Tensor] = []
        self._count = 0  # frames of the leader, so far
        self._jobs: deque[Future[FollowerFrames]] = deque()
        self._ready: deque[ShownFrame] = deque()

    @property
    def lag(self) -> int:
        """How many frames after the leader's the follower's is shown."""
        return self.live.lag + self.slack

    @property
    def busy(self) -> bool:
        """Whether so much work waits that no frame should be put."""
        self._collect(wait=False)
        return len(self._jobs) >= self.pending

    @property
    def idle(self) -> bool:
        """Whether no work waits."""
        self._collect(wait=False)
        return not self._jobs

    def cancel(self) -> None:
        """Drop the work that waits; nothing is shown any more."""
        while self._jobs:
            self._jobs.pop().cancel()
        self._ready.clear()

    def put(self, joints: Float[Tensor, "55 3"], music: Float[Tensor, "54"] | None = None) -> None:
        """Take in the leader's next frame."""
        self._frames.append(joints)
        if music is not None:
            self._music.append(music)
        self._count += 1
        if len(self._frames) == FRAMES_PER_TOKEN:
            leader = torch.stack(self._frames)
            heard = torch.stack(self._music) if self._music else None
            self._frames, self._music = [], []
            self._jobs.append(self._submit(leader, heard))
            if self._told is not None:
                self._jobs[-1].add_done_callback(self._told)

    def take(self, wait: bool = True) -> list[ShownFrame]:
        """Return the frames whose turn it is: mostly one.

        Args:
            wait: for work that is late; if not, what is late comes with a later call.
        """
        due = self._count - 1 - self.lag
        while wait and self._jobs and (not self._ready or self._ready[-1].number < due):
            self._keep(self._jobs.popleft().result())
        self._collect(wait=False)
        shown = []
        while self._ready and self._ready[0].number <= due:
            shown.append(self._ready.popleft())
        return shown

    def finish(self) -> list[ShownFrame]:
        """Return all frames that are left; the leader dances no more."""
        self._collect(wait=True)
        if self._thread is None:
            self._keep(self.live.finish())
        else:
            self._keep(self._thread.submit(self.live.finish).result())
        left = list(self._ready)
        self._ready.clear()
        return left

    def set_dials(self, dials: DialConfig) -> None:
        """Dance with other dials, as soon as the work allows.

        Raises:
            InputError: a dial that this follower has not.
        """
        self.live.require_dials(dials)
        if self._thread is None:
            self.live.set_dials(**dials.turned)
        else:  # between two pieces of work
            self._thread.submit(self.live.set_dials, **dials.turned)

    def _submit(self, leader: Tensor, music: Tensor | None) -> "Future[FollowerFrames]":
        if self._thread is not None:
            return self._thread.submit(self._work, leader, music)
        done: Future[FollowerFrames] = Future()
        done.set_result(self._work(leader, music))
        return done

    def _work(self, leader: Tensor, music: Tensor | None) -> FollowerFrames:
        begin = time.perf_counter()
        try:
            return self.live.step(leader, music)
        finally:
            self.work_ms.append(1e3 * (time.perf_counter() - begin))

    def _collect(self, wait: bool) -> None:
        while self._jobs and (wait or self._jobs[0].done()):
            self._keep(self._jobs.popleft().result())

    def _keep(self, frames: FollowerFrames) -> None:
        for t, (joints, rotations) in enumerate(zip(frames.joints, frames.rotations, strict=True)):
            self._ready.append(ShownFrame(frames.first + t, joints, rotations))
