"""A browser without a window, driven by Chromium's debugging protocol."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PATIENCE = 100  # s; a busy machine without a graphics card is slow to draw in 3D
START_SECONDS = 40  # a browser that hangs at its start is ended and started again
STARTS = 3
TELEPHONE = 640  # pixels; a page of less is shown as on a telephone
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--mute-audio"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--autoplay-policy=no-user-gesture-required", "--hide-scrollbars"),
    "--remote-debugging-port=0",
)


class Browser:
    """One page in a browser of its own, that needs an empty `folder`; a context that ends it."""

    def __init__(self, folder: Path, width: int = 1000, height: int = 700) -> None:
        self._process, self._socket = _start(folder, width, height)
        self._number = 0
        self.requests: list[str] = []
        self.errors: list[str] = []
        for part in ("Runtime", "Page", "Network"):
            self.call(f"{part}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < TELEPHONE,
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        _end(self._process)

    def call(self, method: str, **values: Any) -> Any:
        """Return what a method of the DevTools protocol gives."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while (message := json.loads(self._socket.recv(PATIENCE))).get("id") != self._number:
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]))
        assert "result" in message, message
        return message["result"]

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """Return what a script of the page gives."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        return self.value("document.body ? document.body.innerText : ''") or ""

    def wait(self, until: Callable[[], Any] | str) -> Any:
        """Return what `until`, a function or a script of the page, gives once it gives anything."""
        ask = (lambda: self.value(until)) if isinstance(until, str) else until
        end = time.monotonic() + PATIENCE
        while not (found := ask()):
            assert time.monotonic() < end, f"waited in vain; the page says {self.text()[-600:]}"
            time.sleep(0.1)
        return found

    def press(self, key: str, code: str, number: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=code,
                windowsVirtualKeyCode=number,
            )

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def _start(
    folder: Path, width: int, height: int
) -> tuple["subprocess.Popen[bytes]", ClientConnection]:
    assert CHROMIUM is not None
    for attempt in range(STARTS):
        profile = folder / f"profile{attempt}"
        process = subprocess.Popen(
            [
                *(CHROMIUM, *FLAGS, f"--user-data-dir={profile}"),
                *(f"--window-size={width},{height}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            socket = connect(_page_of(profile), max_size=None, open_timeout=START_SECONDS)
            socket.send('{"id": 0, "method": "Runtime.evaluate", "params": {"expression": "1"}}')
            socket.recv(START_SECONDS)  # its page lives
            return process, socket
        except (OSError, WebSocketException) as fault:  # also of urllib and of time that is over
            _end(process)
            told = f"{type(fault).__name__}: {fault}"
    raise AssertionError(f"Chromium did not start in {STARTS} tries: {told}")


def _page_of(profile: Path) -> str:
    """Return the socket of the page that a browser opened; a `TimeoutError` where none comes."""
    end = time.monotonic() + START_SECONDS
    place = profile / "DevToolsActivePort"
    while time.monotonic() < end:
        lines = place.read_text().splitlines() if place.is_file() else []
        if len(lines) > 1:
            address = f"http://127.0.0.1:{lines[0]}/json"
            with urllib.request.urlopen(address, timeout=START_SECONDS) as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.1)
    raise TimeoutError(f"no page in {START_SECONDS} s")


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)  # its own session, started above
    process.wait()
