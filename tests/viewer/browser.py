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

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 100  # s; a busy machine without a graphics card is slow to draw in 3D
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--mute-audio"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"),
)


class Browser:
    """One page in a browser of its own; a context that ends it."""

    def __init__(self, folder: Path, width: int = 1000, height: int = 700) -> None:
        assert CHROMIUM is not None
        self._process = subprocess.Popen(
            [
                *(CHROMIUM, *FLAGS, f"--user-data-dir={folder}"),
                *(f"--window-size={width},{height}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        line = next(line for line in self._process.stderr if "DevTools listening on" in line)
        port = line.split("127.0.0.1:")[1].split("/")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        self._socket = connect(page["webSocketDebuggerUrl"], max_size=None)
        self._number = 0
        self.requests: list[str] = []
        self.errors: list[str] = []
        for part in ("Runtime", "Page", "Network"):
            self.call(f"{part}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def call(self, method: str, **values: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while (message := json.loads(self._socket.recv(PATIENCE))).get("id") != self._number:
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]))
        return message["result"]

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """Return what a script of the page gives."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def text(self) -> str:
        return self.value("document.body ? document.body.innerText : ''") or ""

    def wait(self, until: Callable[[], Any]) -> Any:
        """Return what `until` gives once it gives anything."""
        end = time.monotonic() + PATIENCE
        while not (found := until()):
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
