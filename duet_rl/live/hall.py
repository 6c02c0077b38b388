"""The hall: all couples of a server, those who watch them, and the talk with each client."""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower
from duet_rl.generate.start import ChosenStart
from duet_rl.live.couple import Couple
from duet_rl.live.intake import LeaderFrame
from duet_rl.live.protocol import (
    WELCOME_FACTS,
    Bye,
    Dials,
    Hello,
    Message,
    Shown,
    Sound,
    answer,
    couple_frame,
    read,
    say,
)
from duet_rl.live.settings import LiveConfig, ServerConfig
from duet_rl.live.skeleton import TheirFrame
from duet_rl.mocap.stream import StreamSkeleton

STATS_SECONDS = 1.0  # between two reports to a client
MOST_FAULTS = 50  # messages that are none, before the connection is closed
POLICY, TRY_LATER, GONE_WRONG = 1008, 1013, 1011  # why a connection is closed (RFC 6455)

logger = logging.getLogger(__name__)


class Gone(Exception):
    """The client has left."""


class Socket(Protocol):
    """A connection, whatever carries it."""

    async def receive(self) -> str | bytes:
        """Return the next message; `Gone` if none comes any more."""

    async def send(self, message: str | bytes) -> None:
        """Send a message, waiting while the client takes none; `Gone` if it has left."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""


class Outbox:
    """Messages that wait to be sent; of frames the oldest give way."""

    def __init__(self, most: int) -> None:
        self.dropped = 0
        self._words: deque[str] = deque(maxlen=most)
        self._frames: deque[str | bytes] = deque()
        self._most = most
        self._there = asyncio.Event()

    def word(self, message: str) -> None:
        """Put a message that goes before all frames."""
        self._words.append(message)
        self._there.set()

    def frame(self, message: str | bytes) -> None:
        """Put a frame."""
        if len(self._frames) >= self._most:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(message)
        self._there.set()

    async def next(self) -> str | bytes:
        """Return the next message, as soon as there is one."""
        while not (self._words or self._frames):
            self._there.clear()
            await self._there.wait()
        return self._words.popleft() if self._words else self._frames.popleft()

    @property
    def empty(self) -> bool:
        return not (self._words or self._frames)


class _Watcher:
    def __init__(self, outbox: Outbox, wanted: int | None) -> None:
        self.outbox, self.wanted = outbox, wanted


class Hall:
    """Lets several leaders dance with one follower each, all of one checkpoint.

    Args:
        follower: from `load_follower`.
        config: how they dance, unless a client wants it otherwise.
        limits: how many, how much, how long.
        start: the pose that their dances begin with, if somebody has chosen one.
    """

    def __init__(
        self,
        follower: Follower,
        config: LiveConfig,
        limits: ServerConfig,
        start: ChosenStart | None = None,
    ) -> None:
        self.follower, self.config, self.limits, self.start = follower, config, limits, start
        self.couples: dict[int, Couple] = {}
        self.extra: Callable[[], dict[str, Any]] = dict  # more facts for the reports
        self._threads = [
            ThreadPoolExecutor(1, thread_name_prefix="dance") for _ in range(limits.workers)
        ]
        self._numbers = itertools.count(1)
        self._watchers: set[_Watcher] = set()
        self._clients = 0

    def begin(
        self,
        hello: Hello,
        show: Callable[[Shown], None],
        fail: Callable[[Exception], None],
        song: Float[Tensor, "T 54"] | None = None,
    ) -> Couple:
        """Return a new couple, which watchers see from now on."""
        number = next(self._numbers)

        def shown(frame: Shown) -> None:
            show(frame)
            self._show_watchers(number, frame)

        thread = self._threads[number % len(self._threads)]
        couple = Couple(
            number, self.follower, self.config, hello, thread, shown, fail, song, self.start
        )
        self.couples[number] = couple
        return couple

    def end(self, couple: Couple) -> None:
        """Let a couple leave the hall."""
        couple.leave()
        self.couples.pop(couple.number, None)

    def close(self) -> None:
        """Let everybody leave."""
        for couple in list(self.couples.values()):
            self.end(couple)
        for thread in self._threads:
            thread.shutdown(wait=False, cancel_futures=True)

    async def converse(self, socket: Socket) -> None:
        """Talk with a client until it leaves."""
        if self._clients >= self.limits.max_clients:
            await _farewell(
                socket, TRY_LATER, f"{self._clients} clients are here, which is all there may be"
            )
            return
        self._clients += 1
        try:
            message = await asyncio.wait_for(socket.receive(), self.limits.hello_seconds)
            hello = read(message)
            if not isinstance(hello, Hello):
                raise InputError('the first message must be {"type": "hello", ...}')
            if hello.role == "watcher":
                await self._watch(socket, hello)
            else:
                await self._dance(socket, hello)
        except InputError as error:
            await _farewell(socket, POLICY, str(error))
        except (asyncio.TimeoutError, TimeoutError):
            await _farewell(socket, POLICY, "nothing was said for too long")
        except Gone:
            pass
        finally:
            self._clients -= 1

    async def _dance(self, socket: Socket, hello: Hello) -> None:
        outbox = Outbox(self.limits.outgoing)
        ended: list[Exception] = []

        def fail(error: Exception) -> None:
            logger.error("couple %d ends: %s", couple.number, error, exc_info=error)
            ended.append(error)
            outbox.word(say("error", message="the follower cannot go on", fatal=True))

        couple = self.begin(hello, lambda shown: outbox.frame(answer(shown, hello.answer)), fail)
        logger.info("couple %d begins", couple.number)
        outbox.word(
            say(
                "welcome",
                **WELCOME_FACTS,
                couple=couple.number,
                lag_frames=couple.lag,
                message_bytes=self.limits.message_bytes,
            )
        )

        def take(message: Message) -> None:
            _take(couple, message, outbox)

        def report() -> dict[str, Any]:
            return couple.stats() | {"not_sent": outbox.dropped}

        try:
            bye = await self._attend(
                socket, outbox, take, report, lambda: bool(ended), skeleton=couple.skeleton
            )
            if bye:
                await asyncio.wait_for(couple.finish(), self.limits.idle_seconds)
                while not outbox.empty:
                    await socket.send(await outbox.next())
                await socket.close(1000, "the dance is over")
            elif ended:
                await socket.close(GONE_WRONG, "the follower cannot go on")
        finally:
            self.end(couple)
            logger.info("couple %d ends after %d frames", couple.number, couple.stats()["frames"])

    async def _watch(self, socket: Socket, hello: Hello) -> None:
        watcher = _Watcher(Outbox(self.limits.outgoing), hello.couple)
        self._watchers.add(watcher)
        watcher.outbox.word(say("welcome", **WELCOME_FACTS, couples=sorted(self.couples)))

        def take(message: Message) -> None:
            if not isinstance(message, Dials):
                raise InputError("a watcher may turn dials, and nothing else")
            couple = self._watched(watcher)
            if couple is not None:
                couple.set_dials(message)

        def report() -> dict[str, Any]:
            couple = self._watched(watcher)
            facts = {"couples": sorted(self.couples), **self.extra()}
            return facts | (couple.stats() if couple is not None else {"couple": None})

        try:
            await self._attend(socket, watcher.outbox, take, report, lambda: False, idle=False)
        finally:
            self._watchers.discard(watcher)

    async def _attend(
        self,
        socket: Socket,
        outbox: Outbox,
        take: Callable[[Message], None],
        report: Callable[[], dict[str, Any]],
        ended: Callable[[], bool],
        idle: bool = True,
        skeleton: StreamSkeleton | None = None,
    ) -> bool:
        """Take what comes and send what is there; return whether the client said goodbye."""
        sender = asyncio.create_task(_send_all(socket, outbox))
        reporter = asyncio.create_task(_report_all(outbox, report))
        faults = 0
        try:
            while not ended():
                wait = self.limits.idle_seconds if idle else None
                receiving = asyncio.ensure_future(socket.receive())
                done, _ = await asyncio.wait(
                    {receiving, sender}, timeout=wait, return_when=asyncio.FIRST_COMPLETED
                )
                if receiving not in done:
                    receiving.cancel()
                    if sender in done:
                        raise Gone
                    raise TimeoutError
                try:
                    message = read(receiving.result(), skeleton)
                    if isinstance(message, Bye):
                        return True
                    take(message)
                except InputError as error:
                    faults += 1
                    outbox.word(say("error", message=str(error), fatal=faults >= MOST_FAULTS))
                    if faults >= MOST_FAULTS:
                        raise
            return False
        finally:
            for task in (sender, reporter):
                task.cancel()
            await asyncio.gather(sender, reporter, return_exceptions=True)

    def _watched(self, watcher: _Watcher) -> Couple | None:
        wanted = watcher.wanted
        if wanted is None or wanted not in self.couples:
            wanted = max(self.couples, default=None)
        return None if wanted is None else self.couples[wanted]

    def _show_watchers(self, number: int, shown: Shown) -> None:
        message: bytes | None = None
        for watcher in self._watchers:
            couple = self._watched(watcher)
            if couple is not None and couple.number == number:
                message = couple_frame(shown) if message is None else message
                watcher.outbox.frame(message)


def _take(couple: Couple, message: Message, outbox: Outbox) -> None:
    """Give a couple what its dancer says."""
    if isinstance(message, LeaderFrame | TheirFrame):
        known = couple.found
        couple.put(message)
        if couple.found is not known:
            assert couple.found is not None
            outbox.word(say("skeleton", **asdict(couple.found)))
    elif isinstance(message, Sound):
        couple.hear(message)
    elif isinstance(message, Dials):
        couple.set_dials(message)
    else:
        raise InputError("hello was said already")


async def _send_all(socket: Socket, outbox: Outbox) -> None:
    while True:
        await socket.send(await outbox.next())


async def _report_all(outbox: Outbox, report: Callable[[], dict[str, Any]]) -> None:
    while True:
        await asyncio.sleep(STATS_SECONDS)
        outbox.word(say("stats", **report()))


async def _farewell(socket: Socket, code: int, reason: str) -> None:
    try:
        await socket.send(say("error", message=reason, fatal=True))
        await socket.close(code, reason[:100])
    except Gone:
        pass
