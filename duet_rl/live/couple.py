"""One couple: a leader's poses and sound in, the follower's frames out, and what went wrong."""

import asyncio
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.generate.follower import Follower
from duet_rl.generate.start import ChosenStart
from duet_rl.live.ear import Ear
from duet_rl.live.follower import LiveFollower
from duet_rl.live.intake import Carried, EvenFrame, Intake, LeaderFrame, Steady
from duet_rl.live.pace import Paced
from duet_rl.live.protocol import Hello, Shown, Sound
from duet_rl.live.settings import DialConfig, LiveConfig
from duet_rl.live.skeleton import TheirFrame
from duet_rl.mocap.stream import SkeletonStream, StreamFound

_REMEMBERED = 900  # frames whose latency is told: those of half a minute


class _Beside(NamedTuple):
    """What is known of a leader's frame until its follower is shown."""

    frame: EvenFrame
    carried: Carried
    came: float  # s, when it came


class Couple:
    """A leader somewhere and his follower here.

    All but the work of the tokens runs in one event loop. `show` is called there with each frame
    whose turn it is, and `fail` with what ended the dance.

    Args:
        number: of the couple, for watchers.
        follower: whose dance it is.
        config: look-ahead and so on.
        hello: what the client wants otherwise.
        thread: does the work of the tokens.
        show: takes frames.
        fail: takes the error that ended the dance.
        song: features of the music, where it is known before it sounds.
        start: the pose that the dance begins with, if somebody has chosen one.
    """

    def __init__(
        self,
        number: int,
        follower: Follower,
        config: LiveConfig,
        hello: Hello,
        thread: Executor,
        show: Callable[[Shown], None],
        fail: Callable[[Exception], None],
        song: Float[Tensor, "T 54"] | None = None,
        start: ChosenStart | None = None,
    ) -> None:
        config = config.model_copy(update=hello.turned)
        self.number = number
        self.temperature = config.temperature
        self.hold = config.hold
        self.intake = Intake(config.intake)
        self.counts: Counter[str] = self.intake.counts
        self._steady = Steady(config.intake, self.counts)
        self.skeleton = None if hello.skeleton is None else hello.skeleton.checked()
        self._stream = None if self.skeleton is None else SkeletonStream(self.skeleton)
        self._ear = None if hello.sound is None else Ear(round(hello.sound))
        live = LiveFollower(follower, config, song, hello.seed, start, self.counts)
        loop = asyncio.get_running_loop()

        def told(_: object) -> None:
            if not self.over:
                loop.call_soon_threadsafe(self._show_due)

        self._paced = Paced(live, thread, config.slack, config.pending, told)
        self._beside: deque[_Beside] = deque()
        self._arrivals: deque[float] = deque(maxlen=4096)  # of the last even frames
        self._even = 0  # frames so far
        self._shown = 0
        self._late_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self._shedding = False  # whether poses are dropped until the work is done
        self._show, self._fail = show, fail
        self.over = False

    def hear(self, sound: Sound) -> None:
        """Take in the next samples of the music."""
        if self._ear is not None:
            self._ear.hear(sound.samples)

    @property
    def found(self) -> StreamFound | None:
        """What the leader's skeleton was taken for; None if it is ours, or not known yet."""
        return None if self._stream is None else self._stream.found

    def put(self, frame: LeaderFrame | TheirFrame) -> None:
        """Take in a pose of the leader.

        While more work waits than the machine can do, poses are dropped; the dance then goes on
        with the next, as after a pause.

        Raises:
            InputError: a pose of a skeleton in which no person can be recognised.
        """
        if self.over or self._is_too_much():
            return
        ours = self._retargeted(frame) if isinstance(frame, TheirFrame) else frame
        if ours is None:
            return
        try:
            for even in self.intake.put(ours):
                joints, carried = self._steady.put(even)
                self._beside.append(_Beside(even, carried, time.perf_counter()))
                self._arrivals.append(self._beside[-1].came)
                self._even += 1
                music = None if self._ear is None else self._ear.rows(1)[0]
                self._paced.put(joints, music)
            self._show_due()
        except Exception as error:
            self._end(error)

    def set_dials(self, dials: DialConfig) -> None:
        """Dance with other dials from the next token on.

        Raises:
            InputError: a dial that this follower has not.
        """
        self._paced.set_dials(dials)
        if dials.temperature is not None:
            self.temperature = dials.temperature
        if dials.hold is not None:
            self.hold = dials.hold

    async def finish(self) -> None:
        """Show the frames that wait for a future that never comes."""
        if self.over:
            return
        loop = asyncio.get_running_loop()
        for shown in await loop.run_in_executor(None, self._paced.finish):
            self._tell(shown.number, shown.joints, late=False)
        self.over = True

    def leave(self) -> None:
        """Drop all work that waits; nobody is there any more."""
        self.over = True
        self._paced.cancel()
        self._beside.clear()

    def stats(self) -> dict[str, Any]:
        """Return what the page shows."""
        late = sorted(self._late_ms)
        work = sorted(self._paced.work_ms)
        return {
            "couple": self.number,
            "frames": self._shown,
            "p50_ms": _at(late, 0.5),
            "p99_ms": _at(late, 0.99),
            "token_ms": round(statistics.median(work), 1) if work else None,
            "lag_frames": self._paced.lag,
            "look_ahead": self._paced.live.look_ahead,
            "temperature": self.temperature,
            "hold": self.hold if self._paced.live.bends_arms else None,
            "bpm": None if self._ear is None else round(self._ear.bpm, 1),
            "sound_missing": 0 if self._ear is None else self._ear.late,
            "counts": dict(self.counts),
        }

    @property
    def lag(self) -> int:
        """How many frames after the leader's the follower's is shown."""
        return self._paced.lag

    def _is_too_much(self) -> bool:
        """Whether the next pose must be dropped, or the dance has ended."""
        try:
            if not self._is_shedding():
                return False
        except Exception as error:
            self._end(error)
            return True
        self.counts["dropped, busy"] += 1
        self.intake.pause()
        return True

    def _retargeted(self, frame: TheirFrame) -> LeaderFrame | None:
        """Return a pose of another skeleton as one of ours; None while too little is known."""
        assert self._stream is not None
        if not frame.finite:
            return LeaderFrame(frame.time, torch.full((NUM_JOINTS, 3), torch.nan))
        joints = self._stream.joints(frame.pose)
        if joints is None:
            self.counts["before somebody stood"] += 1
            return None
        return LeaderFrame(frame.time, joints)

    def _is_shedding(self) -> bool:
        if self._paced.busy:
            self._shedding = True
        elif self._paced.idle:
            self._shedding = False
        return self._shedding

    def _show_due(self) -> None:
        if self.over:
            return
        try:
            for shown in self._paced.take(wait=False):
                self._tell(shown.number, shown.joints, late=True)
        except Exception as error:
            self._end(error)

    def _tell(self, number: int, joints: Float[Tensor, "55 3"], late: bool) -> None:
        beside = self._beside.popleft()
        assert beside.frame.number == number
        self._shown += 1
        back = self._even - 1 - number - self._paced.lag  # frames that came after the answered one
        if late and 0 <= back < len(self._arrivals):
            came = self._arrivals[len(self._arrivals) - 1 - back]
            self._late_ms.append(1e3 * (time.perf_counter() - came))
        there = beside.carried.back(joints)
        self._show(Shown(number, beside.frame.time, there, beside.frame.joints))

    def _end(self, error: Exception) -> None:
        self.leave()
        self._fail(error)


def _at(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)
