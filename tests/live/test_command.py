"""`duet-rl live`: what it refuses, and that a couple is seen in a browser."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from duet_rl.cli.exits import BAD_INPUT
from duet_rl.cli.main import app
from duet_rl.live.protocol import pose_message, shown_of
from duet_rl.mocap.bvh import write_bvh
from tests.browser import CHROMIUM, Browser
from tests.couple import stepping_couple
from tests.integration.processes import ended, started, wait_until
from tests.live.clients import client
from tests.ports import free_port
from tests.tiny_run import save_follower

START_SECONDS, END_SECONDS = 120.0, 120.0  # of a busy machine
TURN = (  # a dial, and to what
    "(() => { const dial = document.getElementById('%s'); dial.value = %s;"
    "dial.dispatchEvent(new Event('input')); dial.dispatchEvent(new Event('change')); })()"
)
REMEMBER = (  # what the server said last
    "live.hear = (message) => { if (message.type === 'stats') live.last = message;"
    "LivePage.prototype.hear.call(live, message); }"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_follower(tmp_path_factory.mktemp("live") / "follower")


def test_what_cannot_be_served_is_said_in_a_line(run: Path, tmp_path: Path) -> None:
    write_bvh(tmp_path / "pose.bvh", stepping_couple(0.1).follower)
    for options, told in (
        (["--host", "0.0.0.0"], "--token"),
        (["--host", "0.0.0.0", "--token", "short"], "letters"),
        (["--music", "song.ogg"], "--leader"),
        (["--leader", str(tmp_path / "none.bvh")], "none.bvh"),
        (["--serve", "--leader", "take.bvh"], "--serve"),
        (["--host", "no.such.host.invalid", "--token", "0123456789abcdef"], "--host of this"),
        (["--start", str(tmp_path / "none.npz")], "none.npz"),
        (["--start-at", "0.8"], "--start FILE"),
        (["--start", str(tmp_path / "pose.bvh"), "--start-at", "80"], "80 m from the partner"),
    ):
        result = CliRunner().invoke(app, ["live", "--checkpoint", str(run), *options])
        assert result.exit_code == BAD_INPUT
        assert told in result.output
        assert len(result.output.splitlines()) == 1
    result = CliRunner().invoke(app, ["live", "--checkpoint", str(run), "--seed", str(10**20)])
    assert (result.exit_code, "--seed" in result.output) == (BAD_INPUT, True)
    result = CliRunner().invoke(app, ["live", "--checkpoint", str(tmp_path)])
    assert (result.exit_code, "holds no follower" in result.output) == (BAD_INPUT, True)


def hands_are_firm(browser: Browser) -> bool:
    """Turn the dial up, again with each dance, and return whether the server says so."""
    if browser.value("live.last.hold === 0.5 && live.turning.size === 0"):
        browser.value(TURN % ("hold", 2))
        assert browser.value("document.getElementById('hold-value').textContent") == "2.0, firmer"
    return bool(browser.value("live.last.hold === 2"))


def address_in(log: Path) -> str:
    found = re.search(r"http://([\d.:]+)", log.read_text())
    return found[1] if found else ""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_recorded_leader_and_his_follower_are_seen_in_a_browser(
    run: Path, tmp_path: Path
) -> None:
    write_bvh(tmp_path / "take.bvh", stepping_couple(20.0).leader)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "duet_rl", "live", "--checkpoint", str(run), "--port", "0"]
    command += ["--hold", "0.5", "--start", str(tmp_path / "take.bvh"), "--start-at", "0.9"]

    def look(place: str, width: int, height: int) -> None:
        with Browser(tmp_path / f"browser{width}", width, height) as browser:
            browser.open(f"http://{place}/")
            browser.wait("document.getElementById('state')?.dataset.state === 'live'")
            browser.wait("document.getElementById('p99').textContent > '0'")
            browser.wait("live.stage.dancers.every((dancer) => dancer.limbs.length > 0)")
            assert browser.value("document.getElementById('sorry').hidden")
            assert not browser.value("document.documentElement.scrollWidth > window.innerWidth")
            browser.value(TURN % ("ahead", 1))
            faults = "document.getElementById('faults').textContent"
            browser.wait(f"{faults}.startsWith('400 ms')")  # 12 frames
            browser.value(REMEMBER)
            browser.wait("[0.5, 2].includes(live.last?.hold)")
            browser.wait(lambda: hands_are_firm(browser))
            assert not browser.errors

    with started([*command, "--leader", str(tmp_path / "take.bvh")], log) as server:
        wait_until(lambda: bool(address_in(log)), START_SECONDS, "an address", log)
        for size in ((1280, 800), (390, 780)):
            look(address_in(log), *size)
        server.send_signal(signal.SIGTERM)
        assert ended(server, END_SECONDS, log) == 0


@pytest.mark.ray
@pytest.mark.slow
def test_replicas_dance_with_several_leaders(run: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    leader = stepping_couple(2.0).leader.joints
    options = ["--port", str(free_port()), "--serve", "--replicas", "2"]
    command = [sys.executable, "-m", "duet_rl", "live", "--checkpoint", str(run), *options]

    async def dance(place: str) -> torch.Tensor:
        async with client(place) as socket:
            for number, joints in enumerate(leader):
                await socket.send(pose_message(number / 30, joints))
                await asyncio.sleep(1 / 30)
            await socket.send('{"type": "bye"}')
            return torch.stack([shown_of(m).follower async for m in socket if isinstance(m, bytes)])

    async def all_dance(place: str) -> list[torch.Tensor]:
        return list(await asyncio.gather(*(dance(place) for _ in range(3))))

    with started(command, log) as server:
        wait_until(lambda: bool(address_in(log)), START_SECONDS, "an address", log)
        for danced in asyncio.run(all_dance(address_in(log))):
            assert len(danced) >= 24  # a busy machine drops what waits for more than 32 frames
            assert danced.isfinite().all()
        server.send_signal(signal.SIGTERM)
        assert ended(server, END_SECONDS, log) == 0
