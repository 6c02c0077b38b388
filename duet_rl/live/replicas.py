"""The same conversations by Ray Serve: one follower in each of several processes.

A couple stays in the process that its connection fell to, so that its state never travels. More
clients than all processes together bear are told to come later.
"""

import hmac
import json
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import torch
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import Response
from ray import serve

from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from duet_rl.generate.scene_data import figure_data
from duet_rl.generate.start import ChosenStart
from duet_rl.live.beginning import start_of
from duet_rl.live.follower import require_live
from duet_rl.live.hall import POLICY, Gone, Hall
from duet_rl.live.page import FIGURE, PAGE_FILES, page_file
from duet_rl.live.server import SOCKET, address_of, cannot_listen
from duet_rl.live.settings import LiveConfig, LiveWish, ServerConfig
from duet_rl.resources import start_ray

APPLICATION = "duet-rl-live"

logger = logging.getLogger(__name__)
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


class ServeSocket:
    """A connection of Ray Serve as the hall sees it."""

    def __init__(self, socket: WebSocket, most: int) -> None:
        self._socket, self._most = socket, most

    async def receive(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            raise Gone
        content = message.get("bytes")
        said: str | bytes = message.get("text") or "" if content is None else content
        if len(said) > self._most:
            raise InputError(f"a message of {len(said)} bytes; at most {self._most} are read")
        return said

    async def send(self, message: str | bytes) -> None:
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(message)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error


@serve.deployment
@serve.ingress(app)
class Dancers:
    """A process with a hall of its own."""

    def __init__(
        self, wish: LiveWish, config: LiveConfig, limits: ServerConfig, start: ChosenStart | None
    ) -> None:
        torch.set_num_threads(1)
        self.wish = wish
        self.hall = Hall(load_follower(wish.checkpoint, wish.device), config, limits, start)

    @app.websocket(SOCKET)
    async def live(self, socket: WebSocket) -> None:
        place, origin = socket.headers.get("host", ""), socket.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != place
        await socket.accept()
        if foreign or not self._knows(socket):
            await socket.close(POLICY, "give the token: ?token=..., from a page of this server")
            return
        await self.hall.converse(ServeSocket(socket, self.hall.limits.message_bytes))

    @app.get("/{name:path}")
    async def page(self, name: str) -> Response:
        path = f"/{name}"
        if path == FIGURE:
            return Response(json.dumps(figure_data()), media_type="application/json")
        if path not in PAGE_FILES:
            return Response("there is nothing of that name\n", 404)
        kind, content = page_file(path)
        return Response(content, media_type=kind)

    def _knows(self, socket: WebSocket) -> bool:
        token = self.wish.token
        if token is None:
            return True
        bearer = socket.headers.get("authorization", "").removeprefix("Bearer ")
        given = socket.query_params.get("token", bearer)
        return hmac.compare_digest(given.encode(), token.encode())


def start_replicas(wish: LiveWish, config: LiveConfig, limits: ServerConfig) -> None:
    """Start the processes on this Ray, and wait until they listen.

    Raises:
        InputError: the follower cannot dance live, or there is no such start.
    """
    follower = load_follower(wish.checkpoint, "cpu")
    require_live(follower, config)
    start = start_of(wish, follower.part)
    options: dict[str, Any] = {"host": wish.host, "port": wish.port}
    serve.start(http_options=options)
    dancers = Dancers.options(  # type: ignore[attr-defined]
        num_replicas=wish.replicas or 1,
        max_ongoing_requests=limits.max_clients + 8,  # the hall itself says who is one too many
        ray_actor_options={"num_cpus": 1, "num_gpus": 0 if wish.device == "cpu" else 0.1},
    )
    serve.run(dancers.bind(wish, config, limits, start), name=APPLICATION, route_prefix="/")


def serve_replicas(
    wish: LiveWish, config: LiveConfig, limits: ServerConfig, say: Callable[[str], None]
) -> None:
    """Serve by Ray until Ctrl-C or SIGTERM."""
    wish = replace(wish, port=_port_of(wish))
    start_ray()
    start_replicas(wish, config, limits)
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    say(
        f"open {address_of(wish.host, wish.port, wish.token)} in a browser; {wish.replicas} "
        f"processes dance, clients connect to {SOCKET} there"
    )
    try:
        leaving.wait()
    finally:
        serve.delete(APPLICATION)


def _port_of(wish: LiveWish) -> int:
    """Return the port to listen on, which is free now.

    Raises:
        InputError: it is taken, or the host is not here.
    """
    family = socket.AF_INET6 if ":" in wish.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((wish.host, wish.port))
        except OSError as error:
            raise cannot_listen(wish.host, wish.port, error) from error
        return int(probe.getsockname()[1])
