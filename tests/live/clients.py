"""A server for a test, and clients that talk to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from duet_rl.generate.follower import Follower
from duet_rl.generate.start import ChosenStart
from duet_rl.live.hall import Hall
from duet_rl.live.server import serving
from duet_rl.live.settings import LiveConfig, ServerConfig

Talk = Callable[[Hall, str], Coroutine[Any, Any, None]]
PATIENCE = 200.0  # s that a test waits for anything, on a busy machine


def with_server(
    follower: Follower,
    talk: Talk,
    token: str | None = None,
    pending: int = 1000,
    start: ChosenStart | None = None,
    **limits: Any,
) -> None:
    """Run a talk with a server of its own: with its hall and its address.

    Test clients send faster than anybody dances, so much work may be `pending`. Dances begin as
    they have learned to, or with a `start`.
    """

    async def run() -> None:
        config = LiveConfig(slack=0, pending=pending)
        hall = Hall(follower, config, ServerConfig(**limits), start)
        async with serving(hall, "127.0.0.1", 0, token) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await asyncio.wait_for(talk(hall, f"127.0.0.1:{port}"), PATIENCE)

    asyncio.run(run())


@asynccontextmanager
async def client(place: str, **hello: Any) -> AsyncIterator[ClientConnection]:
    """A client that has said hello, and has been welcomed."""
    async with connect(f"ws://{place}/live", close_timeout=0.2) as socket:
        await socket.send(json.dumps({"type": "hello", **hello}))
        yield socket


async def word(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next JSON message of a kind."""
    async for message in socket:
        if isinstance(message, str) and (said := json.loads(message))["type"] == kind:
            return dict(said)
    raise AssertionError(f"closed before any {kind}")
