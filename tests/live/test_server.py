"""A server that bears its clients: those who leave, lie, shout, or come in numbers."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower
from duet_rl.live.follower import LiveFollower
from duet_rl.live.hall import Hall
from duet_rl.live.page import PAGE_FILES
from duet_rl.live.protocol import pose_message, shown_of, sound_message
from duet_rl.live.server import require_safe
from duet_rl.live.settings import LiveConfig
from tests.live.clients import client, with_server, word

TOKEN = "a-token-of-many-letters"


def poses(leader: Tensor) -> list[bytes]:
    return [pose_message(number / 30, joints) for number, joints in enumerate(leader)]


def test_what_comes_over_the_line_is_what_the_follower_dances(
    follower: Follower, leader: Tensor
) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place, seed=3) as socket:
            assert (await word(socket, "welcome"))["lag_frames"] == 3
            for pose in [*poses(leader), '{"type": "bye"}']:
                await socket.send(pose)
                await asyncio.sleep(0.002)
            shown = [shown_of(m) async for m in socket if isinstance(m, bytes)]
        assert [frame.number for frame in shown] == list(range(len(leader)))
        assert shown[30].time == pytest.approx(1.0)
        live = LiveFollower(follower, LiveConfig(), seed=3)
        wanted = live.step(leader).joints
        came = torch.stack([frame.follower for frame in shown])
        torch.testing.assert_close(came, wanted, atol=1e-4, rtol=0)
        while hall.couples:
            await asyncio.sleep(0.01)

    with_server(follower, talk, outgoing=200)


def test_json_says_the_same_as_binary(follower: Follower, leader: Tensor) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place, answer="json") as socket:
            for number, joints in enumerate(leader[:8]):
                pose = {"type": "pose", "time": number / 30, "joints": joints.tolist()}
                await socket.send(json.dumps(pose))
            said = await word(socket, "follower")
        assert said["frame"] == 0
        assert torch.tensor(said["joints"]).shape == (55, 3)

    with_server(follower, talk)


@pytest.mark.parametrize(
    "nonsense",
    [
        "{",
        "[" * 50_000,
        '{"type": "pose", "time": 1}',
        '{"type": "pose", "time": 1, "joints": [[1, 2], [3]]}',
        '{"type": "dials", "look_ahead": 99}',
        '{"type": "dials", "loudness": 1}',
        '"hello"',
        b"",
        b"\x07what",
        b"\x01\x00\x00\x00short",
    ],
)
def test_nonsense_is_told_and_the_dance_goes_on(
    follower: Follower, leader: Tensor, nonsense: str | bytes
) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place) as socket:
            await socket.send(nonsense)
            assert not (await word(socket, "error"))["fatal"]
            for pose in poses(leader[:8]):
                await socket.send(pose)
            while not isinstance(await socket.recv(), bytes):
                pass

    with_server(follower, talk)


def test_poses_that_are_none_are_left_out_and_all_that_comes_is_finite(
    follower: Follower, leader: Tensor
) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place, sound=48_000) as socket:
            for number, pose in enumerate(poses(leader)):
                await socket.send(sound_message(torch.randn(1600).numpy()))
                if number % 7 == 3:
                    await socket.send(pose_message(number / 30, leader[number] * float("nan")))
                elif number % 11 == 5:
                    await socket.send(pose_message(float("inf"), leader[number]))
                elif number % 5:
                    await socket.send(pose)
            await socket.send('{"type": "bye"}')
            shown = [shown_of(m).follower async for m in socket if isinstance(m, bytes)]
        assert len(shown) > 100
        joints = torch.stack(shown)
        assert joints.isfinite().all()
        assert (joints - leader.mean((0, 1))).norm(dim=-1).max() < 10

    with_server(follower, talk, outgoing=200)


def test_a_client_that_vanishes_leaves_room_for_the_next(
    follower: Follower, leader: Tensor
) -> None:
    async def talk(hall: Hall, place: str) -> None:
        for _ in range(3):
            async with client(place) as socket:
                await word(socket, "welcome")
                for pose in poses(leader[:9]):
                    await socket.send(pose)
                socket.transport.abort()  # as when a cable is pulled
            while hall.couples:
                await asyncio.sleep(0.01)
        async with client(place) as socket:
            assert await word(socket, "welcome")

    with_server(follower, talk, max_clients=1)


def test_one_too_many_is_told_to_come_later(follower: Follower) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place) as first, connect(f"ws://{place}/live") as second:
            await word(first, "welcome")
            assert "clients are here" in (await word(second, "error"))["message"]
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == 1013

    with_server(follower, talk, max_clients=1)


def test_a_message_too_long_ends_its_client_alone(follower: Follower, leader: Tensor) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place) as one, client(place) as other:
            await word(one, "welcome")
            await one.send(b"\x02\x00\x00\x00" + bytes(8192))
            with pytest.raises(ConnectionClosed):
                while True:
                    await one.recv()
            assert one.close_code == 1009
            for pose in poses(leader[:8]):
                await other.send(pose)
            while not isinstance(await other.recv(), bytes):
                pass

    with_server(follower, talk, message_bytes=4096)


def test_who_says_nothing_or_only_nonsense_is_shown_out(follower: Follower) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with connect(f"ws://{place}/live", close_timeout=0.2) as silent:
            assert "too long" in (await word(silent, "error"))["message"]
        async with client(place) as liar:
            for _ in range(60):
                await liar.send("{")
            with pytest.raises(ConnectionClosed):
                while True:
                    await liar.recv()
        async with client(place) as idle:
            await word(idle, "welcome")
            assert (await word(idle, "error"))["fatal"]
        async with connect(f"ws://{place}/live") as rude:
            await rude.send('{"type": "dials"}')
            assert "hello" in (await word(rude, "error"))["message"]

    with_server(follower, talk, hello_seconds=1.5, idle_seconds=2.0)


def test_a_flood_of_poses_is_dropped_and_not_kept(follower: Follower, leader: Tensor) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place) as socket:
            await word(socket, "welcome")
            for number in range(3000):
                await socket.send(pose_message(number / 30, leader[number % len(leader)]))
            (couple,) = hall.couples.values()
            stats = await word(socket, "stats")
            assert len(couple._beside) < 200
            assert stats["counts"]["received"] <= 3000

    with_server(follower, talk, pending=8)


def test_several_couples_dance_at_once_and_apart(follower: Follower, leader: Tensor) -> None:
    there = leader + torch.tensor([20.0, 0.0, 0.0])

    async def dance(place: str, joints: Tensor) -> Tensor:
        async with client(place, seed=1) as socket:
            for pose in [*poses(joints[:40]), '{"type": "bye"}']:
                await socket.send(pose)
                await asyncio.sleep(0.005)
            return torch.stack([shown_of(m).follower async for m in socket if isinstance(m, bytes)])

    async def talk(hall: Hall, place: str) -> None:
        one, other = await asyncio.gather(dance(place, leader), dance(place, there))
        assert len(one) == len(other) == 40
        apart = torch.tensor([20.0, 0.0, 0.0]).expand_as(one)
        torch.testing.assert_close(other - one, apart, atol=1e-2, rtol=0)

    with_server(follower, talk, workers=2, outgoing=200)


def test_a_watcher_sees_both_and_turns_the_dials(follower: Follower, leader: Tensor) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place, role="watcher") as watcher, client(place) as dancer:
            await word(watcher, "welcome")
            await word(dancer, "welcome")
            for pose in poses(leader[:30]):
                await dancer.send(pose)
                await asyncio.sleep(0.002)
            seen = [shown_of(m) async for m in _frames(watcher, 8)]
            torch.testing.assert_close(seen[5].leader, leader[5])
            assert (seen[5].follower - seen[5].leader).abs().max() > 0.01
            await watcher.send('{"type": "dials", "look_ahead": 3, "temperature": 0.1}')
            while (stats := await word(watcher, "stats"))["look_ahead"] != 3:
                pass
            assert (stats["temperature"], stats["lag_frames"]) == (0.1, 15)

    with_server(follower, talk)


async def _frames(socket: ClientConnection, count: int) -> AsyncIterator[bytes]:
    async for message in socket:
        if isinstance(message, bytes):
            yield message
            count -= 1
            if not count:
                return


def test_only_who_has_the_token_dances(follower: Follower) -> None:
    async def talk(hall: Hall, place: str) -> None:
        for bad in ("", "?token=wrong"):
            with pytest.raises(InvalidStatus, match="401"):
                await connect(f"ws://{place}/live{bad}").__aenter__()
        async with connect(f"ws://{place}/live?token={TOKEN}") as socket:
            await socket.send('{"type": "hello"}')
            assert await word(socket, "welcome")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with connect(f"ws://{place}/live", additional_headers=bearer) as socket:
            await socket.send('{"type": "hello"}')
            assert await word(socket, "welcome")

    with_server(follower, talk, token=TOKEN)


def test_pages_of_other_servers_are_kept_out(follower: Follower) -> None:
    async def talk(hall: Hall, place: str) -> None:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://{place}/live", origin="http://evil.example").__aenter__()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            rebound = urllib.request.Request(f"http://{place}/", headers={"Host": "evil.example"})
            await asyncio.to_thread(urllib.request.urlopen, rebound)
        async with connect(f"ws://{place}/live", origin=f"http://{place}") as socket:
            await socket.send('{"type": "hello", "role": "watcher"}')
            assert await word(socket, "welcome")

    with_server(follower, talk)


def test_the_page_needs_nothing_from_elsewhere(follower: Follower) -> None:
    async def talk(hall: Hall, place: str) -> None:
        page = await asyncio.to_thread(_text, f"http://{place}/")
        for name in (path[1:] for path in PAGE_FILES if path != "/"):
            assert name in page
            text = await asyncio.to_thread(_text, f"http://{place}/{name}")
            assert len(text) > 500
        assert "http" not in page
        figure = json.loads(await asyncio.to_thread(_text, f"http://{place}/figure.json"))
        assert {joint for point in figure["points"] for joint, _ in point} <= set(range(55))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await asyncio.to_thread(_text, f"http://{place}/../settings.py")

    with_server(follower, talk)


def _text(address: str) -> str:
    with urllib.request.urlopen(address) as answer:
        return str(answer.read().decode())


def test_others_are_not_served_without_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org", ""):
        with pytest.raises(InputError, match="token"):
            require_safe(host, None)
        require_safe(host, TOKEN)
    with pytest.raises(InputError, match="letters"):
        require_safe("127.0.0.1", "short")
    require_safe("127.0.0.1", None)
    require_safe("localhost", None)


def test_the_client_of_the_page_of_documentation_works(follower: Follower, leader: Tensor) -> None:
    text = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[2].split("```")[0], names)

    async def talk(hall: Hall, place: str) -> None:
        poses = leader[:30].numpy()
        came = [each async for each in names["follow"](poses, f"ws://{place}/live")]
        assert [frame for frame, _ in came] == list(range(28))
        assert all(joints.shape == (55, 3) for _, joints in came)

    with_server(follower, talk)
