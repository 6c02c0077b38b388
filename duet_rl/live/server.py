"""The server: WebSockets for dancers and watchers, and the page that shows a couple."""

import hmac
import ipaddress
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from duet_rl.errors import InputError
from duet_rl.generate.scene_data import figure_data
from duet_rl.live.hall import Gone, Hall
from duet_rl.live.page import FIGURE, PAGE_FILES, page_file

SOCKET = "/live"
SONG = "/song"
FEWEST_LETTERS = 16  # of a token
_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
_SONG_TYPES = {
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
_CLOSE_SECONDS = 1.0  # in which a client has to say goodbye
_BYTES_WAITING = 64 * 1024  # that the system may keep for a client before it counts as slow

logger = logging.getLogger(__name__)
_library = logging.getLogger(f"{__name__}.websockets")
_library.setLevel(logging.CRITICAL)  # it gives each browser that hangs up early a traceback


class WebSocket:
    """A connection of the `websockets` library as the hall sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise Gone from error

    async def send(self, message: str | bytes) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed as error:
            raise Gone from error

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code, reason)


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach a server on that host."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe(host: str, token: str | None) -> None:
    """Make sure that a server that others can reach asks them for a token.

    Raises:
        InputError: another host than this one without a token, or a short token.
    """
    if token is None and not is_loopback(host):
        raise InputError(
            f"on {host} others reach the server; give --token (at least {FEWEST_LETTERS} letters), "
            "or leave --host out to serve this machine alone"
        )
    if token is not None and len(token) < FEWEST_LETTERS:
        raise InputError(
            f"a token of {len(token)} letters; wanted at least {FEWEST_LETTERS}, for example from "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'`"
        )


def address_of(host: str, port: int, token: str | None = None) -> str:
    """Return what a browser opens; the token is left for people to fill in."""
    named = f"[{host}]" if ":" in host else host
    return f"http://{named}:{port}" + ("" if token is None else "/?token=...")


def cannot_listen(host: str, port: int, error: OSError) -> InputError:
    """Return what is said where a port is taken, or a host is not here."""
    return InputError(
        f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port, or a "
        "--host of this machine"
    )


@asynccontextmanager
async def serving(
    hall: Hall, host: str, port: int, token: str | None = None, song: Path | None = None
) -> AsyncIterator[Server]:
    """Serve a hall while the context is open; port 0 takes a free one.

    Args:
        hall: its couples and watchers.
        host: to listen on.
        port: likewise.
        token: that clients must give, as `?token=` or `Authorization: Bearer`.
        song: a sound file that the page may play.

    Raises:
        InputError: others could reach the server without a token, or the port is taken.
    """
    require_safe(host, token)
    doorkeeper = _Doorkeeper(host, token, song)

    async def handle(connection: ServerConnection) -> None:
        try:
            await hall.converse(WebSocket(connection))
        except Exception:
            logger.exception("a conversation failed; the server goes on")
            raise

    try:
        server = await serve(
            handle,
            host,
            port,
            process_request=doorkeeper.let_in,
            max_size=hall.limits.message_bytes,
            max_queue=16,
            write_limit=_BYTES_WAITING,
            compression=None,
            open_timeout=hall.limits.hello_seconds,
            ping_timeout=hall.limits.idle_seconds,
            close_timeout=_CLOSE_SECONDS,
            server_header=None,
            logger=_library,
        )
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    try:
        yield server
    finally:
        hall.close()
        server.close()
        await server.wait_closed()


class _Doorkeeper:
    """Answers plain requests, and lets those through that may talk."""

    def __init__(self, host: str, token: str | None, song: Path | None) -> None:
        self.token, self.song = token, song
        self._names = _LOOPBACK_NAMES | {host} if is_loopback(host) else None

    def let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the answer to a request, or None where a conversation begins."""
        asked = urlsplit(request.path)
        refused = self._refusal(request, parse_qs(asked.query))
        if refused is not None:
            return refused
        if asked.path == SOCKET:
            return None
        if asked.path == "/health":
            return _response(HTTPStatus.OK, "application/json", b'{"ok": true}\n')
        if asked.path == FIGURE:
            return _response(HTTPStatus.OK, "application/json", json.dumps(figure_data()).encode())
        if asked.path in PAGE_FILES:
            return _response(HTTPStatus.OK, *page_file(asked.path))
        if asked.path == SONG and self.song is not None:
            kind = _SONG_TYPES.get(self.song.suffix.lower(), "application/octet-stream")
            return _response(HTTPStatus.OK, kind, self.song.read_bytes())
        return _refused(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def _refusal(self, request: Request, query: dict[str, list[str]]) -> Response | None:
        place = request.headers.get("Host", "")
        # A page elsewhere must not reach this server through the browser of somebody here: not
        # by a name of its own for this machine, nor from its own place.
        if self._names is not None and (urlsplit(f"//{place}").hostname or "") not in self._names:
            return _refused(HTTPStatus.FORBIDDEN, "this server knows itself by another name")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != place:
            return _refused(HTTPStatus.FORBIDDEN, "pages of other servers may not come here")
        open_to_all = urlsplit(request.path).path in {*PAGE_FILES, FIGURE}  # it tells nothing
        if self.token is None or open_to_all:
            return None
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = query.get("token", [bearer])[0]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return _refused(HTTPStatus.UNAUTHORIZED, "give the token: ?token=... ")
        return None


def _refused(status: HTTPStatus, why: str) -> Response:
    return _response(status, "text/plain; charset=utf-8", f"{why}\n".encode())


def _response(status: HTTPStatus, kind: str, body: bytes) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'",
        }
    )
    return Response(status.value, status.phrase, headers, body)
