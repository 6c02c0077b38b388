"""A headless Chromium that is told what to do over its debugging socket."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"),
    *("--enable-unsafe-swiftshader", "--hide-scrollbars", "--mute-audio", "--no-first-run"),
    "--remote-debugging-port=0",
)
_SECONDS = 60.0  # in which it has to start


class Page:
    """A page that is open."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._count = socket, 0
        self.errors: list[str] = []

    async def ask(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        self._count += 1
        number = self._count
        await self._socket.send(json.dumps({"id": number, "method": method, "params": values}))
        async for message in self._socket:
            said = json.loads(message)
            if said.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(said["params"]["exceptionDetails"]))
            if said.get("id") == number:
                return dict(said.get("result", {}))
        raise AssertionError("the browser is gone")

    async def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script: str, seconds: float = 30.0) -> None:
        """Wait until an expression is true."""
        for _ in range(round(seconds / 0.2)):
            if await self.run(script):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{script} never came true")

    async def picture(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        shot = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def page(address: str, width: int = 1280, height: int = 800) -> AsyncIterator[Page]:
    """Open an address."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={home}", f"--window-size={width},{height}"]
        browser = subprocess.Popen(
            [*command, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            place = Path(home) / "DevToolsActivePort"
            for _ in range(round(_SECONDS / 0.2)):
                if place.is_file() and len(place.read_text().splitlines()) > 1:
                    break
                await asyncio.sleep(0.2)
            port = int(place.read_text().splitlines()[0])
            listed = await asyncio.to_thread(_read, f"http://127.0.0.1:{port}/json/list")
            target = next(each for each in listed if each["type"] == "page")
            async with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
                opened = Page(socket)
                await opened.ask("Runtime.enable")
                await opened.ask(
                    "Emulation.setDeviceMetricsOverride",
                    width=width,
                    height=height,
                    deviceScaleFactor=1,
                    mobile=width < 640,
                )
                await opened.ask("Page.navigate", url=address)
                yield opened
        finally:
            os.killpg(browser.pid, signal.SIGKILL)  # its own session, started above
            browser.wait()


def _read(address: str) -> Any:
    with urllib.request.urlopen(address) as answer:
        return json.loads(answer.read())
