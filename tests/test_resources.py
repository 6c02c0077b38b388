"""Who cannot be a cluster is told at once; Ray itself would ask for two minutes."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from duet_rl.errors import InputError
from duet_rl.resources import ADDRESS, start_ray, why_no_head


@pytest.fixture
def web() -> Iterator[str]:
    """A web server, as the dashboard of a cluster is one."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:9", "nobody is there"),
        ("localhost:9", "nobody is there"),
        ("ray://127.0.0.1:9", "nobody is there"),
        ("no.such.host.invalid:6379", "nobody is there"),
        *((bad, "wanted HOST:6379") for bad in ("head", "head:", ":6379", "head:x", "head:70000")),
        *((bad, "wanted HOST:6379") for bad in ("http://head:8265", "s3://bucket/x", "a/b:1")),
    ],
)
def test_where_no_head_can_be_is_said(address: str, why: str) -> None:
    assert why_no_head(address).startswith(why)


def test_a_dashboard_is_no_head_and_whoever_speaks_another_language_may_be(web: str) -> None:
    assert "web server" in why_no_head(web)
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=lambda: other.accept()[0].close())
        thread.start()
        assert why_no_head(f"127.0.0.1:{other.getsockname()[1]}") == ""
        thread.join()
    assert why_no_head("auto") == why_no_head("local") == ""


def test_ray_is_not_asked_where_no_head_can_be(monkeypatch: pytest.MonkeyPatch, web: str) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", lambda **options: pytest.fail("Ray would hang"))
    for address in ("127.0.0.1:9", web, "http://head:8265"):
        monkeypatch.setenv(ADDRESS, address)
        with pytest.raises(InputError, match=f"{ADDRESS}={address}.*unset {ADDRESS}"):
            start_ray()
