"""Ports for servers that tests start."""

import secrets
import socket
from contextlib import suppress

# Above those that Ray may give to workers, below those that Linux gives to connections.
_PORTS = range(20000, 32768)


def free_port() -> int:
    """Return a port that nobody uses, and that no connection is given before it is used."""
    while True:
        # By chance that no test seeds: processes side by side would else take the same ones.
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port := secrets.choice(_PORTS)))
            return port
