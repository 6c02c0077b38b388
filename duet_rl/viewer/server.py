"""The server of the viewer: on this machine only, and gone when it is stopped."""

import contextlib
import io
import logging
import threading
from collections.abc import Iterator

from duet_rl.errors import InputError

HOST = "127.0.0.1"  # nobody from outside is let in
PORT = 8080
_LAST_PORT = 65_535
_PATIENCE = 1.0  # s that browsers have to say goodbye
_LOGGERS = ("websockets", "websockets.server")  # tell of every browser that leaves

try:
    import viser
except ImportError as error:
    raise InputError(
        f"the viewer needs the package viser ({error}): pip install 'duet-rl[view]'"
    ) from error


class _Here(viser.ViserServer):
    """A server that never asks others to pass its pages on."""

    def request_share_url(self, verbose: bool = True) -> None:
        """Refuse: what is shown stays on this machine."""


@contextlib.contextmanager
def serving(port: int = PORT, title: str = "duet_rl") -> Iterator[viser.ViserServer]:
    """Give a server on `HOST`, at the first free port from `port` on; stop it afterwards.

    Raises:
        InputError: no such port.
    """
    if not 0 <= port <= _LAST_PORT:
        raise InputError(f"there is no port {port}; give one from 1024 to {_LAST_PORT}")
    import rich

    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    quiet, rich.get_console().quiet = rich.get_console().quiet, True  # it greets by itself
    server = None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            server = _Here(HOST, port, label=title, verbose=False)
        server.gui.configure_theme(show_logo=False, show_share_button=False)
        yield server
    finally:
        if server is not None:
            # A browser that is slow to say goodbye is not waited for; its socket is closed behind.
            stopping = threading.Thread(target=server.stop, name="stopping", daemon=True)
            stopping.start()
            stopping.join(_PATIENCE)
        rich.get_console().quiet = quiet


def address_of(server: viser.ViserServer) -> str:
    """Return what to open in a browser."""
    return f"http://{HOST}:{server.get_port()}"


class Stop(threading.Event):
    """Set by a signal; `interrupted` if that was Ctrl-C."""

    interrupted = False


def wait_for_a_signal() -> Stop:
    """Return an event that SIGINT and SIGTERM set."""
    import signal

    stop = Stop()

    def end(number: int, _: object) -> None:
        stop.interrupted = number == signal.SIGINT
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop
