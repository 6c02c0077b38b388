"""A browser shows the dance of the store, plays it with its sound, and asks nobody else."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from html import unescape

import numpy as np
import pytest
from PIL import Image

from duet_rl.viewer.hall import open_hall
from duet_rl.viewer.server import address_of, serving
from duet_rl.viewer.show import Viewer
from duet_rl.viewer.takes import TRUTH
from duet_rl.viewer.words import moment_of, tokens_of
from tests.browser import CHROMIUM, PATIENCE, Browser
from tests.ports import free_port

SONG = "document.querySelector('audio')"
SPACE = (" ", "Space", 32)


def words(table: str) -> list[str]:
    """Return the texts of a table, as a page shows them."""
    return [unescape(text) for text in re.findall(r">([^<>]+)<", table)]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_store(place, tmp_path):
    hall = open_hall([f"ours={place / 'mine'}"], data=place / "data")
    stop = threading.Event()
    with serving(free_port()) as server, Browser(tmp_path) as browser:
        viewer = Viewer(hall, server)
        running = threading.Thread(target=viewer.run, args=(stop,), daemon=True)
        running.start()
        browser.open(address_of(server))
        browser.wait(lambda: "of 60" in browser.text() and "ours" in browser.text())
        client = next(iter(server.get_clients().values()))

        frame = 21
        viewer._asked.put(lambda: viewer.go_to(frame))
        browser.wait(lambda: f"frame\t{frame} of 60" in browser.text())
        couple = viewer.couples[viewer.panel.couple.value].couple
        told = words(moment_of(viewer.take, couple, frame))
        browser.wait(lambda: all(text in browser.text() for text in told))
        browser.wait(lambda: tokens_of(couple, frame) == viewer.panel.tokens.content)

        def seen() -> np.ndarray:
            picture = client.get_render(300, 400, transport_format="png", timeout=PATIENCE)
            return picture[..., :3].astype(int)

        def colours(picture: np.ndarray) -> list[int]:
            red, _, blue = np.moveaxis(picture, -1, 0)
            return [int((blue > red + 60).sum()), int((red > blue + 60).sum())]

        browser.wait(lambda: min(colours(seen())) > 100)  # a blue leader and a red follower
        before = seen()
        screen = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB"))
        assert len(np.unique(screen.reshape(-1, 3), axis=0)) > 500

        browser.wait(lambda: abs(browser.value(f"{SONG}.currentTime") - frame / 30) < 0.02)
        browser.press(*SPACE)
        browser.wait(lambda: viewer.clock.playing)
        browser.wait(lambda: browser.value(f"!{SONG}.paused"))
        browser.press(*SPACE)
        browser.wait(lambda: not viewer.clock.playing)
        at = viewer.clock.at(time.time())
        browser.wait(lambda: abs(browser.value(f"{SONG}.currentTime") - at) < 0.02)
        viewer._asked.put(lambda: viewer.go_to(45))
        browser.wait(lambda: np.abs(seen() - before).max() > 60)

        ours = ("data:", "blob:", address_of(server), address_of(server).replace("http", "ws"))
        assert not [request for request in browser.requests if not request.startswith(ours)]
        assert browser.errors == []
        stop.set()
        running.join()
    assert TRUTH in viewer.couples


@pytest.mark.slow
def test_the_command_says_where_it_is_and_ends_at_ctrl_c(place):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "duet_rl", "view", str(place / "take.bvh"), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"open http://127.0.0.1:{port} in a browser")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, errors) == (130, "stopped\n", "")
